import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { Fault } from '../../base/fault.ts';
import { shellWord } from '../../base/shell-word.ts';
import { diskFault } from '../../recovery/disk.ts';

/** A code of paper takes a tenth of a second to be judged; who waits longer waits for a process that stands still. */
const longestMs = 5_000;
const sqliteBusy = 5;
const sqliteNotADatabase = 26;

/**
 * Does something to the guard of codes while nobody else does: the runner of the emergency bot and whoever judges for the control bot
 * are two processes, and a code that is tried at both in one moment counts once. The lock ends with its process.
 * @throws Fault `locked`, `damaged`, what the system says of its file, and what `act` throws
 */
export function alone<T>(folder: string, act: () => T): T {
  const file = join(folder, 'guard-lock.db');
  let lock: DatabaseSync | undefined;
  try {
    try {
      lock = new DatabaseSync(file, { timeout: longestMs });
      lock.exec('BEGIN EXCLUSIVE');
    } catch (error) {
      const { errcode } = error as { errcode?: number };
      if (errcode === sqliteNotADatabase)
        throw new Fault('damaged', `${file} is damaged. Nothing is kept in it, so it may go.`, {
          hint: `On the server: rm ${shellWord(file)}`,
        });
      if (errcode !== sqliteBusy) throw diskFault(error, folder);
      throw new Fault('locked', 'Another code is being judged, and that does not end.', {
        hint: 'Send it again. On the server: systemctl status gaia-runner',
      });
    }
    return act();
  } finally {
    lock?.close();
  }
}
