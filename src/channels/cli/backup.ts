import { join, resolve } from 'node:path';
import { Command } from 'commander';
import { Exit } from '../../base/exit.ts';
import type { Concluding } from './concluding.ts';
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
        const { home, databaseFile } = await door.busPlace({ home: door.home });
        const to =
          file === undefined ? join(home, 'shared/backups/event-bus', defaultName(door.clock())) : resolve(file);
        const copy = await door.copyDatabase(databaseFile, to);
        return {
          exit: Exit.ok,
          lines: [copy.file],
          json: { file: copy.file, events: copy.events, open_questions: copy.openQuestions, bytes: copy.bytes },
          notes: [`Sound: ${copy.events} events, ${copy.openQuestions} open questions, ${showBytes(copy.bytes)}.`],
        };
      }),
    );
}

/** `events-20260102T030405678Z.db`: sorts by time, and no shell or file system objects to it. */
function defaultName(nowMs: number): string {
  return `events-${new Date(nowMs).toISOString().replaceAll(/[-:.]/g, '')}.db`;
}
