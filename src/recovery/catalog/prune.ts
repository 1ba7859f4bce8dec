import { createHash } from 'node:crypto';
import { appendFileSync, existsSync, linkSync, readdirSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import { rfc3339 } from '../../base/clock.ts';
import { makeFolder } from '../../base/files.ts';
import { filesBeside, pointerEnd } from '../archive/manifest-file.ts';
import { syncFolder } from '../disk.ts';
import type { Place } from '../place.ts';
import { stampOf } from '../run/run-folder.ts';
import type { Target } from '../target.ts';
import { asKept, type Backup, isWhole, listBackups, pinOf } from './catalog.ts';
import { type Decision, decide, type RetentionPolicy } from './retention.ts';

/** How long what was removed can still be taken back by hand. */
export const trashHours = 48;
const hourMs = 3_600_000;

export type PrunePlan = { target: string; decisions: Decision<ReturnType<typeof asKept>>[] }[];

/** What would go and what would stay, with the reason for each. Changes nothing. */
export function planPrune(
  place: Place,
  targets: readonly Pick<Target, 'name' | 'restic'>[],
  policy: RetentionPolicy,
): PrunePlan {
  return targets.map(({ name: target, restic }) => {
    const all = listBackups(place, [target]);
    // Databases alone are kept beside whole backups and never instead of them; archives and a repository likewise.
    const groups = Map.groupBy(all, (backup) => `${isWhole(backup)} ${isInRepository(backup)}`);
    const decisions = [...groups.values()].flatMap((group) => {
      const first = group[0] as Backup;
      const isBeside = restic?.active === true && isWhole(first) && !isInRepository(first);
      return decide(group.map(asKept), isBeside && hasSound(all) ? onlyNewest : policy);
    });
    return { target, decisions };
  });
}

/** Where backups go into a repository, one archive is kept beside them. */
const onlyNewest: RetentionPolicy = { keepLast: 1, hourly: 0, daily: 0, weekly: 0, monthly: 0 };

const isInRepository = ({ manifest }: Backup) => manifest?.snapshot !== undefined;
const hasSound = (all: readonly Backup[]) => all.some((each) => each.kind === 'sound' && isInRepository(each));

/**
 * Moves what goes into the trash, archive and what belongs to it together. The caller holds the lock. `cause`: the event that it
 * is done for, by which it is known again.
 */
export function prune(place: Place, plan: PrunePlan, nowMs: number, cause?: string): Backup[] {
  const gone = plan.flatMap(({ decisions }) =>
    decisions.filter(({ keep }) => !keep).map(({ backup }) => backup.backup),
  );
  if (gone.length > 0) remember(place, gone, nowMs, cause);
  intoTrashAll(place, gone, nowMs);
  return gone;
}

/**
 * The names of what was pruned for this event, though it may have been killed before all of it was in the trash; none when
 * nothing was begun for it.
 */
export function prunedFor(place: Pick<Place, 'state'>, cause: string): string[] {
  const file = prunedIn(place);
  if (!existsSync(file)) return [];
  const lines = readFileSync(file, 'utf8').split('\n');
  return lines.flatMap((line) => {
    const pruned = lineOf(line);
    return pruned?.cause === cause ? [pruned.name] : [];
  });
}

/** Moves what is left of these into the trash, which was begun. The caller holds the lock. */
export function finishPrune(place: Place, targets: readonly string[], names: readonly string[], nowMs: number): void {
  const left = listBackups(place, targets).filter(({ name }) => names.includes(name));
  intoTrashAll(place, left, nowMs);
}

const prunedIn = ({ state }: Pick<Place, 'state'>) => join(state, 'pruned.ndjson');

function lineOf(text: string): { name: string; cause?: string } | undefined {
  try {
    return JSON.parse(text) as { name: string; cause?: string };
  } catch {
    return undefined; // The last one, of a machine that lost its power just then.
  }
}

function intoTrashAll(place: Place, gone: readonly Backup[], nowMs: number): void {
  const trash = join(place.state, 'trash', stampOf(nowMs));
  for (const backup of gone) for (const file of backup.files) intoTrash(place, trash, file);
  for (const folder of new Set(gone.flatMap(({ files }) => files.map(dirname)))) syncFolder(folder);
}

/** Each manifest names the hash of the one before; where that one is gone, this says so. Written before it goes. */
function remember(place: Place, gone: readonly Backup[], nowMs: number, cause: string | undefined): void {
  makeFolder(place.state, 0o700);
  const lines = gone.map(({ name, target, file }) => {
    const { manifest } = filesBeside(file);
    const sha256 = createHash('sha256').update(readFileSync(manifest)).digest('hex');
    return `${JSON.stringify({ name, target, manifest_sha256: sha256, pruned_at: rfc3339(nowMs), cause })}\n`;
  });
  appendFileSync(prunedIn(place), lines.join(''), { mode: 0o600, flush: true });
}

function intoTrash(place: Place, trash: string, file: string): void {
  const { manifest, signature } = filesBeside(file);
  // The archive goes first: what is left of it then is no backup to anybody.
  for (const each of [file, manifest, signature, pinOf(file)]) {
    if (!existsSync(each)) continue;
    const to = join(trash, relative(place.backups, each));
    makeFolder(dirname(to), 0o700);
    renameSync(each, to);
  }
}

/** What lies in the trash and how long it has. */
export function trashed(place: Pick<Place, 'state'>, nowMs: number): { folder: string; expired: boolean }[] {
  const trash = join(place.state, 'trash');
  if (!existsSync(trash)) return [];
  return readdirSync(trash).flatMap((name) => {
    const since = timeOf(name);
    return since === undefined ? [] : [{ folder: join(trash, name), expired: nowMs - since > trashHours * hourMs }];
  });
}

/** Backups in repositories that lie in the trash long enough: forgotten there before the trash is emptied. */
export function expiredSnapshots(place: Pick<Place, 'state'>, nowMs: number): { target: string; name: string }[] {
  const pointers = trashed(place, nowMs)
    .filter((each) => each.expired)
    .flatMap(({ folder }) =>
      (readdirSync(folder, { recursive: true }) as string[]).filter((path) => path.endsWith(pointerEnd)),
    );
  return pointers.map((path) => ({ target: path.split('/')[0] ?? '', name: basename(path) }));
}

/** Removes for good what lay in the trash long enough. */
export function emptyTrash(place: Pick<Place, 'state'>, nowMs: number): string[] {
  const expired = trashed(place, nowMs).filter((each) => each.expired);
  for (const { folder } of expired) rmSync(folder, { recursive: true, force: true });
  return expired.map(({ folder }) => folder);
}

function timeOf(stamp: string): number | undefined {
  const match = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(stamp);
  return match ? Date.parse(`${match[1]}-${match[2]}-${match[3]}T${match[4]}:${match[5]}:${match[6]}Z`) : undefined;
}

/** Files a backup into buckets as well, as hard links: no room is taken twice. Safe to repeat. */
export function fileIntoBuckets(place: Place, target: string, file: string, into: readonly string[]): void {
  for (const bucket of into) {
    const folder = join(place.backups, target, bucket);
    makeFolder(folder, 0o700);
    const { manifest, signature } = filesBeside(file);
    // The archive last: it is what makes a backup.
    for (const each of [signature, manifest, file]) {
      const to = join(folder, basename(each));
      if (statSync(to, { throwIfNoEntry: false }) === undefined) linkSync(each, to);
    }
    syncFolder(folder);
  }
}
