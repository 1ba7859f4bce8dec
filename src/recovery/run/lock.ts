import { closeSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { type Clock, rfc3339 } from '../../base/clock.ts';
import { Fault, reasonOf } from '../../base/fault.ts';
import { makeFolder } from '../../base/files.ts';
import { diskFault } from '../disk.ts';
import type { Place } from '../place.ts';
import { identityOf, isAlive, type ProcessIdentity } from './live-process.ts';

/** Who works on the backups, for people. */
export type Holder = ProcessIdentity & { verb: string; since: string };

export type Lock = {
  /** Safe to repeat. */
  release(): void;
};

const sqliteBusy = 5;

const attempts = 25;
const pauseMs = 20;

/**
 * Takes the one lock of a home, which whoever backs up, restores or prunes must hold. It is an exclusive transaction, so the
 * kernel ends it with its process, however that ends: there is never a lock to remove by hand. `lock.json` beside it only
 * says who.
 * @throws Fault `locked` naming the holder, `storage-full` on a read-only or full disk, `usage`
 */
export function takeLock(place: Pick<Place, 'state'>, verb: string, clock: Clock): Lock {
  const info = join(place.state, 'lock.json');
  const holding = hold(place);
  const holder: Holder = { ...mine(), verb, since: rfc3339(clock()) };
  try {
    writeFileSync(info, `${JSON.stringify(holder)}\n`, { mode: 0o600 });
  } catch (error) {
    holding.close();
    throw diskFault(error, place.state);
  }
  return {
    release() {
      if (!holding.isOpen) return;
      rmSync(info, { force: true });
      holding.close();
    },
  };
}

function hold(place: Pick<Place, 'state'>): DatabaseSync {
  let database: DatabaseSync | undefined;
  try {
    makeFolder(place.state, 0o700);
    requireWritable(place.state);
    database = new DatabaseSync(join(place.state, 'lock.db'));
    for (let asked = 1; !tryToBegin(database); asked++) {
      // Who just took it has not written down yet who it is, or is about to let go.
      const holder = holderOf(place);
      if (holder || asked === attempts) throw held(holder);
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, pauseMs);
    }
    return database;
  } catch (error) {
    database?.close();
    const fault = diskFault(error, place.state);
    if (fault instanceof Fault) throw fault;
    throw new Fault('usage', `${place.state} cannot be used: ${reasonOf(error)}.`, { cause: error });
  }
}

function tryToBegin(database: DatabaseSync): boolean {
  try {
    database.exec('BEGIN EXCLUSIVE');
    return true;
  } catch (error) {
    if ((error as { errcode?: number }).errcode === sqliteBusy) return false;
    throw error;
  }
}

function mine(): ProcessIdentity {
  return identityOf(process.pid) ?? { pid: process.pid, boot_id: '', start_time: 0 };
}

/** SQLite's own complaints do not tell a read-only disk from a full one. */
function requireWritable(folder: string): void {
  const probe = join(folder, `.writable-${process.pid}`);
  closeSync(openSync(probe, 'w', 0o600));
  rmSync(probe, { force: true });
}

function held(holder: Holder | undefined): Fault {
  const who = holder
    ? `${holder.verb}, process ${holder.pid}, since ${holder.since}`
    : 'its process does not say who it is';
  return new Fault('locked', `Another run works on these backups (${who}).`, {
    hint: 'Watch it: gaia status --follow. It lets go when it ends, and also when it is killed.',
    extra: holder ? { pid: holder.pid, verb: holder.verb } : {},
  });
}

/** Who holds the lock, as it wrote down itself and as far as it lives; undefined when nobody does. Changes nothing. */
export function holderOf(place: Pick<Place, 'state'>): Holder | undefined {
  try {
    const holder = JSON.parse(readFileSync(join(place.state, 'lock.json'), 'utf8')) as Holder;
    return typeof holder.verb === 'string' && isAlive(holder) ? holder : undefined;
  } catch {
    return undefined; // Not there, or half written.
  }
}
