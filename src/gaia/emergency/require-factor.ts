import { Fault } from '../../base/fault.ts';
import type { RecoveryConfig } from '../../recovery/config/config.ts';
import { readEnrolment, secretFor } from '../two-factor/enrolment.ts';
import { guardOf } from '../two-factor/guard.ts';

/** That a code could be right: said before one is asked for. @throws Fault `not-found`, `forbidden`, `conflict`, `damaged` */
export function requireFactor(files: RecoveryConfig['emergency'], place: RecoveryConfig['place'], what?: string): void {
  const enrolled = readEnrolment(files);
  if (enrolled === undefined) throw new Fault('not-found', 'No second factor is set up.', { hint: 'gaia 2fa enroll' });
  if (what !== undefined && secretFor(enrolled, what) === undefined)
    throw new Fault('not-found', `The authenticator has no entry for ${what}.`, {
      hint: 'gaia 2fa enroll --each --replace',
    });
  const { isLocked, enrolled: known } = guardOf(place);
  if (isLocked) throw new Fault('forbidden', 'Locked after ten wrong codes.', { hint: 'gaia unlock' });
  if (known !== null && known !== enrolled.fingerprint)
    throw new Fault('conflict', 'An older second factor came back with a restore.', {
      hint: 'gaia 2fa enroll --replace',
    });
}
