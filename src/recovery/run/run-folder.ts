import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync } from 'node:fs';
import { basename, join } from 'node:path';
import { Fault } from '../../base/fault.ts';
import { makeFolder } from '../../base/files.ts';
import { writeWhole } from '../archive/manifest-file.ts';
import { syncFolder } from '../disk.ts';
import type { BusSetting } from '../events/find-bus.ts';
import type { Place } from '../place.ts';
import type { Target } from '../target.ts';

/** What a run is to do, written before it begins, so that whoever goes on with it knows. */
export type RunRequest = {
  id: string;
  kind: 'restore' | 'undo';
  target: Target;
  /** As the configuration had it; whoever goes on with the run needs no configuration. */
  place: Place;
  /** For a restore: the archive, and the digest of its manifest (null for an archive of an older tool). */
  backup: { file: string; name: string; created_at: string | null; manifest_sha256: string | null } | null;
  /** `db`, `files` or a path below the target. */
  only: string | null;
  /** For an undo: the run that is taken back. */
  undoes: string | null;
  /** What was confirmed; the runner makes the plan again and refuses when it is another. */
  plan_hash: string;
  ignore_open: boolean;
  /** The event it is done for, once however often it is asked. Whoever names one tells the bus what became of it. */
  cause?: string;
  /** Servers of databases get new data folders. */
  fresh_server?: boolean;
  /** Which bus hears of it; requests of older versions do not say. */
  bus?: BusSetting;
  created_at: string;
  tool: string;
};

/** `20261125T081500Z-123a1b2c3`: sorts by time, to the millisecond. Also part of the names of stages. */
export function newRunId(nowMs: number): string {
  const ms = String(Math.floor(nowMs) % 1000).padStart(3, '0');
  return `${stampOf(nowMs)}-${ms}${randomBytes(3).toString('hex')}`;
}

/** `20261125T081500Z` */
export function stampOf(nowMs: number): string {
  return `${new Date(nowMs).toISOString().slice(0, 19).replaceAll(/[-:]/g, '')}Z`;
}

/**
 * The time of a run for the names of what it puts aside, as `20261125T081500Z`; with `-2` and so on after another run of that
 * second, since what one put aside must not end under the name of another's. Always the same for one run.
 */
export function ownStamp(place: Pick<Place, 'state'>, { id, created_at }: RunRequest): string {
  const stamp = stampOf(Date.parse(created_at));
  const before = runFolders(place).filter((folder) => {
    const other = basename(folder);
    return other.startsWith(stamp) && other < id;
  });
  return before.length === 0 ? stamp : `${stamp}-${before.length + 1}`;
}

/** The folder of all runs. */
const runsIn = (place: Pick<Place, 'state'>) => join(place.state, 'runs');
/** The journal in a run's folder. */
export const journalOf = (folder: string) => join(folder, 'journal.ndjson');
/** What the running process says of its progress, replaced as a whole each time. */
export const progressOf = (folder: string) => join(folder, 'progress.json');
/** What a detached run printed. */
export const logOf = (folder: string) => join(folder, 'log');

/** Makes the folder of a run with its request, on disk when it returns. */
export function makeRun(place: Pick<Place, 'state'>, request: RunRequest): string {
  const runs = runsIn(place);
  makeFolder(runs, 0o700);
  const folder = join(runs, request.id);
  mkdirSync(folder, { mode: 0o700 });
  writeWhole(join(folder, 'request.json'), Buffer.from(`${JSON.stringify(request, null, 1)}\n`));
  syncFolder(folder);
  syncFolder(runs);
  return folder;
}

/** Puts another request in the place of a run's, on disk when it returns. */
export function rewriteRequest(folder: string, request: RunRequest): void {
  writeWhole(join(folder, 'request.json'), Buffer.from(`${JSON.stringify(request, null, 1)}\n`));
  syncFolder(folder);
}

/** The request of a run, or undefined when it never was written whole: then nothing was begun either. */
export function requestOf(folder: string): RunRequest | undefined {
  try {
    return JSON.parse(readFileSync(join(folder, 'request.json'), 'utf8')) as RunRequest;
  } catch {
    return undefined; // The machine stopped before the run began.
  }
}

/** The same for who is about to do the run. @throws Fault `conflict` when it was withdrawn, `not-found` */
export function requireRequest(folder: string): RunRequest {
  const request = requestOf(folder);
  if (request !== undefined) return request;
  if (existsSync(withdrawnOf(folder)))
    throw new Fault('conflict', 'The same was asked for again before this had begun, and nothing was done.', {
      hint: 'See: gaia status',
    });
  throw new Fault('not-found', `There is no run in ${folder}.`);
}

const withdrawnOf = (folder: string) => join(folder, 'withdrawn.json');

/** Takes the request out of a run's folder, so that it never begins. The caller holds the lock and knows that it has not. */
export function withdraw(folder: string): void {
  renameSync(join(folder, 'request.json'), withdrawnOf(folder));
  syncFolder(folder);
}

/** Folders of all runs, oldest first. */
export function runFolders(place: Pick<Place, 'state'>): string[] {
  const runs = runsIn(place);
  try {
    return readdirSync(runs)
      .filter((name) => /^\d{8}T\d{6}Z-/.test(name))
      .sort()
      .map((name) => join(runs, name));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}
