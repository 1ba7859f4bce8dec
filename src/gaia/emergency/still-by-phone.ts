import { Fault } from '../../base/fault.ts';
import type { Call } from '../command.ts';
import { emergencyFindings } from './emergency-findings.ts';

/**
 * What keeps the next restore by phone from working, as after one of control-plane that brought an older second factor, or no
 * token: told now, and not on the day on which it is needed.
 */
export function lostByRestore(call: Call): string[] {
  try {
    const wrong = emergencyFindings(call.config()).filter(({ level }) => level === 'WRONG');
    return wrong.map(({ says, todo }) => `NEXT TIME NOT BY PHONE: ${says}.${todo === undefined ? '' : `\n${todo}`}`);
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    return [`NEXT TIME NOT BY PHONE: ${error.message}`];
  }
}
