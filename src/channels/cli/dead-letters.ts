import { Command } from 'commander';
import { Exit } from '../../base/exit.ts';
import { Fault } from '../../base/fault.ts';
import { nearest } from '../../base/nearest.ts';
import type { Table } from '../../base/table.ts';
import type { WireDeadLetter } from '../../events/delivery.ts';
import type { Concluding } from './concluding.ts';
import type { Door } from './door.ts';
import { wholeNumber } from './option-values.ts';
import { showTime } from './show-time.ts';

type ListOptions = { agent?: string; limit: number; after?: string };
type RedriveOptions = { all?: boolean; agent?: string };

/** leveredge dead-letters — what could not be delivered, and why: list, redrive, discard. */
export function deadLetters(concludes: Concluding): Command {
  return new Command('dead-letters')
    .description('Show what could not be delivered, and deliver it again')
    .addCommand(list(concludes), { isDefault: true })
    .addCommand(redrive(concludes))
    .addCommand(discard(concludes));
}

function list(concludes: Concluding): Command {
  return (
    new Command('list')
      .description('Show the dead letters, newest first')
      .option('--agent <agent>', 'only those of this agent')
      .option('-n, --limit <n>', 'how many at most, up to 1000', wholeNumber, 20)
      .option('--after <place>', 'go on after this place')
      // What follows `dead-letters` and is no command of it arrives here, because this is the default.
      .allowExcessArguments()
      .action(
        concludes(async (door, options: ListOptions, command: Command) => {
          if (command.args[0] !== undefined) throw unknownCommand(command.args[0], command.parent);
          const page = await door.client.deadLetters(options);
          const notes = page.count === 0 ? ['There are no dead letters.'] : [];
          if (page.next !== null) notes.push(`There are older ones: add --after ${page.next}`);
          return { exit: Exit.ok, table: tableOf(page.dead_letters, door), json: page, notes };
        }),
      )
  );
}

function unknownCommand(word: string, above: Command | null): Fault {
  const guess = nearest(word, above?.commands.map((command) => command.name()) ?? []);
  return new Fault('usage', `unknown command '${word}'`, {
    hint: `${guess ? `(Did you mean ${guess}?)\n` : ''}See: leveredge dead-letters --help`,
  });
}

/** Exit 0 ready again, 5 no such dead letter. */
function redrive(concludes: Concluding): Command {
  return new Command('redrive')
    .description('Deliver one again, or all of them')
    .argument('[agent]', 'whose it is')
    .argument('[id]', 'the delivery, as the list names it')
    .option('--all', 'all there are, or with --agent all of one agent')
    .option('--agent <agent>', 'with --all: only those of this agent')
    .action(
      concludes(async ({ client }, agent: string | undefined, id: string | undefined, options: RedriveOptions) => {
        if (options.all) {
          if (agent !== undefined) throw either();
          const redriven = await client.redriveAll(options.agent);
          const what = redriven === 1 ? '1 dead letter is' : `${redriven} dead letters are`;
          return { exit: Exit.ok, lines: [`${what} ready again`], json: { redriven } };
        }
        if (agent === undefined || id === undefined || options.agent !== undefined) throw either();
        const receipt = await client.redrive(agent, id);
        return { exit: Exit.ok, lines: [`${id} is ready again for ${agent}`], json: receipt };
      }),
    );
}

function either(): Fault {
  return new Fault('usage', 'Name one dead letter by its agent and its id, or say --all.', {
    hint: 'The list: leveredge dead-letters',
  });
}

/** Exit 0 dropped, 5 no such dead letter. */
function discard(concludes: Concluding): Command {
  return new Command('discard')
    .description('Drop one; it is never delivered')
    .argument('<agent>', 'whose it is')
    .argument('<id>', 'the delivery, as the list names it')
    .action(
      concludes(async ({ client }, agent: string, id: string) => {
        const receipt = await client.discardDeadLetter(agent, id);
        return { exit: Exit.ok, lines: [`${id} of ${agent} is discarded`], json: receipt };
      }),
    );
}

function tableOf(letters: readonly WireDeadLetter[], { terminal, clock }: Door): Table {
  return {
    columns: [
      { head: 'UTC' },
      { head: 'AGENT', least: 8 },
      { head: 'ID' },
      { head: 'ACTION', least: 12 },
      { head: 'TARGET', least: 6 },
      { head: 'TRIES', align: 'right' },
      { head: 'REASON' },
      { head: 'ERROR', least: 10 },
    ],
    rows: letters.map(({ died_at, agent, id, event, attempts, reason, error }) => [
      terminal.is ? showTime(died_at, clock()) : died_at,
      agent,
      id,
      event.action,
      event.target ?? '',
      String(attempts),
      reason,
      error ?? '',
    ]),
  };
}
