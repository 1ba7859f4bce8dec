import { existsSync, statSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { pathToFileURL } from 'node:url';
import { Fault, reasonOf } from '../../../base/fault.ts';
import { latestSchema } from './database.ts';
import { quickCheck } from './quick-check.ts';
import { sqliteFault } from './sqlite-fault.ts';

/** What lies in a database file, as far as it can be read. */
export type Inspection =
  | { kind: 'absent' }
  | { kind: 'unreadable'; reason: string }
  | { kind: 'damaged'; reason: string }
  | { kind: 'newer'; schema: number; known: number }
  | { kind: 'first-implementation'; events: number }
  | { kind: 'sound'; schema: number; events: number; openQuestions: number; bytes: number; epoch: string };

/** Reads a database file from one end to the other, beside a running bus or without one, and changes nothing. */
export function inspectFile(file: string): Inspection {
  if (!existsSync(file)) return { kind: 'absent' };
  let db: DatabaseSync | undefined;
  try {
    db = openUntouched(file);
    const found = quickCheck(db);
    if (found !== undefined) return { kind: 'damaged', reason: `SQLite's check says: ${found}` };
    const schema = Number(db.prepare('PRAGMA user_version').get()?.user_version);
    const known = latestSchema();
    if (schema > known) return { kind: 'newer', schema, known };
    if (schema === 0) return { kind: 'first-implementation', events: countsOf(db).events };
    const epoch = String(db.prepare("SELECT value FROM bus_meta WHERE name = 'epoch'").get()?.value);
    return { kind: 'sound', schema, ...countsOf(db), bytes: statSync(file).size, epoch };
  } catch (error) {
    const fault = sqliteFault(error, file);
    const kind = fault instanceof Fault && fault.code === 'damaged' ? 'damaged' : 'unreadable';
    return { kind, reason: reasonOf(error) };
  } finally {
    db?.close();
  }
}

/** Which life the log of a database has, without reading further; `unknown` when that cannot be told. */
export function databaseLife(file: string): { kind: 'absent' | 'unknown' } | { kind: 'known'; epoch: string } {
  let db: DatabaseSync | undefined;
  try {
    statSync(file);
    db = openUntouched(file);
    const epoch = db.prepare("SELECT value FROM bus_meta WHERE name = 'epoch'").get()?.value;
    return epoch === undefined ? { kind: 'unknown' } : { kind: 'known', epoch: String(epoch) };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return { kind: code === 'ENOENT' || code === 'ENOTDIR' ? 'absent' : 'unknown' };
  } finally {
    db?.close();
  }
}

/** How many events and open questions a database has, whoever made it. An empty one has none. */
export function countsOf(db: DatabaseSync): { events: number; openQuestions: number } {
  const count = (sql: string) => Number(db.prepare(sql).get()?.n);
  const has = (name: string) => count(`SELECT count(*) AS n FROM sqlite_schema WHERE name = '${name}'`) > 0;
  if (has('event_log'))
    return {
      events: count('SELECT count(*) AS n FROM event_log'),
      openQuestions: count("SELECT count(*) AS n FROM questions WHERE state = 'open'"),
    };
  return {
    events: has('events') ? count('SELECT count(*) AS n FROM events') : 0,
    openQuestions: has('pending_human_requests') ? count('SELECT count(*) AS n FROM pending_human_requests') : 0,
  };
}

/** The number of the newest event. Unlike how many there are, it never falls, though events are purged. */
export function newestOf(db: DatabaseSync): number {
  const isOurs = db.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'bus_meta'").get() !== undefined;
  if (!isOurs) return countsOf(db).events;
  return Number(db.prepare("SELECT value FROM bus_meta WHERE name = 'head'").get()?.value ?? 0);
}

/**
 * Opens a database such that nothing comes to lie beside it. Without a log nobody writes to the file, and SQLite is told
 * so; else it would leave an empty log behind. With one it is read, and `-shm`, SQLite's index of it, is made if it is
 * gone.
 */
export function openUntouched(file: string): DatabaseSync {
  const url = pathToFileURL(file);
  const hasLog = existsSync(`${file}-wal`) || existsSync(`${file}-journal`);
  url.searchParams.set(hasLog ? 'mode' : 'immutable', hasLog ? 'ro' : '1');
  return new DatabaseSync(url, { readOnly: true, timeout: 5000 });
}
