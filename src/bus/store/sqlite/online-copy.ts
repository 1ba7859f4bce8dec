import { chmodSync, closeSync, fsyncSync, openSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, resolve, sep } from 'node:path';
import { backup, DatabaseSync } from 'node:sqlite';
import { Fault, reasonOf } from '../../../base/fault.ts';
import { isThere, makeFolder } from '../../../base/files.ts';
import { countsOf, newestOf } from './inspect-file.ts';
import { quickCheck } from './quick-check.ts';
import { sqliteFault } from './sqlite-fault.ts';

/** A copy that was read back. `bytes` is its size. */
export type OnlineCopy = { file: string; events: number; openQuestions: number; bytes: number };

/**
 * All pages in one step. With SQLite's default of 100, a copy made beside a writing process begins anew at each write and
 * never ends (measured: 3,832 restarts in 8 s).
 */
const allPages = 2e9;

/**
 * Copies a database while a bus writes to it or not: one moment of it, whole, in one file without a log beside it. The
 * copy is made under a temporary name, read back (quick_check, and no fewer events than there were at the start), synced
 * and only then given its name; mode 0600. Folders are made within the home of the database only: elsewhere a folder
 * that is missing may be a disk that is not mounted, and the copy would fill the wrong one.
 * @throws Fault `not-found`, `conflict` when `to` exists, `damaged`, `storage-full`, `unavailable`, `usage`
 */
export async function copyOnline(from: string, to: string): Promise<OnlineCopy> {
  if (!isThere(from))
    throw new Fault('not-found', `There is no database at ${from}.`, {
      hint: 'The bus makes it at its first start. Another home? --home or LEVEREDGE_HOME. See: leveredge doctor',
    });
  if (isThere(to))
    throw new Fault('conflict', `${to} exists already, and a backup overwrites nothing.`, {
      hint: 'Choose another name.',
    });
  const partial = join(dirname(to), `.${basename(to)}.${process.pid}.partial`);
  makeReady(dirname(partial), homeOf(from));
  makePartial(partial);
  try {
    const atLeast = await copyPages(from, partial);
    const { newest, ...counts } = readBack(partial);
    if (newest < atLeast)
      throw new Fault('damaged', `The copy ends at event ${newest}, and the database had ${atLeast} before.`);
    sync(partial);
    renameSync(partial, to);
    sync(dirname(to));
    return { file: to, ...counts, bytes: statSync(to).size };
  } finally {
    for (const end of ['', '-journal', '-wal', '-shm']) rmSync(partial + end, { force: true });
  }
}

/** The database lies two folders below its home: `control-plane/event-bus/events.db`. */
function homeOf(database: string): string {
  return join(dirname(resolve(database)), '../..');
}

function makeReady(folder: string, home: string): void {
  const found = statSync(folder, { throwIfNoEntry: false });
  if (found?.isDirectory()) return;
  if (found === undefined && !resolve(folder).startsWith(join(home, sep)))
    throw new Fault('not-found', `There is no folder ${folder}, and a backup makes none outside the home.`, {
      hint: 'If it is on a disk that is not mounted, mount it. Otherwise make the folder, or choose another place.',
    });
  try {
    makeFolder(folder, 0o700);
  } catch (error) {
    throw noFileIn(folder, error);
  }
}

function makePartial(partial: string): void {
  try {
    writeFileSync(partial, '', { mode: 0o600, flag: 'wx' });
  } catch (error) {
    throw noFileIn(dirname(partial), error);
  }
}

function noFileIn(folder: string, error: unknown): Fault {
  return new Fault('usage', `No file can be made in ${folder}: ${reasonOf(error)}.`, {
    hint: 'Choose a folder that this user may write: leveredge backup FILE',
    cause: error,
  });
}

/** The newest event before the copy began. */
async function copyPages(from: string, partial: string): Promise<number> {
  let source: DatabaseSync | undefined;
  try {
    source = new DatabaseSync(from, { readOnly: true, timeout: 5000 });
    const newest = newestOf(source);
    await backup(source, partial, { rate: allPages });
    return newest;
  } catch (error) {
    throw sqliteFault(error, from);
  } finally {
    source?.close();
  }
}

/** Out of WAL mode, so that the copy is one file, and through SQLite's own check. */
function readBack(partial: string): { events: number; openQuestions: number; newest: number } {
  let copy: DatabaseSync | undefined;
  try {
    copy = new DatabaseSync(partial);
    copy.exec('PRAGMA journal_mode = DELETE');
    const found = quickCheck(copy);
    if (found !== undefined)
      throw new Fault('damaged', `The copy does not pass SQLite's check (${found}), so the database is damaged too.`, {
        hint: 'Keep the database and your older copies. See: leveredge doctor',
      });
    return { ...countsOf(copy), newest: newestOf(copy) };
  } catch (error) {
    throw sqliteFault(error, partial);
  } finally {
    copy?.close();
    chmodSync(partial, 0o600);
  }
}

function sync(path: string): void {
  const fd = openSync(path, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
