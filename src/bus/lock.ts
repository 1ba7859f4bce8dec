import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { Fault, reasonOf } from '../base/fault.ts';
import { makeFolder } from '../base/files.ts';

/** What `bus.json` says about the bus that runs on this home, for `doctor` and for the sentence of a refusal. */
export type Running = { pid: number; url: string; started: string };

export type Lock = {
  /** Says where this bus listens. */
  announce(running: Running): void;
  /** Takes the announcement back and lets go. Safe to repeat. */
  release(): void;
};

/**
 * Makes sure that one bus alone works on a database: an exclusive transaction on `bus.lock` beside it, which the
 * operating system ends with the process, however that ends; so there is never a stale lock to remove by hand.
 * Creates the folder.
 * @throws Fault `locked` naming the holder, `usage` when the folder cannot be made or written.
 */
export function takeLock(databaseFile: string): Lock {
  const folder = dirname(databaseFile);
  const announcement = join(folder, 'bus.json');
  const database = openExclusively(folder, announcement);
  return {
    announce: (running) => writeFileSync(announcement, `${JSON.stringify(running)}\n`, { mode: 0o600 }),
    release() {
      if (!database.isOpen) return;
      rmSync(announcement, { force: true });
      database.close();
    },
  };
}

function openExclusively(folder: string, announcement: string): DatabaseSync {
  let database: DatabaseSync | undefined;
  try {
    makeFolder(folder, 0o700);
    database = new DatabaseSync(join(folder, 'bus.lock'));
    database.exec('BEGIN EXCLUSIVE');
    return database;
  } catch (error) {
    database?.close();
    const sqliteBusy = 5;
    if ((error as { errcode?: number }).errcode === sqliteBusy) throw held(folder, announcement);
    throw new Fault('usage', `The folder ${folder} cannot be used for the bus' data (${reasonOf(error)}).`, {
      hint: 'Make it writable for this user, or choose another home with --home or LEVEREDGE_HOME.',
      cause: error,
    });
  }
}

function held(folder: string, announcement: string): Fault {
  const running = readAnnouncement(announcement);
  const who = running ? `process ${running.pid}, ${running.url}, since ${running.started}` : 'its process is not known';
  return new Fault('locked', `Another bus works on ${folder} already (${who}).`, {
    hint: running
      ? `Use that one, stop it (kill ${running.pid}), or choose another home with --home.`
      : 'Use that one, stop it, or choose another home with --home.',
    extra: running ? { pid: running.pid, url: running.url } : {},
  });
}

/** The announcement of the running bus, or undefined when there is none that can be read. */
function readAnnouncement(file: string): Running | undefined {
  try {
    const { pid, url, started } = JSON.parse(readFileSync(file, 'utf8')) as Partial<Running>;
    if (!Number.isInteger(pid) || typeof url !== 'string' || typeof started !== 'string') return undefined;
    return { pid: pid as number, url, started };
  } catch {
    return undefined; // Not there, or half written: the refusal then names nobody.
  }
}
