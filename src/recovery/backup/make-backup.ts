import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import type { Clock } from '../../base/clock.ts';
import { Fault } from '../../base/fault.ts';
import { makeFolder } from '../../base/files.ts';
import type { Manifest } from '../archive/manifest.ts';
import { archiveEnd, filesBeside, pointerEnd, sealedEnd, writeManifest } from '../archive/manifest-file.ts';
import { loadSigner, type Signer } from '../archive/sign.ts';
import { readBack } from '../archive/verify-archive.ts';
import { requireVolumesNamed, withVolumes } from '../compose/volumes.ts';
import { diskFault, syncFolder } from '../disk.ts';
import { newHeader } from '../encryption/age-header.ts';
import { type MachineFacts, machineFacts } from '../machine/facts.ts';
import type { Place } from '../place.ts';
import { type FoundDatabase, findDatabases } from '../postgres/dump.ts';
import type { Progress } from '../progress.ts';
import type { ResticRepository } from '../restic/repository.ts';
import { programFor, type Target, withSecrets } from '../target.ts';
import { freeName } from './backup-name.ts';
import { makeSnapshot, maxAttempts, setName } from './make-snapshot.ts';
import { type Survey, survey } from './survey.ts';
import { writeArchive } from './write-archive.ts';

export type BackupRequest = {
  target: Target;
  place: Place;
  reason: Manifest['reason'];
  /** The event that asked for it. */
  cause?: string | undefined;
  set: string | null;
  /** Only the databases, as between two whole backups. */
  only?: 'db' | undefined;
  /** `LeverEdge 0.1.0` */
  tool: string;
  host: Manifest['host'];
  /** The manifest of the newest backup of this target, to be named in the new one. */
  previousManifest: string | null;
  clock: Clock;
  progress?: Progress | undefined;
  /** The executable that runs: a bare machine begins with it, so it is part of control-plane's backups. */
  program?: string | undefined;
  /** Into an archive also where the target's backups go into a repository. */
  asArchive?: boolean;
};

/** `degraded`: something in it changed while it was read, or could not be read; it does not count as a backup. */
export type MadeBackup = { kind: 'sound' | 'degraded'; file: string; manifest: Manifest };

const bucketNames = ['hourly', 'daily', 'weekly', 'monthly'];
/** Where one that is made by the schedule gets its name; others are links to it. */
const scheduledBucket = 'hourly';

/**
 * Backs a target up: databases through SQLite and pg_dump, folders through GNU tar, all of it read back and compared before it gets
 * its name. Whatever goes wrong, nothing is left that looks like a backup. The caller holds the lock.
 * @throws Fault `not-found` for a folder that is missing, `usage` for mounts nobody named and live PostgreSQL folders,
 * `storage-full`, `damaged` when it reads back as something else
 */
export async function makeBackup(request: BackupRequest): Promise<MadeBackup> {
  const { place, clock } = request;
  const repository = request.asArchive === true ? undefined : activeRepository(request.target);
  const recipients = request.target.encryptTo ?? [];
  const all = await withVolumes(request.target, { toRestore: false });
  const here = all.trees.filter(({ optional, root }) => optional !== true || existsSync(root));
  const target = withSecrets({ ...all, trees: here }, repository !== undefined || recipients.length > 0);
  const signer = loadSigner(place);
  const folder = join(place.backups, target.name);
  const startedMs = clock();
  try {
    const hourly = join(folder, scheduledBucket);
    const into = request.reason === 'scheduled' ? hourly : folder;
    makeFolder(into, 0o700);
    removeLeftovers([folder, hourly]);
    const servers = await findDatabases(target);
    const dataFolders = servers.flatMap(({ dataFolder }) => dataFolder ?? []);
    await requireVolumesNamed(target, dataFolders);
    const surveyed = survey(target, place, dataFolders);
    if (request.only !== undefined) requireDatabases(target, surveyed.databases.length + servers.length);
    const end = repository !== undefined ? pointerEnd : recipients.length > 0 ? sealedEnd : archiveEnd;
    const folders = [folder, ...bucketNames.map((bucket) => join(folder, bucket))];
    const name = freeName(target.name, startedMs, folders, end);
    const machine = await machineFacts(target, userInfo().uid);
    const program = request.only === undefined ? programFor(target, request.program, existsSync) : undefined;
    const backup = { ...request, program, machine, target, name, folder, into, startedMs, surveyed, servers, signer };
    return repository === undefined ? await intoArchive(backup, recipients) : await makeSnapshot(backup, repository);
  } catch (error) {
    throw diskFault(error, place.backups);
  }
}

function activeRepository({ restic }: Target): ResticRepository | undefined {
  return restic?.active === true ? restic : undefined;
}

/** What is known before anything is copied. */
export type BackupToMake = BackupRequest & {
  /** As it is now: with its volumes, without what is not there. */
  target: Target;
  name: string;
  /** The target's folder of backups, where it is made. */
  folder: string;
  /** Where it gets its name. */
  into: string;
  startedMs: number;
  machine: MachineFacts;
  surveyed: Survey;
  servers: readonly FoundDatabase[];
  signer: Signer;
};

async function intoArchive(backup: BackupToMake, recipients: readonly string[]): Promise<MadeBackup> {
  const { name, folder, into, signer, progress } = backup;
  const work = join(folder, `.${name}.work`);
  const partial = join(folder, `.${name}.partial`);
  mkdirSync(work, { mode: 0o700 });
  try {
    let key = recipients.length > 0 ? await newHeader(recipients) : undefined;
    let written = await writeArchive({ ...backup, work, partial, key });
    for (let attempt = 1; attempt < maxAttempts && written.changed.length > 0; attempt++) {
      rmSync(partial, { force: true });
      // A new key: the same one never seals two contents.
      key = recipients.length > 0 ? await newHeader(recipients) : undefined;
      written = await writeArchive({ ...backup, work, partial, key });
    }
    const sha256 = await readBack(partial, written.manifest, {
      progress: relabelled(progress),
      ...(key === undefined ? {} : { unlock: { fileKey: key.fileKey } }),
    });
    const manifest: Manifest = {
      ...written.manifest,
      archive: { ...written.manifest.archive, sha256 },
      degraded: [...written.manifest.degraded, ...written.changed.map((text) => `changed while it was read: ${text}`)],
      public_key: signer.publicKey,
      ...(recipients.length > 0 ? { encryption: { format: 'age' as const, recipients } } : {}),
    };
    const file = join(into, name);
    writeManifest(file, manifest, signer);
    renameSync(partial, file);
    syncFolder(into);
    return { kind: manifest.degraded.length > 0 ? 'degraded' : 'sound', file, manifest };
  } catch (error) {
    removeBeside(join(into, name));
    throw error;
  } finally {
    rmSync(partial, { force: true });
    rmSync(work, { recursive: true, force: true });
  }
}

function requireDatabases({ name }: Target, count: number): void {
  if (count > 0) return;
  throw new Fault('not-found', `${name} has no databases to back up by themselves.`, {
    hint: `Back all of it up: gaia backup ${name}`,
  });
}

function relabelled(progress: Progress | undefined): Progress | undefined {
  return progress && ((step) => progress({ ...step, phase: 'read back' }));
}

/**
 * What runs that were ended in the middle have left: never a backup, since a backup has its name. A manifest alone may be one
 * whose archive is being copied here, or lies on another disk; only beside its own half-made archive it is of no use.
 */
function removeLeftovers(folders: readonly string[]): void {
  for (const folder of folders.filter((each) => existsSync(each)))
    for (const name of readdirSync(folder)) {
      if (name === setName) rmSync(join(folder, name), { recursive: true, force: true });
      const [, archive, end] = /^\.(.+)\.(partial|work)$/.exec(name) ?? [];
      if (archive === undefined) continue;
      // First the manifest, so that what says whose it is goes last.
      if (end === 'partial') for (const each of folders) removeBeside(join(each, archive));
      rmSync(join(folder, name), { recursive: true, force: true });
    }
}

function removeBeside(archive: string): void {
  if (statSync(archive, { throwIfNoEntry: false }) !== undefined) return;
  const { manifest, signature } = filesBeside(archive);
  rmSync(manifest, { force: true });
  rmSync(signature, { force: true });
}
