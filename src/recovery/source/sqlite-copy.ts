import { execFile } from 'node:child_process';

import { chmodSync, copyFileSync, existsSync, realpathSync, rmSync, statSync } from 'node:fs';

import { backup, DatabaseSync } from 'node:sqlite';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { Fault, reasonOf } from '../../base/fault.ts';
import { childEnv } from './child-env.ts';

/** All pages in one step: with small ones a copy beside a writing process begins anew at each write and never ends. */
const allPages = 2e9;
/** How long a writer may hold the database before the copy gives up. */
const busyTimeoutMs = 30_000;

const sidecars = ['-wal', '-shm', '-journal'];

export type SqliteCopy = {
  bytes: number /** What SQLite's check found, or undefined when it is sound. */;
  damage?: string;
};

/**
 * Copies one moment of a database that others may be writing, into one file without a log beside it, and gives it owner,
 * mode, times and attributes of the original. A database that does not pass SQLite's check is copied all the same, as far as
 * it can be read, and the damage told. Nothing is made beside one that nobody has open.
 * @throws Fault `unavailable` when it is locked, `storage-full`
 */
export async function copySqlite(named: string, to: string, busyMs = busyTimeoutMs): Promise<SqliteCopy> {
  let from = named;
  try {
    // SQLite keeps the log beside the file itself, and not beside a symlink that names it.
    from = realpathSync(named);
    if (!(await copyQuiet(from, to))) await copyPages(new DatabaseSync(from, { readOnly: true, timeout: busyMs }), to);
  } catch (error) {
    const fault = copyFault(error, from);
    for (const end of ['', ...sidecars]) rmSync(to + end, { force: true });
    // What SQLite cannot read may still be mended by somebody who has the bytes.
    if (fault.code !== 'damaged') throw fault;
    copyFileSync(from, to);
  }
  chmodSync(to, 0o600);
  for (const end of sidecars) rmSync(to + end, { force: true });
  const damage = checkSqlite(to);
  await takeAttributes(from, to);
  return { bytes: statSync(to).size, ...(damage === undefined ? {} : { damage }) };
}

/** Byte for byte, with all attributes, and whatever state it is in. */
export async function copyAsFile(from: string, to: string): Promise<SqliteCopy> {
  copyFileSync(from, to);
  await takeAttributes(from, to);
  return { bytes: statSync(to).size };
}

async function copyPages(source: DatabaseSync, to: string): Promise<void> {
  try {
    await backup(source, to, { rate: allPages });
  } finally {
    source.close();
  }
}

/**
 * Opening a database in WAL mode makes files beside it, which the live folder did not have. As long as nobody has it open it
 * is read as a file that does not change, and the copy counts only if it did not: false when somebody came meanwhile.
 */
async function copyQuiet(from: string, to: string): Promise<boolean> {
  const before = quietState(from);
  if (before === undefined) return false;
  try {
    await copyPages(openUnchanging(from), to);
  } catch (error) {
    if (quietState(from) === before) throw error;
  }
  if (quietState(from) === before) return true;
  rmSync(to, { force: true });
  return false;
}

/** What changes when anybody writes; undefined while somebody has a log or journal beside the database. */
function quietState(file: string): string | undefined {
  if (sidecars.some((end) => existsSync(file + end))) return undefined;
  const { size, mtimeNs, ctimeNs, ino } = statSync(file, { bigint: true });
  return `${ino} ${size} ${mtimeNs} ${ctimeNs}`;
}

function openUnchanging(file: string): DatabaseSync {
  const url = pathToFileURL(file);
  url.searchParams.set('immutable', '1');
  return new DatabaseSync(url, { readOnly: true });
}

/** What SQLite's check finds wrong with a database; undefined when it is sound. Changes nothing. */
export function checkSqlite(file: string): string | undefined {
  let database: DatabaseSync | undefined;
  try {
    database =
      quietState(file) === undefined
        ? new DatabaseSync(file, { readOnly: true, timeout: busyTimeoutMs })
        : openUnchanging(file);
    const found = String(database.prepare('PRAGMA quick_check(1)').get()?.quick_check);
    return found === 'ok' ? undefined : found.replaceAll(/\s*\n\s*/g, '; ');
  } catch (error) {
    return reasonOf(error);
  } finally {
    database?.close();
  }
}

/** Node has no calls for xattrs and ACLs; coreutils' cp takes all of them along. */
async function takeAttributes(from: string, to: string): Promise<void> {
  try {
    await promisify(execFile)('cp', ['--attributes-only', '--preserve=all', '--', from, to], { env: childEnv });
  } catch (error) {
    throw new Fault('internal', `Owner and mode of ${from} could not be copied: ${reasonOf(error)}`, { cause: error });
  }
}

function copyFault(error: unknown, file: string): Fault {
  const { errcode, code } = error as { errcode?: number; code?: string };
  const primary = (errcode ?? 0) & 0xff;
  const sqlite = {
    busy: 5,
    locked: 6,
    corrupt: 11,
    full: 13,
    cannotOpen: 14,
    notADatabase: 26,
    ioError: 10,
    readOnly: 8,
  };
  const says = reasonOf(error);
  if (primary === sqlite.full || code === 'ENOSPC' || /disk is full/.test(says))
    return new Fault('storage-full', `There is no room to copy the database ${file}.`, {
      hint: 'Free some space where backups are kept. See: gaia prune --dry-run',
      cause: error,
    });
  if (primary === sqlite.busy || primary === sqlite.locked)
    return new Fault('unavailable', `The database ${file} is locked by another program for too long.`, {
      hint: 'Find out who holds it (fuser, lsof), and try again.',
      cause: error,
    });
  if (primary === sqlite.readOnly)
    return new Fault('unavailable', `A program ended in the middle of a change to the database ${file}: ${says}.`, {
      hint: `Its journal says how to take that back, which is done by whoever opens it next. Start its program, or: sqlite3 ${file} 'PRAGMA quick_check'`,
      cause: error,
    });
  if (primary === sqlite.corrupt || primary === sqlite.notADatabase)
    return new Fault('damaged', `The database ${file} cannot be copied: ${says}.`, {
      hint: 'It is damaged. Keep the older backups, and see sqlite3’s .recover.',
      cause: error,
    });
  return new Fault('unavailable', `The database ${file} cannot be copied: ${says}.`, { cause: error });
}
