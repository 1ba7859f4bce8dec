import { Command } from 'commander';
import { Exit } from '../../base/exit.ts';
import { Fault } from '../../base/fault.ts';
import type { PublishReceipt } from '../../client/client.ts';
import type { Draft } from '../../events/draft.ts';
import { parseDraft } from '../../events/parse.ts';
import type { Concluding } from './concluding.ts';
import type { Conclusion } from './conclusion.ts';
import { parseDetails } from './details.ts';
import type { Door } from './door.ts';
import { withFlags } from './flag-names.ts';
import { collect } from './option-values.ts';
import { publishBatch } from './publish-batch.ts';

/** How a program at a shell is called in events, unless --source says otherwise. */
export const defaultSource = 'CLI';

type Options = {
  source: string;
  target?: string;
  details?: string;
  workflow?: string;
  execution?: string;
  correlation?: string;
  causation?: string;
  traceparent?: string;
  tag?: string[];
  id?: string;
  deliverAt?: string;
  batch?: string;
  dryRun?: boolean;
};

/** What says of one event what a file says of each of its own. */
const ofOneEvent = [
  'target',
  'details',
  'workflow',
  'execution',
  'correlation',
  'causation',
  'traceparent',
  'tag',
  'id',
] as const;

/**
 * leveredge publish — stores an event and says who hears it. The id alone goes to stdout. Exit 0 stored (or, with
 * --dry-run, sound), 2 it makes no sense, 4 no bus, 9 some events of a batch were refused.
 */
export function publish(concludes: Concluding): Command {
  return new Command('publish')
    .description('Publish an event: something happened')
    .argument('[action]', 'what happened, in snake case by custom: deploy_started')
    .argument('[details...]', 'details as key=value (text) or key:=value (JSON)')
    .option('-s, --source <agent>', 'who says so', defaultSource)
    .option('-t, --target <name>', 'what it happened to')
    .option('-d, --details <json>', 'details as a JSON object')
    .option('--workflow <id>', 'the workflow it comes from')
    .option('--execution <id>', 'the execution it comes from')
    .option('--correlation <id>', 'what belongs together has the same')
    .option('--causation <id>', 'the event that caused this one')
    .option('--traceparent <value>', 'W3C trace context')
    .option('--tag <tag>', 'a tag; may be given several times', collect)
    .option('--id <id>', 'your own id; publishing it again is then safe')
    .option('--deliver-at <time>', 'deliver it then: 2027-01-31T08:00:00Z')
    .option('--batch <file>', 'publish many: JSON lines or a JSON list; - is stdin')
    .option('--dry-run', 'check it and tell who would hear it; store nothing')
    .action(
      concludes(async (door, action: string | undefined, pairs: string[], options: Options, command: Command) => {
        if (options.batch !== undefined) {
          requireNothingElse(action, options);
          return publishBatch(door, options.batch, options.source, options.dryRun === true);
        }
        if (action === undefined)
          return command.error("error: missing required argument 'action'", { code: 'commander.missingArgument' });
        const draft = {
          action,
          source_agent: options.source,
          target: options.target,
          details: parseDetails(options.details, pairs),
          source_workflow_id: options.workflow,
          source_execution_id: options.execution,
          correlation_id: options.correlation,
          causation_id: options.causation,
          traceparent: options.traceparent,
          tags: options.tag,
          id: options.id,
          deliver_at: options.deliverAt,
        };
        return options.dryRun ? rehearsed(door, draft) : published(await door.client.publish(draft));
      }),
    );
}

function requireNothingElse(action: string | undefined, options: Options): void {
  const given = ofOneEvent.find((name) => options[name] !== undefined);
  if (action === undefined && given === undefined) return;
  throw new Fault(
    'usage',
    `--batch takes its events from a file, so ${given ? `--${given}` : 'the action'} has no place.`,
    {
      hint: 'Write it into each event of the file. Only --source is for those that name none.',
    },
  );
}

/** What the bus would say: the same schema checks it here, and the bus tells who hears the action. */
async function rehearsed({ client }: Door, draft: Draft): Promise<Conclusion> {
  const { warnings } = parseDraft(draft);
  const { hearers } = await client.explain(draft.action);
  const agents = hearers.map(({ agent }) => agent);
  const heard = agents.length > 0 ? `It would be heard by ${agents.join(', ')}.` : 'Nobody would hear it.';
  return {
    exit: Exit.ok,
    json: { dry_run: true, subscribed_agents: agents, warnings },
    notes: ['Not stored: this was a dry run.', heard, ...warningsOf({ warnings })],
  };
}

function published(receipt: PublishReceipt): Conclusion {
  const hearers =
    receipt.subscribed_agents.length > 0 ? `Heard by ${receipt.subscribed_agents.join(', ')}.` : 'Nobody hears it.';
  return {
    exit: Exit.ok,
    lines: [receipt.id],
    json: receipt,
    notes: [receipt.duplicate ? 'This event was stored before.' : 'Stored.', hearers, ...warningsOf(receipt)],
  };
}

/** What the bus found odd about what it was sent, as sentences that name the options. */
export function warningsOf({ warnings = [] }: Pick<PublishReceipt, 'warnings'>): string[] {
  return warnings.map(withFlags).map(({ pointer, detail }) => `Warning: ${pointer} ${detail}.`);
}
