import type { HandlerDeps } from './handle-request.ts';
import type { PhoneRequest } from './request.ts';

/** Stops what waits or runs: a restore until its swap, a drill always, a backup never. */
export function cancelOperation(deps: HandlerDeps, sent: PhoneRequest & { verb: 'cancel' }): void {
  const { operations, replies, log, finish } = deps;
  const { user, operation: meant } = sent;
  const say = (line: string) => replies.say({ to: user, lines: [line] });
  const current = operations.current();
  if (current === undefined || (meant !== null && meant !== current.id)) {
    say('That is over; there is nothing to stop.');
    return;
  }
  log.info('somebody cancelled', { id: current.id, user });
  if (current.state !== 'running') finish(current, 'cancelled', '');
  else if (current.verb === 'backup') say('A backup is not stopped half way; it changes nothing that is live.');
  else {
    operations.put({ ...current, stopping: true });
    say(
      current.verb === 'drill'
        ? 'It is stopped, and removes what it has made.'
        : 'It is stopped if it has not begun to swap; then all is as before. Once it swaps it goes on to its end, and gaia undo brings the old state back.',
    );
  }
}
