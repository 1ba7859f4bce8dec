import { Command } from 'commander';
import { Exit } from '../../base/exit.ts';
import type { RetentionRuleCount } from '../../client/client.ts';
import type { Concluding } from './concluding.ts';
import type { Conclusion } from './conclusion.ts';

/** leveredge retention — purges now what the rules no longer keep, or with --dry-run tells what would go. */
export function retention(concludes: Concluding): Command {
  return new Command('retention')
    .description('Purge what the settings no longer keep, or tell what would go')
    .option('--dry-run', 'only tell; purge nothing')
    .action(
      concludes(async ({ client }, { dryRun }: { dryRun?: boolean }) => {
        const { rules } = await client.planRetention();
        if (rules.length === 0) return nothingToDo;
        if (dryRun) return planned(rules);
        const run = await client.runRetention();
        const dropped = Object.entries(run.dropped_deliveries).map(([agent, n]) => `${agent} ${n}`);
        return {
          exit: Exit.ok,
          lines: [
            run.status === 'done' ? `Purged ${run.purged} events.` : `Purged ${run.purged} events so far; it goes on.`,
          ],
          json: run,
          notes: dropped.length > 0 ? [`Went unacknowledged: ${dropped.join(', ')}.`] : [],
        };
      }),
    );
}

const nothingToDo: Conclusion = {
  exit: Exit.ok,
  lines: ['Everything is kept for ever: the settings have no rules.'],
  json: { rules: [] },
  notes: ['Rules stand under bus.retention in config/leveredge.yaml; see docs/retention.md.'],
};

function planned(rules: readonly RetentionRuleCount[]): Conclusion {
  const due = rules.reduce((sum, rule) => sum + rule.due, 0);
  return {
    exit: Exit.ok,
    table: {
      columns: [
        { head: 'ACTIONS', least: 10 },
        { head: 'DAYS', align: 'right' },
        { head: 'COUNT', align: 'right' },
        { head: 'WOULD GO', align: 'right' },
        { head: 'OPEN QUESTIONS', align: 'right' },
        { head: 'OWED AT 1', align: 'right' },
      ],
      rows: rules.map((rule) => [
        rule.actions,
        String(rule.max_age_days ?? '-'),
        String(rule.max_count ?? '-'),
        String(rule.due),
        String(rule.kept_open_questions),
        String(rule.kept_owed_at_priority_1),
      ]),
    },
    json: { rules },
    notes: [`${due} events would go; open questions and what is owed at priority 1 stay. Nothing was purged.`],
  };
}
