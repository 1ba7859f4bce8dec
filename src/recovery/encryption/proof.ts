import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Fault } from '../../base/fault.ts';
import { makeFolder } from '../../base/files.ts';
import { writeWhole } from '../archive/manifest-file.ts';
import type { Place } from '../place.ts';
import { readIdentities, recipientOf } from './age-key.ts';

/** When a key was seen to open a backup, by its public half, and which backup that was. */
export type Proofs = Record<string, { at: string; backup: string }>;

const fileOf = ({ state }: Pick<Place, 'state'>) => join(state, 'keys.json');

/** Nothing when the file is lost or damaged: the keys are proven again. */
function readProofs(place: Pick<Place, 'state'>): Proofs {
  try {
    const { proven } = JSON.parse(readFileSync(fileOf(place), 'utf8')) as { proven?: Proofs };
    return typeof proven === 'object' && proven !== null ? proven : {};
  } catch {
    return {};
  }
}

/** Writes down that a key opened a backup. The caller holds the lock. @throws the system's error */
export function recordProof(place: Pick<Place, 'state'>, recipient: string, proof: Proofs[string]): void {
  makeFolder(place.state, 0o700);
  const proven = { ...readProofs(place), [recipient]: proof };
  writeWhole(fileOf(place), Buffer.from(`${JSON.stringify({ proven }, null, 1)}\n`));
}

/** What is known of the keys that backups are encrypted to, by their public halves. */
export type Keys = {
  /** Those whose secret half lies on this machine. */
  own: string[];
  elsewhere: string[];
  /** Of those elsewhere, the ones that were seen to open a backup. */
  proven: string[];
  /** Why the machine's own could not be read; then none counts as its own. */
  fault: Fault | undefined;
};

/** Sorts recipients. Never throws: that a key of this machine cannot be read is no reason to make no backup. */
export async function keysOf(place: Pick<Place, 'state' | 'identity'>, recipients: readonly string[]): Promise<Keys> {
  const here = new Set<string>();
  let fault: Fault | undefined;
  try {
    for (const identity of place.identity === undefined ? [] : readIdentities(place.identity))
      here.add(await recipientOf(identity));
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    fault = error;
  }
  const elsewhere = recipients.filter((each) => !here.has(each));
  const proofs = readProofs(place);
  return {
    own: recipients.filter((each) => here.has(each)),
    elsewhere,
    proven: elsewhere.filter((each) => proofs[each] !== undefined),
    fault,
  };
}
