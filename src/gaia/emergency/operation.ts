import { randomInt } from 'node:crypto';
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { makeFolder } from '../../base/files.ts';
import type { Log } from '../../base/log.ts';
import { writeWhole } from '../../recovery/archive/manifest-file.ts';
import { syncFolder } from '../../recovery/disk.ts';
import type { Place } from '../../recovery/place.ts';
import { stampOf } from '../../recovery/run/run-folder.ts';

/** One target of a restore, and what just that one is restored from. */
export type Part = { target: string; backup: string; file: string; sha256: string };

/** What became of a part. */
export type PartDone = { target: string; exit: number; says: string };

/** Something that was asked for by phone, as it lies on disk. */
export type Operation = {
  /** `20261125T081500Z-7KQ4`; people see the last four. */
  id: string;
  /** The request that it came from: asked again, it is the same. */
  request: string;
  user: number;
  verb: 'restore' | 'drill' | 'backup';
  /** A target, or `full`. */
  target: string;
  parts: readonly Part[];
  /**
   * `resolving`: its backup is still looked at. `pending`: waits for a code. `waiting`: confirmed, and can still be stopped before
   * it begins.
   */
  state: 'resolving' | 'pending' | 'waiting' | 'running' | 'ended';
  createdMs: number;
  expiresMs: number;
  startMs: number | null;
  /** The second factor whose code has confirmed it: its fingerprint. */
  factor: string | null;
  /** What is to be asked, and was not said yet. */
  asks: readonly string[] | null;
  /** When a runner last looked after it while it ran. */
  aliveMs: number | null;
  /** Somebody wants it stopped. */
  stopping: boolean;
  done: readonly PartDone[];
  /** `toTell`: who must hear of it; empty once it is said. */
  outcome: { kind: OutcomeKind; says: string; atMs: number; toTell: readonly number[] } | null;
};

/** `partly`: of several parts some are done, and the others were not begun. `refused`: nothing could be asked. */
export type OutcomeKind = 'done' | 'partly' | 'failed' | 'cancelled' | 'expired' | 'replaced' | 'refused';

const tagLetters = '23456789ABCDEFGHJKMNPQRSTVWXYZ';
const keptMs = 30 * 24 * 3_600_000;

/** A new id, made by the runner alone. */
export function newOperationId(nowMs: number): string {
  const tag = Array.from({ length: 4 }, () => tagLetters[randomInt(tagLetters.length)]).join('');
  return `${stampOf(nowMs)}-${tag}`;
}

/** As people name it: `#7KQ4`. */
export const tagOf = ({ id }: Pick<Operation, 'id'>) => `#${id.slice(-4)}`;

/** The event that a part is done for: once, however often it is begun. */
export const causeOf = ({ id }: Pick<Operation, 'id'>, target: string) => `phone.${id}.${target}`;

export type Operations = {
  /** Oldest first. */
  all(): readonly Operation[];
  /** The one that is not ended; there is one at most. */
  current(): Operation | undefined;
  /** Ended, and not told to everybody yet: the runner was killed in between. */
  untold(): readonly Operation[];
  ofRequest(request: string): Operation | undefined;
  /** On disk when it returns. */
  put(operation: Operation): Operation;
  sweep(nowMs: number): void;
};

/**
 * What was asked for by phone, kept where no restore puts another state in its place. A file that is damaged is told of and left where
 * it is: at worst what it was must be asked for again, and a runner that does not start would do nothing for anybody.
 */
export function operationsIn({ state }: Pick<Place, 'state'>, log: Pick<Log, 'error'>): Operations {
  const folder = join(state, 'emergency', 'operations');
  makeFolder(folder, 0o700);
  const known = new Map(read(folder, log).map((each) => [each.id, each]));
  const all = () => [...known.values()];
  return {
    all,
    current: () => all().findLast((each) => each.state !== 'ended'),
    untold: () => all().filter(({ outcome }) => (outcome?.toTell.length ?? 0) > 0),
    ofRequest: (request) => all().find((each) => each.request === request),
    put(operation) {
      writeWhole(join(folder, `${operation.id}.json`), Buffer.from(`${JSON.stringify(operation)}\n`));
      syncFolder(folder);
      known.set(operation.id, operation);
      return operation;
    },
    sweep(nowMs) {
      for (const { id, state: at, createdMs } of all()) {
        if (at !== 'ended' || nowMs - createdMs < keptMs) continue;
        rmSync(join(folder, `${id}.json`), { force: true });
        known.delete(id);
      }
    },
  };
}

function read(folder: string, log: Pick<Log, 'error'>): Operation[] {
  return readdirSync(folder)
    .filter((name) => /^\d{8}T\d{6}Z-\w{4}\.json$/.test(name))
    .sort()
    .flatMap((name) => {
      const operation = parse(readFileSync(join(folder, name), 'utf8'));
      if (operation !== undefined && `${operation.id}.json` === name) return [operation];
      log.error('the file of an operation is damaged, and is left alone', { file: join(folder, name) });
      return [];
    });
}

function parse(text: string): Operation | undefined {
  try {
    const operation = JSON.parse(text) as Operation;
    const { state, user, parts, done, createdMs, expiresMs, outcome } = operation;
    const isWhole =
      ['resolving', 'pending', 'waiting', 'running', 'ended'].includes(state) &&
      [user, createdMs, expiresMs].every(Number.isSafeInteger) &&
      [parts, done, outcome?.toTell ?? []].every(Array.isArray);
    // One of an older version has not all of them.
    const { asks = null, aliveMs = null, factor = null } = operation;
    return isWhole ? { ...operation, asks, aliveMs, factor } : undefined;
  } catch {
    return undefined; // No JSON.
  }
}
