import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Fault } from '../../base/fault.ts';
import { makeFolder } from '../../base/files.ts';
import { filesBeside, pointerEnd } from '../archive/manifest-file.ts';
import { syncFolder } from '../disk.ts';
import type { Place } from '../place.ts';
import { type ResticRepository, shownRepository } from './repository.ts';
import { resticJson, runRestic } from './run-restic.ts';
import { catalogueTag, ownTag } from './take-snapshot.ts';

/** A snapshot of ours, as the repository has it. */
export type OwnSnapshot = {
  id: string;
  /** RFC 3339 */
  at: string;
  target: string;
  /** `dev-2026-11-28-101500.restic` */
  backup: string;
  paths: string[];
  /** Holds the list of files of that backup, and where all backups of the target are. */
  isCatalogue: boolean;
};

/** All snapshots of ours, oldest first. @throws Fault */
export async function ownSnapshots(at: ResticRepository, signal?: AbortSignal): Promise<OwnSnapshot[]> {
  const run = { reads: true, ...(signal === undefined ? {} : { signal }) };
  const { stdout } = await runRestic(at, ['snapshots', '--json', '--tag', ownTag], run);
  const found = resticJson(at, stdout) as { id: string; time: string; tags?: string[]; paths?: string[] }[] | null;
  return (found ?? []).map(({ id, time, tags = [], paths = [] }) => ({
    id,
    at: time,
    target: tagOf(tags, 'target'),
    backup: tagOf(tags, 'backup'),
    paths,
    isCatalogue: tags.includes(catalogueTag),
  }));
}

function tagOf(tags: readonly string[], name: string): string {
  return tags.find((tag) => tag.startsWith(`${name}=`))?.slice(name.length + 1) ?? '';
}

/** @throws Fault for one that is not there, is not reached, or does not open with the password */
export async function requireOpens(at: ResticRepository): Promise<void> {
  await runRestic(at, ['cat', 'config'], { reads: true });
}

/** Makes a new, empty repository; false when there is one already that the password opens. @throws Fault */
export async function makeRepository(at: ResticRepository): Promise<boolean> {
  try {
    await requireOpens(at);
    return false;
  } catch (error) {
    if (!(error instanceof Fault) || error.code !== 'not-found') throw error;
  }
  await runRestic(at, ['init', '--quiet']);
  return true;
}

/** Whether all that snapshots need is there and in order, without reading contents. @throws Fault `damaged` */
export async function checkRepository(at: ResticRepository): Promise<void> {
  await runRestic(at, ['check', '--quiet'], { reads: true });
}

/**
 * Forgets backups by name, each with its list, and frees what nothing needs any more.
 * @returns how many snapshots went
 * @throws Fault
 */
export async function forgetBackups(at: ResticRepository, names: readonly string[]): Promise<number> {
  if (names.length === 0) return 0;
  const going = (await ownSnapshots(at)).filter(({ backup }) => names.includes(backup)).map(({ id }) => id);
  if (going.length > 0) await runRestic(at, ['forget', '--quiet', '--prune', ...going]);
  return going.length;
}

/**
 * Forgets what backups have left that came to no end, and that are older than a time: contents without a list, which nothing can
 * restore. What is known here stays.
 * @returns their names
 * @throws Fault
 */
export async function forgetUnfinished(
  at: ResticRepository,
  { targets, beforeMs, known }: { targets: readonly string[]; beforeMs: number; known: ReadonlySet<string> },
): Promise<string[]> {
  const all = await ownSnapshots(at);
  const listed = new Set(all.filter(({ isCatalogue }) => isCatalogue).map(({ backup }) => backup));
  const going = all.filter(
    ({ backup, target, at: made }) =>
      targets.includes(target) && !listed.has(backup) && !known.has(backup) && Date.parse(made) < beforeMs,
  );
  const ids = going.map(({ id }) => id);
  if (ids.length > 0) await runRestic(at, ['forget', '--quiet', '--prune', ...ids]);
  return [...new Set(going.map(({ backup }) => backup))];
}

/** What was fetched, and what the repository has of which nothing says how it is restored. */
export type Fetched = { backups: string[]; orphans: string[] };

/**
 * Brings what stands for the backups in a repository into the folder of backups, as on a machine that has nothing else. What is
 * there already stays as it is.
 * @throws Fault `not-found` when it has none of ours
 */
export async function fetchCatalogue(
  at: ResticRepository,
  place: Pick<Place, 'backups' | 'state'>,
  targets: readonly string[],
): Promise<Fetched> {
  const all = await ownSnapshots(at);
  const held = new Set(all.filter(({ isCatalogue }) => !isCatalogue).map(({ backup }) => backup));
  if (held.size === 0)
    throw new Fault('not-found', `There are no backups of LeverEdge in ${shownRepository(at)}.`, {
      hint: 'Is it the right repository? restic snapshots shows all that it has.',
    });
  const fetched: Fetched = { backups: [], orphans: [] };
  // The newest first: mostly it has all. One made after the loss does not know those of before, and each of them has its own.
  for (const each of all.filter(({ isCatalogue, target }) => isCatalogue && targets.includes(target)).reverse())
    if (held.has(each.backup) && !existsSomewhere(place, each.target, each.backup))
      fetched.backups.push(...(await fetchOne(at, place, each, held)));
  for (const { backup, target, isCatalogue } of all)
    if (!isCatalogue && targets.includes(target) && !existsSomewhere(place, target, backup))
      fetched.orphans.push(backup);
  return fetched;
}

const buckets = ['', 'hourly', 'daily', 'weekly', 'monthly'];

function existsSomewhere({ backups }: Pick<Place, 'backups'>, target: string, name: string): boolean {
  return buckets.some((bucket) => existsSync(join(backups, target, bucket, name)));
}

async function fetchOne(
  at: ResticRepository,
  place: Pick<Place, 'backups' | 'state'>,
  { id, target, paths }: OwnSnapshot,
  held: ReadonlySet<string>,
): Promise<string[]> {
  makeFolder(place.state, 0o700);
  const work = mkdtempSync(join(place.state, 'fetch-'));
  try {
    await runRestic(at, ['restore', id, '--target', work], { reads: true });
    const from = join(work, paths[0] ?? '', 'catalogue');
    // Left by a backup that was killed while it began this one: it says nothing.
    if (!existsSync(from)) return [];
    const folder = join(place.backups, target);
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const brought: string[] = [];
    for (const name of readdirSync(from).filter((each) => each.endsWith(pointerEnd) && held.has(each))) {
      if (existsSomewhere(place, target, name)) continue;
      const { manifest, signature } = filesBeside(name);
      // What makes it a backup comes last.
      for (const each of [signature, manifest, name]) {
        const to = join(folder, each);
        if (!existsSync(join(from, each)) || existsSync(to)) continue;
        copyFileSync(join(from, each), `${to}.copying`);
        renameSync(`${to}.copying`, to);
      }
      brought.push(name);
    }
    syncFolder(folder);
    return brought;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}
