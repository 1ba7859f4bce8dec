import { Fault } from '../../base/fault.ts';
import type { Unlock } from '../archive/archive-file.ts';
import type { Manifest } from '../archive/manifest.ts';
import type { Place } from '../place.ts';
import { damaged } from '../tar/damage.ts';
import { readIdentities, recipientOf } from './age-key.ts';

/** What this machine, or what the owner has brought, can open archives with. @throws Fault `forbidden`, `usage` for the file */
export function unlockOf({
  identity,
  identityIsBrought: isBrought = false,
}: Pick<Place, 'identity' | 'identityIsBrought'>): Unlock {
  return { identities: identity === undefined ? [] : readIdentities(identity, { isBrought }) };
}

/** Whether it was said of an archive that nothing here opens it. */
export const isSealed = (error: unknown): error is Fault => error instanceof Fault && error.extra.sealed === true;

/**
 * What to say when nothing opened an archive: where its manifest, which is signed, names one of the keys that were tried, its
 * header was altered, or the line of that key removed.
 */
export async function explainSealed(
  error: unknown,
  { encryption }: Pick<Manifest, 'encryption'>,
  { identities = [] }: Unlock = {},
): Promise<unknown> {
  if (!isSealed(error)) return error;
  for (const identity of identities)
    if (encryption?.recipients.includes(await recipientOf(identity)))
      return damaged(
        'The header of the encrypted archive is not what was written: it does not open with a key that it is for.',
      );
  return error;
}
