import { Fault } from '../base/fault.ts';
import type { RecoveryConfig } from '../recovery/config/config.ts';
import { keysOf } from '../recovery/encryption/proof.ts';
import type { Target } from '../recovery/target.ts';
import type { Finding } from './disk-findings.ts';

/** A key that never opened anything may be the wrong one: until one was seen to, whoever makes backups is reminded. */
export async function keyReminders({ place }: RecoveryConfig, targets: readonly Target[]): Promise<string[]> {
  const recipients = [...new Set(targets.flatMap(({ encryptTo = [] }) => encryptTo))];
  if (recipients.length === 0) return [];
  const { elsewhere, proven } = await keysOf(place, recipients);
  if (elsewhere.length === 0 || proven.length > 0) return [];
  return ['Nobody has seen yet that the recovery key opens a backup. Do it once: gaia key check --identity FILE'];
}

/** What `gaia doctor` says of encryption. */
export async function encryptionFinding({ place, targets }: RecoveryConfig): Promise<Finding> {
  const recipients = [...new Set(targets.flatMap(({ encryptTo = [] }) => encryptTo))];
  const plain = targets.filter(({ encryptTo = [] }) => encryptTo.length === 0).map(({ name }) => name);
  const what = 'encryption';
  if (recipients.length === 0)
    return {
      what,
      level: 'note',
      says: 'backups are not encrypted: who has the file has all that is in it, and secrets are left out',
      todo: 'gaia key new FILE',
    };
  try {
    const { own, elsewhere, proven } = await keysOf(place, recipients);
    if (elsewhere.length === 0)
      return {
        what,
        level: 'WRONG',
        says: 'every key that opens backups lies on this machine',
        todo: 'gaia key new FILE',
      };
    const but = plain.length > 0 ? `; not ${plain.join(', ')}` : '';
    const here = own.length > 0 ? 'and this machine opens them too' : 'and nothing on this machine opens them';
    if (proven.length > 0)
      return {
        what,
        level: 'ok',
        says: `to ${elsewhere.length} keys elsewhere, ${proven.length} of them proven, ${here}${but}`,
      };
    return {
      what,
      level: 'note',
      says: `to ${elsewhere.length} keys elsewhere, none of which was ever seen to open a backup, ${here}${but}`,
      todo: 'gaia key check --identity FILE',
    };
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    return { what, level: 'WRONG', says: error.message, ...(error.hint ? { todo: error.hint } : {}) };
  }
}
