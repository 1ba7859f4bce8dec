import { chmodSync, chownSync, lstatSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Fault } from '../../base/fault.ts';
import { checkSqlite } from '../source/sqlite-copy.ts';
import { keepTime } from './keep-time.ts';
import type { PlacedDatabase } from './placement.ts';
import { databaseFolder } from './selection.ts';

/** What a bus that starts on a restored database reads; see the bus' own restored.ts. */
export type RestoredNote = { backup: string; backup_taken_at: string; restored_at: string };

export const restoredName = 'RESTORED.json';

/**
 * Puts staged databases where they belong in the staged trees, each with a note beside it that it was put back, and checks
 * each with SQLite. Times of the folders around them stay as they were. Safe to repeat.
 * Of a backup that says itself that it is not whole, they are taken as they are: somebody has named it.
 * @throws Fault `damaged` for one that does not pass
 */
export async function settleDatabases(
  databases: readonly PlacedDatabase[],
  note: RestoredNote,
  isKnownDamaged = false,
): Promise<void> {
  for (const { name, stageFolder, stage, member } of databases) {
    const waiting = join(stageFolder, databaseFolder, `${name}.db`);
    if (lstatSync(waiting, { throwIfNoEntry: false }) !== undefined) {
      const folder = dirname(stage);
      const existed = lstatSync(folder, { bigint: true, throwIfNoEntry: false });
      mkdirSync(folder, { recursive: true, mode: 0o700 });
      renameSync(waiting, stage);
      leaveNote(join(folder, restoredName), stage, note);
      if (existed !== undefined) await keepTime(folder, existed.mtimeNs);
    }
    if (!isKnownDamaged) checkDatabase(stage, member);
  }
  for (const folder of new Set(databases.map(({ stageFolder }) => stageFolder)))
    rmSync(join(folder, databaseFolder), { recursive: true, force: true });
}

function leaveNote(file: string, like: string, note: RestoredNote): void {
  const { uid, gid, mode } = lstatSync(like);
  writeFileSync(file, `${JSON.stringify(note)}\n`, { mode: 0o600 });
  chmodSync(file, mode & 0o666);
  // Without root it is this user's anyhow.
  if (process.platform !== 'win32') chownQuietly(file, uid, gid);
}

function chownQuietly(file: string, uid: number, gid: number): void {
  try {
    chownSync(file, uid, gid);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') throw error;
  }
}

function checkDatabase(file: string, member: string): void {
  const found = checkSqlite(file);
  if (found !== undefined)
    throw new Fault('damaged', `The database ${member} does not pass SQLite's check: ${found}.`, {
      hint: 'It was so when it was backed up. Restore an older backup, or this one without it: --only files',
      extra: { member },
    });
}
