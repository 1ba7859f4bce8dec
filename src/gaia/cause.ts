import { Fault } from '../base/fault.ts';
import type { Call, Flag } from './command.ts';

/** For commands that an agent runs because of an event. */
export const causeFlag: Readonly<Record<string, Flag>> = {
  cause: { value: 'EVENT', says: 'the event that it is done for: once, however often it is asked' },
};

/** The same for what may be done again: only that it was is told once. */
export const toldOnceFlag: Readonly<Record<string, Flag>> = {
  cause: { value: 'EVENT', says: 'the event that it is done for: told once, however often it is asked' },
};

/** The event that something is done for, if one is named. @throws Fault `usage` */
export function causeOf({ flags: { cause } }: Pick<Call, 'flags'>): string | undefined {
  if (cause === undefined || /^[\x21-\x7e]{1,200}$/.test(String(cause))) return cause as string | undefined;
  throw new Fault('usage', 'A cause is the id of an event: 1 to 200 visible ASCII characters.');
}
