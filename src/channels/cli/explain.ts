import { Command } from 'commander';
import { Exit } from '../../base/exit.ts';
import type { Concluding } from './concluding.ts';

type Options = { question?: boolean };

/** leveredge explain — who would hear an action, by which pattern, and who would not although one matches. */
export function explain(concludes: Concluding): Command {
  return new Command('explain')
    .description('Tell who would hear an action, and why')
    .argument('<action>', 'the action: workflow_modified')
    .option('--question', 'as if it asked a person')
    .action(
      concludes(async ({ client, program }, action: string, { question }: Options) => {
        const explanation = await client.explain(action, question);
        const hearing = explanation.hearers.map((h) => [
          h.agent,
          String(h.priority),
          h.mode,
          h.pattern,
          h.also.length > 0 ? `also ${h.also.join(', ')}` : '',
        ]);
        const silent = explanation.silent.map((s) => [s.agent, '-', '-', s.pattern, `does not hear it: ${s.because}`]);
        return {
          exit: Exit.ok,
          table: {
            columns: [
              { head: 'AGENT', least: 8 },
              { head: 'PRIORITY' },
              { head: 'MODE' },
              { head: 'PATTERN', least: 12 },
              { head: 'NOTE', least: 10 },
            ],
            rows: [...hearing, ...silent],
          },
          json: explanation,
          notes: hearing.length === 0 ? [`Nobody would hear ${action}. See: ${program} subscriptions`] : [],
        };
      }),
    );
}
