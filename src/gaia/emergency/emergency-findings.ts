import { existsSync, statSync } from 'node:fs';
import { Fault } from '../../base/fault.ts';
import { readPrivately } from '../../base/private-file.ts';
import type { RecoveryConfig } from '../../recovery/config/config.ts';
import { requireToken } from '../bot/api.ts';
import type { Finding } from '../disk-findings.ts';
import { authorizedUsers } from './authorized-users.ts';
import { requireFactor } from './require-factor.ts';

const what = 'phone';

/** Whether a restore by phone would work; nothing where nobody has begun to set that up. */
export function emergencyFindings({ emergency, place }: RecoveryConfig): Finding[] {
  const { tokenFile, usersFile, secretFile } = emergency;
  const isBegun = [tokenFile, usersFile, secretFile].some(
    (file) => (statSync(file, { throwIfNoEntry: false })?.size ?? 0) > 0,
  );
  if (!isBegun) return [];
  const wrong = [
    faultOf(() => requireToken(readPrivately(tokenFile), tokenFile)),
    faultOf(() => authorizedUsers(emergency)),
    faultOf(() => requireFactor(emergency, place)),
    existsSync(emergency.spool)
      ? []
      : [{ what, level: 'WRONG' as const, says: 'the runner was never started', todo: 'systemctl start gaia-runner' }],
  ].flat();
  if (wrong.length > 0) return wrong;
  const { size } = authorizedUsers(emergency);
  const who = `${size} ${size === 1 ? 'person' : 'persons'} may ask`;
  return [{ what, level: 'ok', says: `restores by phone are set up, ${who}` }];
}

function faultOf(look: () => unknown): Finding[] {
  try {
    look();
    return [];
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    const { message, hint } = error;
    return [{ what, level: 'WRONG', says: message.replace(/\.$/, ''), ...(hint === undefined ? {} : { todo: hint }) }];
  }
}
