import { randomBytes } from 'node:crypto';
import { closeSync, openSync, readdirSync, readFileSync, readSync, rmSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { type Clock, rfc3339 } from '../../../base/clock.ts';
import { Fault } from '../../../base/fault.ts';
import { makeFolder } from '../../../base/files.ts';
import { uuidV7Maker } from '../../../base/uuid-v7.ts';
import { defaultSubscriptions } from '../../../events/defaults.ts';
import { chainAll } from './chain-rows.ts';
import { quickCheck } from './quick-check.ts';
import { sqliteFault, wayOut } from './sqlite-fault.ts';
import { findSubscription, putSubscription } from './subscription-rows.ts';
import { carryOver, copyAside, looksLikeFirst } from './takeover.ts';

/** "LEVB" in the header, so that `file` and others can tell whose database this is. */
export const applicationId = 0x4c455642;
/** Larger files are not read whole at each start; `leveredge doctor` does that. */
const maxCheckedBytes = 64 * 1024 * 1024;
const busyTimeoutMs = 5000;
/** The first schema in which events are chained; what an older one holds is chained once, when it is brought up to date. */
const chainSchema = 3;

export type OpenDatabase = { db: DatabaseSync; epoch: string; notices: string[] };

/**
 * Opens the file for writing, making or migrating it first. A file of the first implementation is copied aside and taken
 * over, in one transaction.
 * @throws Fault `damaged`, `newer-schema`, `unavailable`, `storage-full`; the file is as it was then.
 */
export async function openDatabase(file: string, clock: Clock): Promise<OpenDatabase> {
  let db: DatabaseSync | undefined;
  try {
    if (file !== ':memory:') checkHeader(file);
    db = new DatabaseSync(file, { timeout: busyTimeoutMs });
    if (file !== ':memory:') checkPages(db, file);
    const notices = await bringUpToDate(db, file, clock);
    db.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -32768;
      PRAGMA journal_size_limit = 67108864; PRAGMA wal_autocheckpoint = 0;`);
    addMissingDefaults(db, clock);
    const epoch = db.prepare("SELECT value FROM bus_meta WHERE name = 'epoch'").get()?.value as string;
    return { db, epoch, notices };
  } catch (error) {
    db?.close();
    throw sqliteFault(error, file);
  }
}

/** A file that never was a database is refused before SQLite could touch it. */
function checkHeader(file: string): void {
  makeFolder(dirname(file), 0o700);
  const size = statSync(file, { throwIfNoEntry: false })?.size;
  if (size === undefined && statSync(`${file}-wal`, { throwIfNoEntry: false })?.size) throw logAlone(file);
  // A new one is the owner's alone; SQLite gives the files beside it the same mode.
  if (size === undefined) closeSync(openSync(file, 'wx', 0o600));
  if (!size) return;
  const header = Buffer.alloc(16);
  const fd = openSync(file, 'r');
  try {
    readSync(fd, header, 0, header.length, 0);
  } finally {
    closeSync(fd);
  }
  if (header.toString('latin1') !== 'SQLite format 3\0')
    throw damaged(file, 'it does not start like a SQLite database');
}

/** SQLite would delete the log, and what was stored last may be in it. */
function logAlone(file: string): Fault {
  return new Fault('damaged', `The database ${file} is missing, but its log ${file}-wal is there.`, {
    hint: `Nothing was changed. If the database was moved, put it back beside its log. Else: ${wayOut}`,
  });
}

function checkPages(db: DatabaseSync, file: string): void {
  if ((statSync(file, { throwIfNoEntry: false })?.size ?? 0) > maxCheckedBytes) return;
  const found = quickCheck(db);
  if (found !== undefined) throw damaged(file, `SQLite's check says: ${found}`);
}

function damaged(file: string, why: string): Fault {
  return new Fault('damaged', `The database ${file} is damaged: ${why}.`, {
    hint: `Nothing was changed. ${wayOut}`,
  });
}

type Migration = { version: number; sql: string };

function readMigrations(): Migration[] {
  const folder = new URL('./migrations/', import.meta.url);
  return readdirSync(folder)
    .filter((name) => /^\d{4}-[a-z0-9-]+\.sql$/.test(name))
    .sort()
    .map((name) => ({ version: Number(name.slice(0, 4)), sql: readFileSync(new URL(name, folder), 'utf8') }));
}

/** The schema that this program writes. */
export function latestSchema(): number {
  return readMigrations().at(-1)?.version ?? 0;
}

async function bringUpToDate(db: DatabaseSync, file: string, clock: Clock): Promise<string[]> {
  const migrations = readMigrations();
  const latest = migrations.at(-1)?.version ?? 0;
  const version = db.prepare('PRAGMA user_version').get()?.user_version as number;
  const owner = db.prepare('PRAGMA application_id').get()?.application_id as number;
  if (owner !== 0 && owner !== applicationId) throw foreign(file);
  if (version > latest) throw newerSchema(file, version, latest);
  if (version === latest) return [];
  const isFirst = version === 0 && looksLikeFirst(db);
  if (version === 0 && !isFirst && hasTables(db)) throw foreign(file);
  const migrate = () => {
    for (const { version: to, sql } of migrations) if (to > version) db.exec(sql);
    if (version === 0) makeMeta(db);
    db.exec(`PRAGMA application_id = ${applicationId}; PRAGMA user_version = ${latest};`);
  };
  const named = migrations.flatMap(({ sql }) =>
    [...sql.matchAll(/^CREATE (?:TABLE|VIEW) (\w+)/gm)].map((m) => m[1] as string),
  );
  // A later migration may use a name again.
  const ourNames = [...new Set(named)];
  if (isFirst) return takeOver(db, file, clock, ourNames, migrate);
  const chainedNow = inTransaction(db, 'IMMEDIATE', () => {
    migrate();
    return version < chainSchema ? chainAll(db) : 0;
  });
  return chainedNow === 0 ? [] : [`${chainedNow} events are chained now, so that a later change of them is found.`];
}

async function takeOver(
  db: DatabaseSync,
  file: string,
  clock: Clock,
  ourNames: readonly string[],
  migrate: () => void,
): Promise<string[]> {
  const version = () => db.prepare('PRAGMA data_version').get()?.data_version;
  db.exec('PRAGMA journal_mode = DELETE');
  const before = version();
  const aside = await copyAside(db, file, clock);
  const carry = () => {
    if (version() !== before)
      throw new Fault('locked', `The first implementation is still writing into ${file}.`, {
        hint: 'Stop it, then start the bus again. Nothing was changed.',
      });
    const said = carryOver(db, clock, ourNames, migrate);
    chainAll(db);
    return said;
  };
  try {
    return [...inTransaction(db, 'EXCLUSIVE', carry), `Its file is kept as ${aside}.`];
  } catch (error) {
    // The original is as it was; a copy for each failed start would fill the disk.
    rmSync(aside, { force: true });
    throw error;
  }
}

function inTransaction<T>(db: DatabaseSync, kind: 'IMMEDIATE' | 'EXCLUSIVE', work: () => T): T {
  db.exec(`BEGIN ${kind}`);
  try {
    const result = work();
    db.exec('COMMIT');
    return result;
  } catch (error) {
    if (db.isTransaction) db.exec('ROLLBACK');
    throw error;
  }
}

export function newerSchema(file: string, version: number, known: number): Fault {
  return new Fault(
    'newer-schema',
    `The database ${file} has schema ${version}; this program knows schemas up to ${known}.`,
    { hint: 'Start the newer LeverEdge that wrote it, or put back the copy made before the upgrade.' },
  );
}

export function foreign(file: string): Fault {
  return new Fault('damaged', `${file} is a database of another program, not of the event bus.`, {
    hint: 'Nothing was changed. Move it aside, or give another folder with --home.',
  });
}

function hasTables(db: DatabaseSync): boolean {
  return db.prepare("SELECT 1 FROM sqlite_schema WHERE name NOT LIKE 'sqlite%' LIMIT 1").get() !== undefined;
}

function makeMeta(db: DatabaseSync): void {
  const add = db.prepare('INSERT INTO bus_meta (name, value) VALUES (?, ?)');
  add.run('epoch', randomBytes(4).toString('hex'));
  add.run('head', 0);
}

/** Defaults are added once and never twice: what was deleted is still there as a tombstone. */
function addMissingDefaults(db: DatabaseSync, clock: Clock): void {
  const newId = uuidV7Maker(clock);
  const now = rfc3339(clock());
  for (const { agent, pattern, priority, mode } of defaultSubscriptions) {
    if (findSubscription(db, agent, pattern)) continue;
    putSubscription(db, {
      id: newId(),
      agent_name: agent,
      action_pattern: pattern,
      priority,
      enabled: true,
      mode,
      except: [],
      origin: 'default',
      created_at: now,
      updated_at: now,
      deleted_at: null,
    });
  }
}
