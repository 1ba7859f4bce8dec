import { Command } from 'commander';
import { Exit } from '../../base/exit.ts';
import { Fault } from '../../base/fault.ts';
import { nearest } from '../../base/nearest.ts';
import { shellWord } from '../../base/shell-word.ts';
import type { Table } from '../../base/table.ts';
import type { Mode, Subscription, SubscriptionChange } from '../../events/subscription.ts';
import type { Concluding } from './concluding.ts';
import type { Conclusion } from './conclusion.ts';
import type { Door } from './door.ts';
import { findLiveSubscription, findSubscription } from './find-subscription.ts';
import { collect, wholeNumber } from './option-values.ts';
import { warningsOf } from './publish.ts';
import { shortIds } from './short-id.ts';

type ListOptions = { agent?: string; deleted?: boolean };
/** commander gives `false` for --no-except. */
type ChangeOptions = { priority?: number; mode?: Mode; except?: string[] | false };

/** leveredge subscriptions — who hears what: list, add, change, enable, disable, delete. */
export function subscriptions(concludes: Concluding): Command {
  return new Command('subscriptions')
    .description('Show and change who hears what')
    .addCommand(list(concludes), { isDefault: true })
    .addCommand(add(concludes))
    .addCommand(change(concludes))
    .addCommand(
      settled(concludes, 'enable', 'Let it be heard again', (door, id) =>
        door.client.changeSubscription(id, { enabled: true }),
      ),
    )
    .addCommand(
      settled(concludes, 'disable', 'Let it be heard no more, for now', (door, id) =>
        door.client.changeSubscription(id, { enabled: false }),
      ),
    )
    .addCommand(
      settled(concludes, 'delete', 'Delete it; no restart brings it back', (door, id) =>
        door.client.removeSubscription(id),
      ),
    );
}

function list(concludes: Concluding): Command {
  return (
    new Command('list')
      .description('Show the subscriptions')
      .option('--agent <agent>', 'only those of this agent')
      .option('--deleted', 'also the deleted ones')
      // What follows `subscriptions` and is no command of it arrives here, because this is the default.
      .allowExcessArguments()
      .action(
        concludes(async (door, { agent, deleted }: ListOptions, command: Command) => {
          if (command.args[0] !== undefined) throw unknownCommand(command.args[0], command.parent);
          const found = await door.client.subscriptions({ agent, deleted });
          // A short id is one that no other subscription has, whether it is listed or not.
          const all = door.terminal.is ? await door.client.subscriptions({ deleted: true }) : found;
          return {
            exit: Exit.ok,
            table: tableOf(found, door, all),
            json: { subscriptions: found, count: found.length },
            notes:
              found.length === 0 ? [`No subscriptions. Add one: ${door.program} subscriptions add AGENT PATTERN`] : [],
          };
        }),
      )
  );
}

function unknownCommand(word: string, above: Command | null): Fault {
  if (above?.args[0] === 'list')
    return new Fault('usage', `subscriptions list takes no ${JSON.stringify(word)}.`, { hint: ofAgent(word) });
  const guess = nearest(word, above?.commands.map((command) => command.name()) ?? []);
  return new Fault('usage', `unknown command '${word}'`, {
    hint: guess ? `(Did you mean ${guess}?)\nSee: leveredge subscriptions --help` : ofAgent(word),
  });
}

function ofAgent(agent: string): string {
  return `Those of one agent: leveredge subscriptions --agent ${shellWord(agent)}\nSee: leveredge subscriptions --help`;
}

function add(concludes: Concluding): Command {
  return changeable(new Command('add'))
    .description('Let an agent hear a pattern')
    .argument('<agent>', 'who hears, in upper case by custom: AEGIS')
    .argument('<pattern>', "which actions; * stands for any run of characters: 'workflow_*'")
    .action(
      concludes(async (door, agent_name: string, action_pattern: string, options: ChangeOptions) => {
        const added = await door.client.addSubscription({ agent_name, action_pattern, ...changeOf(options) });
        return { ...one(added, 'added', door), notes: warningsOf(added) };
      }),
    );
}

function change(concludes: Concluding): Command {
  return changeable(addressed(new Command('change')))
    .description('Change a subscription')
    .action(
      concludes(async (door, id: string, pattern: string | undefined, options: ChangeOptions) => {
        const { id: whole } = await findLiveSubscription(door.client, id, pattern);
        return one(await door.client.changeSubscription(whole, changeOf(options)), 'changed', door);
      }),
    );
}

function settled(
  concludes: Concluding,
  verb: string,
  summary: string,
  act: (door: Door, id: string) => Promise<Subscription>,
): Command {
  return addressed(new Command(verb))
    .description(summary)
    .action(
      concludes(async (door, id: string, pattern: string | undefined) => {
        // Deleting is safe to repeat.
        const find = verb === 'delete' ? findSubscription : findLiveSubscription;
        const { id: whole } = await find(door.client, id, pattern);
        return one(await act(door, whole), `${verb}d`, door);
      }),
    );
}

function addressed(command: Command): Command {
  return command
    .argument('<id>', 'the subscription, by its id or the beginning of it; or the agent')
    .argument('[pattern]', 'the pattern, when the agent was given');
}

function changeable(command: Command): Command {
  return command
    .option('-p, --priority <n>', '1 is the highest, 10 the lowest', wholeNumber)
    .option('-m, --mode <mode>', 'queue: kept until acknowledged; tail: read from the log')
    .option('--except <pattern>', 'a pattern that is not heard; may be given several times', collect)
    .option('--no-except', 'except nothing any more');
}

function changeOf({ priority, mode, except }: ChangeOptions): SubscriptionChange {
  return { priority, mode, except: except === false ? [] : except };
}

function one(subscription: Subscription, done: string, door: Door): Conclusion {
  const { agent_name, action_pattern } = subscription;
  return {
    exit: Exit.ok,
    lines: door.terminal.is ? [`${agent_name} ${action_pattern} is ${done}.`] : [],
    table: tableOf([subscription], door),
    json: subscription,
  };
}

function tableOf(found: readonly Subscription[], { terminal }: Door, all = found): Table {
  const short = shortIds(all.map(({ id }) => id));
  return {
    columns: [
      { head: 'ID' },
      { head: 'AGENT', least: 8 },
      { head: 'PATTERN', least: 12 },
      { head: 'PRI', align: 'right' },
      { head: 'MODE' },
      { head: 'STATE' },
      { head: 'EXCEPT', least: 6 },
    ],
    rows: found.map((s) => [
      terminal.is ? (short.get(s.id) ?? s.id) : s.id,
      s.agent_name,
      s.action_pattern,
      String(s.priority),
      s.mode,
      stateOf(s),
      s.except.join(', '),
    ]),
  };
}

function stateOf({ deleted_at, enabled }: Subscription): string {
  if (deleted_at !== null) return 'deleted';
  return enabled ? 'on' : 'off';
}
