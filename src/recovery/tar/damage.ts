import { Fault } from '../../base/fault.ts';
import { type BytePath, shownPath } from '../byte-path.ts';

/** An archive that is not what it should be: exit 7, with the member where it is known. */
export function damaged(sentence: string, member?: BytePath | undefined): Fault {
  if (member === undefined) return new Fault('damaged', sentence);
  const shown = shownPath(member);
  return new Fault('damaged', `${shown}: ${sentence}`, { extra: { member: shown } });
}
