import { Fault } from '../base/fault.ts';
import { listBackups } from '../recovery/catalog/catalog.ts';
import type { RecoveryConfig } from '../recovery/config/config.ts';
import { newHeader } from '../recovery/encryption/age-header.ts';
import { keysOf } from '../recovery/encryption/proof.ts';
import type { Target } from '../recovery/target.ts';
import type { Finding } from './disk-findings.ts';

/**
 * What keeps backups from being encrypted as they should be: nobody knows for whom, all keys lie here, or the newest one was
 * encrypted and this one would not be, as when recipients.txt went away with a restore.
 * @throws Fault `usage`
 */
export async function requireEncryption(config: RecoveryConfig, targets: readonly Target[]): Promise<void> {
  const { place, encryptionFault } = config;
  if (encryptionFault !== undefined) throw encryptionFault;
  for (const target of targets.filter(hasArchives)) {
    const { name, encryptTo } = target;
    if (encryptTo === undefined && lastRecipients(config, name).length > 0)
      throw new Fault(
        'usage',
        `The newest backup of ${name} is encrypted, and this one would not be: nobody says to whom.`,
        {
          hint: `Put ${place.recipients} back (recovery kit, or: gaia key new FILE), or say encrypt_to: none.`,
        },
      );
    if (encryptTo === undefined || encryptTo.length === 0) continue;
    const { elsewhere } = await keysOf(place, encryptTo);
    if (elsewhere.length === 0)
      throw new Fault(
        'usage',
        `Every key that ${name} is encrypted to lies on this machine, and would be lost with it.`,
        {
          hint: 'Make one for elsewhere: gaia key new FILE',
        },
      );
  }
}

/** What goes into a repository is encrypted by restic; of control-plane there is an archive as well. */
const hasArchives = ({ name, restic }: Target) => restic?.active !== true || name === 'control-plane';

function lastRecipients({ place }: RecoveryConfig, target: string): readonly string[] {
  const newest = listBackups(place, [target]).find(
    ({ manifest }) => manifest !== undefined && manifest.snapshot === undefined,
  );
  return newest?.manifest?.encryption?.recipients ?? [];
}

/** Recipients that the newest backup has and the next one has not. */
export function lostRecipients(config: RecoveryConfig, target: Target): string[] {
  const { name, encryptTo = [] } = target;
  if (!hasArchives(target)) return [];
  return lastRecipients(config, name).filter((each) => !encryptTo.includes(each));
}

/** A key that never opened anything may be the wrong one: until one was seen to, whoever makes backups is reminded. */
export async function keyReminders(config: RecoveryConfig, targets: readonly Target[]): Promise<string[]> {
  const notes = new Set<string>();
  for (const target of targets) {
    const { encryptTo = [] } = target;
    if (encryptTo.length === 0) continue;
    const { elsewhere, proven, fault } = await keysOf(config.place, encryptTo);
    if (elsewhere.length > 0 && proven.length === 0)
      notes.add('Nobody has seen yet that the recovery key opens a backup. Do it once: gaia key check --identity FILE');
    if (fault !== undefined) notes.add(`The key of this machine cannot be used: ${fault.message}`);
  }
  return [...notes];
}

/** What `gaia doctor` says of encryption. */
export async function encryptionFinding(config: RecoveryConfig): Promise<Finding> {
  const { place, targets, encryptionFault } = config;
  const what = 'encryption';
  const wrong = (says: string, todo: string): Finding => ({ what, level: 'WRONG', says, todo });
  try {
    if (encryptionFault !== undefined) throw encryptionFault;
    await requireEncryption(config, targets);
    const recipients = [...new Set(targets.flatMap(({ encryptTo = [] }) => encryptTo))];
    const archived = targets.filter(hasArchives);
    if (archived.length === 0) return { what, level: 'ok', says: 'by restic, in its repository' };
    if (recipients.length === 0) {
      const which =
        archived.length === targets.length && targets.every(({ restic }) => restic?.active !== true)
          ? 'backups are'
          : `archives of ${archived.map(({ name }) => name).join(', ')} are`;
      return {
        ...{ what, level: 'note', todo: 'gaia key new FILE' },
        says: `${which} not encrypted: who has the file has all that is in it, and secrets are left out`,
      };
    }
    await newHeader(recipients);
    const lost = targets.filter(
      (target) => (target.encryptTo ?? []).length > 0 && lostRecipients(config, target).length > 0,
    );
    if (lost.length > 0)
      return wrong(
        `the newest backups of ${lost.map(({ name }) => name).join(', ')} are for a key that the next ones are not for`,
        `If it was removed on purpose: gaia backup full. Else add it to ${place.recipients}`,
      );
    return await keysFinding(config, recipients);
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    return wrong(error.message, error.hint ?? '');
  }
}

async function keysFinding({ place, targets }: RecoveryConfig, recipients: readonly string[]): Promise<Finding> {
  const what = 'encryption';
  const { own, elsewhere, proven, fault } = await keysOf(place, recipients);
  if (fault !== undefined)
    return { what, level: 'WRONG', says: fault.message, ...(fault.hint ? { todo: fault.hint } : {}) };
  const plain = targets
    .filter((target) => hasArchives(target) && (target.encryptTo ?? []).length === 0)
    .map(({ name }) => name);
  const but = plain.length > 0 ? `; not ${plain.join(', ')}` : '';
  const here = own.length > 0 ? 'and this machine opens them too' : 'and nothing on this machine opens them';
  const unproven = targets.filter(
    ({ encryptTo = [] }) => encryptTo.length > 0 && !encryptTo.some((each) => proven.includes(each)),
  );
  const keys = `to ${elsewhere.length} ${elsewhere.length === 1 ? 'key' : 'keys'} elsewhere`;
  if (unproven.length === 0) return { what, level: 'ok', says: `${keys}, ${proven.length} proven, ${here}${but}` };
  return {
    ...{ what, level: 'note', todo: 'gaia key check --identity FILE' },
    says: `${keys}, none of which was ever seen to open a backup of ${unproven.map(({ name }) => name).join(', ')}, ${here}${but}`,
  };
}
