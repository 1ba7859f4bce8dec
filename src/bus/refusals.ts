import { Fault } from '../base/fault.ts';
import type { Resolution } from '../events/answer.ts';

const maxShown = 200;

/** Text of a caller inside a sentence: quoted, and cut before it drowns the sentence. */
export function quoted(text: string): string {
  return JSON.stringify(text.length > maxShown ? `${text.slice(0, maxShown)}…` : text);
}

/** There is no such event. */
export function noSuchEvent(id: string): Fault {
  return new Fault('not-found', `There is no event with the id ${quoted(id)}.`, {
    hint: 'GET /events lists the newest events, GET /events/pending/human the open questions.',
  });
}

/** There is no such subscription, not even a deleted one. */
export function noSuchSubscription(id: string): Fault {
  return new Fault('not-found', `There is no subscription with the id ${quoted(id)}.`, {
    hint: 'GET /subscriptions lists them with their ids.',
  });
}

/** The event is no question. */
export function asksNothing(id: string): Fault {
  return new Fault('asks-nothing', `The event ${quoted(id)} asks nothing: it was published without requires_human.`, {
    hint: 'GET /events/pending/human lists the open questions.',
  });
}

/** Somebody or the deadline was first. The winner travels in the member `resolution`. */
export function alreadyResolved(resolution: Resolution): Fault {
  const { state, response, responded_by: by, responded_via: via, resolved_at: at } = resolution;
  const who = by === null ? '' : ` by ${quoted(by)}${via === null ? '' : ` through ${via}`}`;
  const how = {
    answered: `was answered with ${quoted(response ?? '')}${who} at ${at}`,
    timed_out:
      response === null
        ? `ran out of time at ${at} without an answer`
        : `ran out of time at ${at}; its fallback ${quoted(response)} stands`,
    cancelled: `was cancelled${who} at ${at}`,
  }[state];
  return new Fault('already-resolved', `This question ${how}. That is final.`, {
    hint: 'If something else must happen now, ask again with a new event.',
    extra: { resolution },
  });
}
