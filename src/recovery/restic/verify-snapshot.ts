import { createHash, type KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Fault } from '../../base/fault.ts';
import { readManifest } from '../archive/manifest-file.ts';
import type { Verdict } from '../archive/verify-archive.ts';
import type { Progress } from '../progress.ts';
import { damaged } from '../tar/damage.ts';
import { checkRepository } from './maintain.ts';
import { readSnapshot } from './read-added.ts';
import { type ResticRepository, requireRepository } from './repository.ts';
import { readSnapshotList } from './snapshot-list.ts';

type Verify = {
  known: KeyObject | undefined;
  restic: ResticRepository | undefined;
  /** The structure of the whole repository is checked as well. */
  deep: boolean;
  progress?: Progress | undefined;
};

/**
 * Proves that a backup in a repository can be read back whole: signature, list of files, and each piece of its contents, which
 * restic compares with its digest.
 * @throws Fault for a repository that cannot be asked, which says nothing of the backup
 */
export async function verifySnapshot(file: string, { known, restic, deep, progress }: Verify): Promise<Verdict> {
  try {
    const signed = readManifest(file, known);
    if (signed === undefined) return { kind: 'no-manifest' };
    const { manifest, signature } = signed;
    const { archive, snapshot, totals, name } = manifest;
    if (createHash('sha256').update(readFileSync(file)).digest('hex') !== archive.sha256 || snapshot === undefined)
      throw damaged('The text that says where it lies is not the one that was written.');
    const at = requireRepository(restic, name);
    await readSnapshotList(at, manifest);
    await readSnapshot(at, snapshot.id, (doneBytes) =>
      progress?.({ phase: 'verify', doneBytes, totalBytes: totals.bytes, doneFiles: 0 }),
    );
    if (deep) await checkRepository(at);
    return { kind: 'sound', files: totals.files, bytes: totals.bytes, manifest, signature };
  } catch (error) {
    if (!(error instanceof Fault) || (error.code !== 'damaged' && error.extra.gone !== true)) throw error;
    const { member } = error.extra as { member?: string };
    return { kind: 'damaged', member, reason: error.message };
  }
}
