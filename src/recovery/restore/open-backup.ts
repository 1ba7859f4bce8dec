import type { KeyObject } from 'node:crypto';
import { basename } from 'node:path';
import { Fault } from '../../base/fault.ts';
import type { Unlock } from '../archive/archive-file.ts';
import { type FrameReader, openFrames } from '../archive/frame-reader.ts';
import type { Listed } from '../archive/listed.ts';
import { isOwnArchive, readManifest, type SignedManifest } from '../archive/manifest-file.ts';
import { readList } from '../archive/verify-archive.ts';
import { explainSealed } from '../encryption/unlock.ts';

/** A backup that is to be restored. `old`: an archive of an older tool, which has no manifest. */
export type OpenBackup =
  | {
      kind: 'own';
      file: string;
      signed: SignedManifest;
      frames: FrameReader;
      list: Listed[];
      /** What opened it, where it is encrypted. */
      unlock: Unlock | undefined;
      close(): Promise<void>;
    }
  | { kind: 'old'; file: string; close(): Promise<void> };

/**
 * Opens a backup and reads what it promises to hold. A signature that does not fit is damage; one by a key that this
 * machine does not know is told in the plan.
 * @throws Fault `damaged`, `not-found`; `forbidden` for an encrypted one that nothing here opens
 */
export async function openBackup(file: string, known: KeyObject | undefined, unlock?: Unlock): Promise<OpenBackup> {
  if (!isOwnArchive(file)) return { kind: 'old', file, close: async () => undefined };
  const signed = readManifest(file, known);
  if (signed === undefined)
    throw new Fault('damaged', `${basename(file)} has no manifest beside it, so nobody can say that it is whole.`, {
      hint: 'Copy ….manifest.json and ….manifest.json.sig beside it, restore another backup, or do it by hand: gaia runbook',
    });
  const frames = await openFrames(file, unlock).catch(async (error) => {
    throw await explainSealed(error, signed.manifest, unlock);
  });
  try {
    const { archive, list: promised, encryption } = signed.manifest;
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
    return { kind: 'own', file, signed, frames, list, unlock, close: () => frames.close() };
  } catch (error) {
    await frames.close();
    throw error;
  }
}
