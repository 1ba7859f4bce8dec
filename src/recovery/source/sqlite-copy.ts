import { execFile } from 'node:child_process';
import { chmodSync, rmSync, statSync } from 'node:fs';
import { backup, DatabaseSync } from 'node:sqlite';
import { promisify } from 'node:util';
import { Fault, reasonOf } from '../../base/fault.ts';
import { childEnv } from './child-env.ts';

/** All pages in one step: with small ones a copy beside a writing process begins anew at each write and never ends. */
const allPages = 2e9;
/** How long a writer may hold the database before the copy gives up. */
const busyTimeoutMs = 30_000;

export type SqliteCopy = {
  bytes: number /** What SQLite's check found, or undefined when it is sound. */;
  damage?: string;
};

/**
 * Copies one moment of a database that others may be writing, into one file without a log beside it, and gives it owner,
 * mode, times and attributes of the original. A database that does not pass SQLite's check is copied all the same, as far as
 * it can be read, and the damage told.
 * @throws Fault `damaged` when it cannot be read at all, `unavailable` when it is locked, `storage-full`
 */
export async function copySqlite(from: string, to: string): Promise<SqliteCopy> {
  let source: DatabaseSync | undefined;
  try {
    source = new DatabaseSync(from, { readOnly: true, timeout: busyTimeoutMs });
    await backup(source, to, { rate: allPages });
  } catch (error) {
    throw copyFault(error, from);
  } finally {
    source?.close();
  }
  const damage = checkCopy(to);
  await takeAttributes(from, to);
  return { bytes: statSync(to).size, ...(damage === undefined ? {} : { damage }) };
}

function checkCopy(file: string): string | undefined {
  let copy: DatabaseSync | undefined;
  try {
    chmodSync(file, 0o600);
    copy = new DatabaseSync(file);
    copy.exec('PRAGMA journal_mode = DELETE');
    const found = String(copy.prepare('PRAGMA quick_check(1)').get()?.quick_check);
    return found === 'ok' ? undefined : found.replaceAll(/\s*\n\s*/g, '; ');
  } catch (error) {
    return reasonOf(error);
  } finally {
    copy?.close();
    for (const end of ['-journal', '-wal', '-shm']) rmSync(file + end, { force: true });
  }
}

/** What SQLite's check finds wrong with a database that nobody has open; undefined when it is sound. Changes nothing. */
export function checkSqlite(file: string): string | undefined {
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(file, { readOnly: true, timeout: busyTimeoutMs });
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
  const sqlite = { busy: 5, locked: 6, corrupt: 11, full: 13, cannotOpen: 14, notADatabase: 26, ioError: 10 };
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
  if (primary === sqlite.corrupt || primary === sqlite.notADatabase)
    return new Fault('damaged', `The database ${file} cannot be copied: ${says}.`, {
      hint: 'It is damaged. Keep the older backups, and see sqlite3’s .recover.',
      cause: error,
    });
  return new Fault('unavailable', `The database ${file} cannot be copied: ${says}.`, { cause: error });
}
