import type { Fault } from '../../base/fault.ts';
import { isSealed } from '../../recovery/encryption/unlock.ts';

/** A failure as people read it on a phone, where nobody can name a key. */
export function sentenceOf(fault: Fault, target: string): string {
  const { message, hint } = fault;
  if (isSealed(fault))
    return `${message}\nBy phone it cannot be opened. On the server, with the recovery kit: gaia restore ${target} --identity FILE. For backups made from now on: gaia key new --server`;
  return hint === undefined ? message : `${message}\n${hint}`;
}
