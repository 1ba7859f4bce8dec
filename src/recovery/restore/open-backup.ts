import type { KeyObject } from 'node:crypto';
import { basename } from 'node:path';
import { Fault } from '../../base/fault.ts';
import type { Unlock } from '../archive/archive-file.ts';
import { openFrames } from '../archive/frame-reader.ts';
import type { Listed } from '../archive/listed.ts';
import { isOwnArchive, readManifest, type SignedManifest } from '../archive/manifest-file.ts';
import { readList } from '../archive/verify-archive.ts';
import type { BytePath } from '../byte-path.ts';
import { explainSealed, unlockOf } from '../encryption/unlock.ts';
import type { Place } from '../place.ts';
import type { Progress } from '../progress.ts';
import { type ResticRepository, requireRepository } from '../restic/repository.ts';
import { readSnapshotList } from '../restic/snapshot-list.ts';
import type { Target } from '../target.ts';
import { archiveSource } from './archive-source.ts';
import type { Destination } from './selection.ts';
import { snapshotSource } from './snapshot-source.ts';

export type StageWanted = {
  /** The lines of the list that are wanted, with their places in it, in its order. */
  selection: readonly { index: number; listed: Listed; to: Destination }[];
  route(path: BytePath): Destination | undefined;
  /** All of it is read, so that the digest of the whole is compared too; else only what is wanted. */
  whole: boolean;
  progress?: Progress | undefined;
};

/** Where the contents of a backup come from. */
export type BackupSource = {
  /**
   * Writes what is wanted into stage folders, which exist and are empty; contents are compared as they pass.
   * @throws Fault `damaged` naming the member; then what is staged is of no use
   */
  stage(wanted: StageWanted): Promise<void>;
  /** A small member in memory, compared. @throws Fault `not-found`, `damaged` */
  member(name: string): Promise<Buffer>;
  close(): Promise<void>;
};

/** A backup that is to be restored. `old`: an archive of an older tool, which has no manifest. */
export type OpenBackup =
  | ({ kind: 'own'; file: string; signed: SignedManifest; list: Listed[] } & BackupSource)
  | { kind: 'old'; file: string; close(): Promise<void> };

/** What opens backups: keys for those that are encrypted, and the repository for those that lie in one. */
export type Opener = {
  unlock?: Unlock;
  restic?: ResticRepository | undefined;
  place?: Pick<Place, 'state'>;
  /** Ends the asking of a repository that does not answer. */
  signal?: AbortSignal;
};

/** What this machine has to open the backups of a target with. */
export function openerOf({ place, target }: { place: Place; target: Target }): Opener {
  return { unlock: unlockOf(place), restic: target.restic, place };
}

/**
 * Opens a backup and reads what it promises to hold. A signature that does not fit is damage; one by a key that this
 * machine does not know is told in the plan.
 * @throws Fault `damaged`, `not-found`; `forbidden` for an encrypted one that nothing here opens; those of restic
 */
export async function openBackup(
  file: string,
  known: KeyObject | undefined,
  { unlock, restic, place, signal }: Opener = {},
): Promise<OpenBackup> {
  if (!isOwnArchive(file)) return { kind: 'old', file, close: async () => undefined };
  const signed = readManifest(file, known);
  if (signed === undefined)
    throw new Fault('damaged', `${basename(file)} has no manifest beside it, so nobody can say that it is whole.`, {
      hint: 'Copy ….manifest.json and ….manifest.json.sig beside it, restore another backup, or do it by hand: gaia runbook',
    });
  if (signed.manifest.snapshot !== undefined) {
    const at = requireRepository(restic, signed.manifest.name);
    const list = await readSnapshotList(at, signed.manifest, place, signal);
    return { kind: 'own', file, signed, list, ...snapshotSource(at, signed.manifest, list) };
  }
  return openArchive(file, signed, unlock);
}

async function openArchive(file: string, signed: SignedManifest, unlock: Unlock | undefined): Promise<OpenBackup> {
  const { manifest } = signed;
  const frames = await openFrames(file, unlock).catch(async (error) => {
    throw await explainSealed(error, manifest, unlock);
  });
  try {
    const { archive, list: promised, encryption } = manifest;
    if ((encryption !== undefined) !== frames.isSealed)
      throw new Fault(
        'damaged',
        `${basename(file)} is ${frames.isSealed ? '' : 'not '}encrypted, and its manifest says otherwise.`,
      );
    if (frames.bytes !== archive.bytes || frames.frames.length !== archive.frames)
      throw new Fault(
        'damaged',
        `${basename(file)} has ${frames.bytes} bytes, and its manifest says ${archive.bytes}.`,
      );
    const list: Listed[] = [];
    await readList(frames, promised, (listed) => list.push(listed));
    if (list.length !== promised.entries)
      throw new Fault('damaged', 'The list of files has not as many lines as its manifest says.');
    return { kind: 'own', file, signed, list, ...archiveSource({ file, frames, manifest, list, unlock }) };
  } catch (error) {
    await frames.close();
    throw error;
  }
}
