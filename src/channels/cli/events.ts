import { Command } from 'commander';
import { Exit } from '../../base/exit.ts';
import { findEvent } from '../../client/find-event.ts';
import type { Event, Status } from '../../events/event.ts';
import type { Concluding } from './concluding.ts';
import type { Conclusion } from './conclusion.ts';
import { describeEvent } from './describe-event.ts';
import type { Door } from './door.ts';
import { eventTable } from './event-table.ts';
import { wholeNumber } from './option-values.ts';

type Options = { source?: string; action?: string; status?: Status; limit: number; before?: string };

/** leveredge events — what happened, newest first; with an id, everything about one event. --json: one event a line. */
export function events(concludes: Concluding): Command {
  return new Command('events')
    .description('Show what happened, newest first, or one event whole')
    .argument('[id]', 'an event, by its id or the beginning of it')
    .option('-s, --source <agent>', 'only what this agent published')
    .option('-a, --action <action>', 'only this action, exactly')
    .option('--status <status>', 'pending, acknowledged, completed, failed or timeout')
    .option('-n, --limit <n>', 'how many at most, up to 1000', wholeNumber, 20)
    .option('--before <bookmark>', 'only older ones than this bookmark')
    .action(
      concludes((door, id: string | undefined, options: Options) =>
        id === undefined ? list(door, options) : showOne(door, id),
      ),
    );
}

async function showOne(door: Door, id: string): Promise<Conclusion> {
  const event = await findEvent(door.client, id);
  return {
    exit: Exit.ok,
    lines: describeEvent(event, door.terminal.is ? door.terminal.columns : undefined),
    jsonLines: [event],
  };
}

async function list(door: Door, { source, action, status, limit, before }: Options): Promise<Conclusion> {
  const page = await door.client.events({ limit, source_agent: source, action, status, before });
  const notes = page.events.length === 0 ? ['No events.'] : [];
  if (page.next !== null) notes.push(`There are older ones: add --before ${page.next}`);
  return { exit: Exit.ok, ...listing(page.events, door), notes };
}

function listing(list: readonly Event[], door: Door): Pick<Conclusion, 'table' | 'jsonLines'> {
  return { table: eventTable(list, door), jsonLines: list };
}
