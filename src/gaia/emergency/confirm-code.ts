import { showSpan } from '../amounts.ts';
import { entryOf, readEnrolment } from '../two-factor/enrolment.ts';
import { tryCode, type Verdict } from '../two-factor/guard.ts';
import type { HandlerDeps } from './handle-request.ts';
import { type Operation, tagOf } from './operation.ts';
import { clockProblem } from './phone-clock.ts';
import { cancelButton, refusedCode, titleOf } from './phone-words.ts';
import type { PhoneRequest } from './request.ts';

/** Before what cannot be looked at calmly: time to press Stop. A `dev` is restored at once. */
export const delayMs = 60_000;

type Sent = PhoneRequest & { verb: 'confirm' };

/**
 * The code counts for the operation whose message it answers, and that must be the one that waits, asked for by the same person.
 * Where anything of that is not so it is not looked at.
 */
export function confirmCode(deps: HandlerDeps, sent: Sent): void {
  const { operations, replies, clock, finish } = deps;
  const current = operations.current();
  if (current?.state === 'pending' && clock() >= current.expiresMs) {
    finish(current, 'expired', '');
    return;
  }
  const because = whyNotTried(deps, current, sent);
  if (because !== undefined) replies.say({ to: sent.user, lines: [because] });
  else judge(deps, current as Operation, sent);
}

function whyNotTried({ callFor, clock }: HandlerDeps, current: Operation | undefined, sent: Sent): string | undefined {
  if (current?.state === 'resolving' && current.user === sent.user)
    return `${tagOf(current)} waits for no code yet: its backup is being looked at. That code was not looked at.`;
  if (current?.state !== 'pending' || current.user !== sent.user)
    return 'Nothing waits for a code of yours; it was not looked at.';
  const tag = tagOf(current);
  if (sent.operation !== current.id)
    return `That code was not for ${tag}, which waits now, so it was not looked at. Send it as an answer to the message of ${tag}; or ask for the restore again, and send it then.`;
  return clockProblem(callFor([], {}).config(), sent.sentMs, clock());
}

function judge({ replies, ...deps }: HandlerDeps, current: Operation, { user, code }: Sent): void {
  const { clock, callFor, log, pause } = deps;
  const { place, emergency } = callFor([], {}).config();
  const now = clock();
  // Before it is judged: one that is replaced in between has not confirmed it.
  const factor = readEnrolment(emergency)?.fingerprint ?? null;
  pause('phone judges');
  const verdict: Verdict = tryCode(place, emergency, code, now, current.target);
  pause('phone judged');
  log.info('a code was tried', { id: current.id, user, verdict: verdict.kind });
  if (verdict.kind !== 'right')
    replies.say({ to: user, lines: refusedCode(verdict, now, entryOf(emergency, current)) });
  else
    begin({ replies, ...deps }, { ...current, factor }, [
      ...(verdict.by === 'backup code' ? [`That was a backup code; ${verdict.left} are left.`] : []),
    ]);
}

function begin({ operations, replies, clock, users, pause }: HandlerDeps, current: Operation, says: string[]): void {
  const isAtOnce = current.target === 'dev';
  const startMs = clock() + (isAtOnce ? 0 : delayMs);
  const operation = operations.put({ ...current, state: 'waiting', startMs });
  pause('phone confirmed');
  const begins = isAtOnce ? 'Confirmed. It begins now.' : `Confirmed. It begins in ${showSpan(delayMs)}.`;
  for (const to of users())
    replies.progress(operation.id, {
      ...{ to, key: operation.id, title: titleOf(operation), lines: [begins, ...says] },
      buttons: [cancelButton(operation, 'Stop')],
    });
}
