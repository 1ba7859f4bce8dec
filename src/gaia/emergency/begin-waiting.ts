import { Fault, reasonOf } from '../../base/fault.ts';
import { showSpan } from '../amounts.ts';
import { readEnrolment } from '../two-factor/enrolment.ts';
import { maxStaleMs } from './carry-out.ts';
import { delayMs } from './confirm-code.ts';
import { everybody } from './everybody.ts';
import type { Operation } from './operation.ts';
import type { PhoneDeps } from './phone.ts';
import { cancelButton, titleOf } from './phone-words.ts';
import { takeRequests } from './take-requests.ts';

/** Who looks four times a second is this late only when the machine slept, its clock jumped, or something else took long. */
const maxLateMs = 15_000;

/** What becomes of a confirmed operation that waits. `ended`: why, for people. */
export type Start =
  | { kind: 'begins' }
  | { kind: 'waits' }
  | { kind: 'ended'; as: 'cancelled' | 'expired'; says: string };

/**
 * Whether what was confirmed begins now. Not when it should have begun long ago, not for somebody who is listed no more, and not
 * while a Stop lies there unread; and where nobody could press Stop it waits anew.
 */
export function startOf(deps: PhoneDeps, operation: Operation): Start {
  const { clock, spool } = deps;
  const { stopping, user, target } = operation;
  if (stopping) return { kind: 'ended', as: 'cancelled', says: '' };
  const lateMs = clock() - (operation.startMs as number);
  // It would begin that much later, and nobody knows when.
  if (-lateMs > delayMs + maxLateMs) waitAnew(deps, operation, 'The clock of the server was set back.');
  if (lateMs < 0) return { kind: 'waits' };
  if (isStale(operation, clock())) {
    const says = `It should have begun ${showSpan(lateMs)} ago, and the server was away since. Ask for it again.`;
    return { kind: 'ended', as: 'expired', says };
  }
  const unfit = whyConfirmedNoMore(deps, operation);
  if (unfit !== undefined) return { kind: 'ended', as: 'cancelled', says: unfit };
  if (!isListed(deps, user))
    return { kind: 'ended', as: 'cancelled', says: 'Whoever asked for it is not on the list of users any more.' };
  const isStopUnread = takeRequests(spool.requests).some((each) => 'request' in each && each.request.verb === 'cancel');
  if (isStopUnread) return { kind: 'waits' };
  if (target === 'dev' || lateMs <= maxLateMs) return { kind: 'begins' };
  waitAnew(deps, operation, 'The server was away for a moment.');
  return { kind: 'waits' };
}

/** Whether it should have begun so long ago that it is not begun any more. */
export function isStale({ startMs }: Operation, nowMs: number): boolean {
  return nowMs - (startMs as number) > maxStaleMs;
}

/**
 * Whoever gives another phone the codes means that nothing counts any more that the phone before has confirmed. No time is compared
 * for that: a clock that was ahead on the day of enrolling would undo every confirmation since.
 */
function whyConfirmedNoMore({ callFor }: PhoneDeps, { factor }: Operation): string | undefined {
  try {
    const { fingerprint } = readEnrolment(callFor([], {}).config().emergency) ?? {};
    // One that an older version has written down names none.
    if (factor === null ? fingerprint !== undefined : fingerprint === factor) return undefined;
    return 'The second factor was replaced since it was confirmed.';
  } catch (error) {
    if (error instanceof Fault) return `The second factor cannot be read any more. ${error.message}`;
    throw error;
  }
}

function isListed({ users, log }: PhoneDeps, user: number): boolean {
  try {
    return users().has(user);
  } catch (error) {
    log.error('the list of users cannot be read', { because: reasonOf(error) });
    return false;
  }
}

/** After a time in which nobody could press Stop: a minute more, and everybody is told. */
export function waitAnew(deps: PhoneDeps, operation: Operation, because: string): void {
  const { operations, replies, clock } = deps;
  operations.put({ ...operation, startMs: clock() + delayMs });
  for (const to of everybody(deps, operation))
    replies.progress(operation.id, {
      ...{ to, key: operation.id, title: titleOf(operation) },
      lines: [`${because} It begins in ${showSpan(delayMs)}.`],
      buttons: [cancelButton(operation, 'Stop')],
    });
}
