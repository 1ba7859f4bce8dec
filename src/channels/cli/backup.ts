import { join, resolve } from 'node:path';
import { Command } from 'commander';
import { Exit } from '../../base/exit.ts';
import { Fault } from '../../base/fault.ts';
import type { Concluding } from './concluding.ts';
import type { Door } from './door.ts';
import { showBytes } from './show-time.ts';

/**
 * leveredge backup — copies the bus' database while the bus runs or not, and reads the copy back before it gets its name.
 * Exit 0 the copy is sound, 5 no database, 6 the file exists, 7 the database is damaged.
 */
export function backup(concludes: Concluding): Command {
  return new Command('backup')
    .description("Copy the bus' database, while it runs or not")
    .argument('[file]', 'where to (default: shared/backups/event-bus/events-<time>.db in the home)')
    .option('--scheduled', 'as CHRONOS does by its schedule: older ones of these go')
    .action(
      concludes(async (door, file: string | undefined, { scheduled: isScheduled = false }: { scheduled?: boolean }) => {
        if (isScheduled && file !== undefined)
          throw new Fault('usage', 'With --scheduled no file is named: older ones would not be found.', {
            hint: 'One of the two: leveredge backup FILE, or leveredge backup --scheduled',
          });
        const home = door.findHome(door.home).dir;
        const folder = join(home, 'shared/backups/event-bus');
        const to = file === undefined ? join(folder, defaultName(door.clock(), isScheduled)) : resolve(file);
        const copy = await door.copyDatabase(door.databaseFile(home), to);
        const removed = isScheduled ? await door.removeOldCopies(folder) : [];
        return {
          exit: Exit.ok,
          lines: [copy.file],
          json: {
            file: copy.file,
            events: copy.events,
            open_questions: copy.openQuestions,
            bytes: copy.bytes,
            removed,
          },
          notes: [
            `Sound: ${copy.events} events, ${copy.openQuestions} open questions, ${showBytes(copy.bytes)}.`,
            ...(removed.length > 0 ? [`Removed: ${removed.join(', ')}`] : []),
            ...(await mistakesInSettings(door)),
          ],
        };
      }),
    );
}

/** A copy must not wait for a typo in the settings, but whoever makes one should know of it. */
async function mistakesInSettings(door: Door): Promise<string[]> {
  try {
    await door.busPlace({ home: door.home });
    return [];
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    return [`Note: ${error.message}`, ...(error.hint?.split('\n') ?? []).map((line) => `  ${line}`)];
  }
}

/** `events-20260102T030405678Z.db`: sorts by time, and no shell or file system objects to it. */
function defaultName(nowMs: number, isScheduled: boolean): string {
  const time = new Date(nowMs).toISOString().replaceAll(/[-:.]/g, '');
  return `events-${time}${isScheduled ? '-scheduled' : ''}.db`;
}
