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
    .action(
      concludes(async (door, file: string | undefined) => {
        const home = door.findHome(door.home).dir;
        const to =
          file === undefined ? join(home, 'shared/backups/event-bus', defaultName(door.clock())) : resolve(file);
        const copy = await door.copyDatabase(door.databaseFile(home), to);
        return {
          exit: Exit.ok,
          lines: [copy.file],
          json: { file: copy.file, events: copy.events, open_questions: copy.openQuestions, bytes: copy.bytes },
          notes: [
            `Sound: ${copy.events} events, ${copy.openQuestions} open questions, ${showBytes(copy.bytes)}.`,
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
function defaultName(nowMs: number): string {
  return `events-${new Date(nowMs).toISOString().replaceAll(/[-:.]/g, '')}.db`;
}
