import { existsSync } from 'node:fs';
import { Fault } from '../../base/fault.ts';
import type { Unlock } from '../archive/archive-file.ts';
import type { Manifest } from '../archive/manifest.ts';
import type { Place } from '../place.ts';
import { damaged } from '../tar/damage.ts';
import { readIdentities, recipientOf } from './age-key.ts';

/** What the owner has brought, else what this machine has, to open archives with: looked at when one is encrypted. */
export function unlockOf({ identity, brought }: Pick<Place, 'identity' | 'brought'>): Unlock {
  return {
    identities() {
      if (brought === undefined) return identity === undefined ? [] : readIdentities(identity);
      if (existsSync(brought)) return readIdentities(brought, { isBrought: true });
      throw new Fault('not-found', `The key that opens the backup, ${brought}, is not there.`, {
        hint: 'Bring it back to that place, or name another: --identity FILE',
      });
    },
  };
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
  { identities = () => [] }: Unlock = {},
): Promise<unknown> {
  if (!isSealed(error)) return error;
  for (const identity of identities())
    if (encryption?.recipients.includes(await recipientOf(identity)))
      return damaged(
        'The header of the encrypted archive is not what was written: it does not open with a key that it is for.',
      );
  return error;
}
