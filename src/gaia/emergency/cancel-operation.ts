import type { HandlerDeps } from './handle-request.ts';
import { type Operation, tagOf } from './operation.ts';
import type { PhoneRequest } from './request.ts';

/** Stops what waits or runs: a restore until its swap, a drill always, a backup never. */
export function cancelOperation(deps: HandlerDeps, sent: PhoneRequest & { verb: 'cancel' }): void {
  const { operations, replies, log, finish } = deps;
  const { user, operation: meant } = sent;
  const say = (text: string) => replies.say({ to: user, lines: text.split('\n') });
  const current = operations.current();
  if (current === undefined || (meant !== null && meant !== current.id)) {
    say('That is over; there is nothing to stop.');
    return;
  }
  log.info('somebody cancelled', { id: current.id, user });
  if (current.state !== 'running') {
    finish(current, 'cancelled', '');
    // Of what only waited for its code nobody else hears.
    if (['resolving', 'pending'].includes(current.state) && user !== current.user)
      say(`${tagOf(current)} is cancelled. Nothing was done.`);
  } else if (current.verb === 'backup') say('A backup is not stopped half way; it changes nothing that is live.');
  else {
    operations.put({ ...current, stopping: true });
    say(current.verb === 'drill' ? 'It is stopped, and removes what it has made.' : stopText(current));
  }
}

function stopText({ parts, done }: Operation): string {
  const [at, ...later] = parts.map(({ target }) => target).slice(done.length);
  const before = done.map(({ target }) => target);
  const text = [
    `${at} is stopped if it has not begun to swap; then it is as before. Once it swaps it goes on to its end, and gaia undo brings the old state back.`,
    ...(later.length > 0 ? [`Not begun any more: ${later.join(', ')}.`] : []),
    ...(before.length > 0 ? [`Done already, and it stays: ${before.join(', ')}.`] : []),
  ];
  return at === undefined ? 'All of it is done already.' : text.join('\n');
}
