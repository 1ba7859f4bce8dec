import { readdirSync, readFileSync, type Stats, statSync } from 'node:fs';
import { basename, join, relative, resolve } from 'node:path';
import { Fault } from '../../base/fault.ts';
import { isThere } from '../../base/files.ts';
import { nearest } from '../../base/nearest.ts';
import type { Manifest } from '../archive/manifest.ts';
import { backupEnds, filesBeside, parseManifest } from '../archive/manifest-file.ts';
import type { Place } from '../place.ts';
import { parseBackupName } from './backup-name.ts';
import { type Records, readRecords, type Verified } from './records.ts';
import type { Kept } from './retention.ts';

/**
 * `sound`: written, read back whole, and nothing since says otherwise. `degraded`: something in it changed or could not be
 * read. `unverified`: of an older tool. `damaged`: a verification said so, or its manifest is none. `incomplete`: one of
 * ours without manifest or signature.
 */
export type BackupKind = 'sound' | 'degraded' | 'unverified' | 'damaged' | 'incomplete';

export type Backup = {
  name: string;
  target: string;
  file: string;
  /** The kept-longest bucket it lies in; null for the target's own folder. */
  bucket: 'hourly' | 'daily' | 'weekly' | 'monthly' | null;
  /** All places of the same file. */
  files: string[];
  kind: BackupKind;
  /** Why it is not sound. */
  reason: string | undefined;
  atMs: number;
  bytes: number;
  pinned: boolean;
  manifest: Manifest | undefined;
  verified: Verified | undefined;
};

const buckets = ['monthly', 'weekly', 'daily', 'hourly'] as const;
const maxSuggested = 3;

/** All backups of some targets, newest first. Reads folders and manifests, no archive. A folder that is missing has none. */
export function listBackups(place: Place, targets: readonly string[]): Backup[] {
  const records = readRecords(place);
  return targets
    .flatMap((target) => ofTarget(place, target, records))
    .sort((a, b) => b.atMs - a.atMs || (a.name < b.name ? 1 : -1));
}

function ofTarget(place: Place, target: string, records: Records): Backup[] {
  const found = new Map<string, Found>();
  for (const bucket of [...buckets, null]) {
    const folder = bucket === null ? join(place.backups, target) : join(place.backups, target, bucket);
    for (const name of namesIn(folder)) {
      const named = parseBackupName(name);
      if (named === undefined) continue;
      const file = join(folder, name);
      const stats = statSync(file, { throwIfNoEntry: false });
      if (!stats?.isFile()) continue;
      // Hard links in several buckets are one backup.
      const key = `${stats.dev}:${stats.ino}`;
      const known = found.get(key);
      if (known !== undefined) known.files.push(file);
      else found.set(key, { target, bucket, file, files: [file], stats, ...named });
    }
  }
  return [...found.values()].map((each) => describe(place, each, records));
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return [];
    throw new Fault('usage', `The folder of backups ${folder} cannot be read (${code}).`, {
      hint: 'Run it as root.',
      cause: error,
    });
  }
}

type Found = {
  target: string;
  bucket: Backup['bucket'];
  file: string;
  files: string[];
  stats: Stats;
  atMs: number | undefined;
  format: 'own' | 'old';
};

function describe(place: Place, found: Found, records: Records): Backup {
  const { target, bucket, file, files, stats, atMs, format } = found;
  const manifest = format === 'own' ? manifestBeside(file) : undefined;
  const verified = recordOf(place, found, records);
  const { kind, reason } = kindOf(file, format, manifest, stats, verified, target);
  return {
    name: basename(file),
    target,
    file,
    bucket,
    files,
    kind,
    reason,
    atMs: (manifest === undefined ? undefined : Date.parse(manifest.created_at)) ?? atMs ?? Math.floor(stats.mtimeMs),
    bytes: manifest?.snapshot?.added_bytes ?? stats.size,
    pinned: files.some((each) => isThere(pinOf(each))),
    manifest,
    verified,
  };
}

/** What was found out about this file under any of its names; that it is damaged counts more than that it once was not. */
function recordOf(place: Place, { files, stats }: Found, records: Records): Verified | undefined {
  const valid = files
    .map((file) => records[relative(place.backups, file)])
    .filter((each) => each?.bytes === stats.size && each.mtimeMs === Math.floor(stats.mtimeMs));
  return valid.find((each) => each?.verdict === 'damaged') ?? valid.find((each) => each?.drilled_at) ?? valid[0];
}

function manifestBeside(file: string): Manifest | undefined {
  const names = filesBeside(file);
  try {
    if (!isThere(names.signature)) return undefined;
    return parseManifest(readFileSync(names.manifest));
  } catch {
    return undefined; // Not there, or not to be read: told as incomplete.
  }
}

function kindOf(
  file: string,
  format: 'own' | 'old',
  manifest: Manifest | undefined,
  stats: Stats,
  verified: Verified | undefined,
  target: string,
): { kind: BackupKind; reason: string | undefined } {
  if (verified?.verdict === 'damaged') return { kind: 'damaged', reason: verified.reason };
  if (format === 'old') return { kind: 'unverified', reason: 'of an older tool, without a manifest' };
  if (manifest === undefined)
    return isThere(filesBeside(file).manifest)
      ? { kind: 'damaged', reason: 'its manifest cannot be read, or has no signature' }
      : { kind: 'incomplete', reason: 'there is no manifest beside it' };
  if (manifest.name !== basename(file) || manifest.target !== target)
    return { kind: 'damaged', reason: 'the manifest beside it is of another archive' };
  if (manifest.archive.bytes !== stats.size)
    return { kind: 'damaged', reason: `it has ${stats.size} bytes instead of ${manifest.archive.bytes}` };
  if (manifest.degraded.length > 0) return { kind: 'degraded', reason: manifest.degraded[0] };
  return { kind: 'sound', reason: undefined };
}

/** The file that says that a backup is to be kept, beside it so that it survives the loss of everything else. */
export function pinOf(file: string): string {
  return `${file}.pinned`;
}

/**
 * The backup that somebody means: a path, a name, the beginning of one, or `latest`. `withDatabases`: the latest may hold
 * databases alone.
 * @throws Fault `not-found`, `conflict` when the beginning fits several
 */
export function findBackup(place: Place, targets: readonly string[], wanted: string, withDatabases = false): Backup {
  const all = listBackups(place, targets);
  if (wanted === 'latest') return latestOf(withDatabases ? all : all.filter(isWhole), targets);
  if (wanted.includes('/')) return byPath(place, all, wanted);
  const named = all.filter(({ name }) => name === wanted || backupEnds.some((end) => name === `${wanted}${end}`));
  const fitting = named.length > 0 ? named : all.filter(({ name }) => name.startsWith(wanted));
  if (fitting.length === 1) return fitting[0] as Backup;
  if (fitting.length > 1)
    throw new Fault('conflict', `${wanted} fits ${fitting.length} backups.`, {
      hint: `Say more of the name: ${fitting
        .slice(0, maxSuggested)
        .map(({ name }) => name)
        .join(', ')}`,
    });
  const guess = nearest(
    wanted,
    all.map(({ name }) => name),
  );
  throw new Fault('not-found', `No backup is called ${wanted}.`, {
    hint: guess === undefined ? 'See what there is: gaia list' : `Did you mean ${guess}? See: gaia list`,
  });
}

function byPath(place: Place, all: readonly Backup[], wanted: string): Backup {
  const file = resolve(wanted);
  const known = all.find(({ files }) => files.includes(file));
  if (known !== undefined) return known;
  const stats = statSync(file, { throwIfNoEntry: false });
  const named = parseBackupName(basename(file));
  if (!stats?.isFile())
    throw new Fault('not-found', `There is no backup at ${file}.`, { hint: 'See what there is: gaia list' });
  if (named === undefined)
    throw new Fault('usage', `${file} is not called as a backup is (….tar.zst, ….tar.zst.age, ….restic, ….tar.gz).`, {
      hint: 'Name the archive itself.',
    });
  const target = manifestBeside(file)?.target ?? '';
  return describe(place, { target, bucket: null, file, files: [file], stats, ...named }, {});
}

/**
 * The newest sound and whole backup; where a target has none of our own at all, the newest of an older tool.
 * @throws Fault `not-found` saying what there is instead
 */
function latestOf(all: readonly Backup[], targets: readonly string[]): Backup {
  const sound = all.find(({ kind }) => kind === 'sound');
  if (sound !== undefined) return sound;
  const old = all.find(({ kind }) => kind === 'unverified');
  if (old !== undefined && all.every(({ kind }) => kind === 'unverified')) return old;
  const whose = targets.length === 1 ? `of ${targets[0]}` : `of ${targets.join(', ')}`;
  const [newest] = all;
  if (newest === undefined)
    throw new Fault('not-found', `There is no backup ${whose}.`, {
      hint: `Make one: gaia backup ${targets[0] ?? 'TARGET'}`,
    });
  throw new Fault(
    'not-found',
    `There is no sound backup ${whose}; the newest, ${newest.name}, is ${newest.kind} (${newest.reason}).`,
    {
      hint: `Look at all of them: gaia list. To take that one all the same, name it: --backup ${newest.name}`,
    },
  );
}

/** Not the databases alone. */
export function isWhole({ manifest }: Pick<Backup, 'manifest'>): boolean {
  return manifest?.contents === undefined;
}

/** As retention sees it. */
export function asKept(backup: Backup): Kept & { backup: Backup } {
  const { name, atMs, kind, pinned, verified } = backup;
  const drilled = verified?.drilled_at === undefined ? undefined : Date.parse(verified.drilled_at);
  return { name, atMs, kind: kind === 'sound' ? 'sound' : 'other', pinned, drilledMs: drilled, backup };
}
