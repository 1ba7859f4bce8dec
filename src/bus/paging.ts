import { z } from 'zod';
import { Fault } from '../base/fault.ts';
import { type Bookmark, bookmarkOf, parseBookmark } from '../events/bookmark.ts';
import type { Subscription } from '../events/subscription.ts';
import type { DeadLetterPlace } from './store/deliveries.ts';
import type { PendingPlace, Store } from './store/store.ts';

/** A cursor among subscriptions holds two names. */
const maxCursorLength = 4_000;

/** The parameter that continues a list that is newest first. */
export const before = z
  .string()
  .max(maxCursorLength, 'is no bookmark')
  .optional()
  .meta({ description: 'Only what is older than this bookmark: the next of the page before' });

/** What every list of whole events says of itself. */
export const pageMayBeShort =
  'A page may be shorter than limit when its events are large; it still has at least one. Go on with next until that is null.';

/** The parameter that continues a list that is not newest first. */
export const after = z
  .string()
  .max(maxCursorLength, 'is no place in the list')
  .optional()
  .meta({ description: 'The next of the page before' });

/**
 * The seq a bookmark stands for.
 * @throws Fault `invalid` for what was never a bookmark, `cursor-invalid` for one of another life of the log.
 */
export function seqOf(bookmark: string | undefined, epoch: string): number | undefined {
  if (bookmark === undefined) return undefined;
  const place = parseBookmark(bookmark);
  if (place === undefined) throw noBookmark('before');
  if (place.epoch !== epoch) throw ofAnotherLife(bookmark);
  return place.seq;
}

/**
 * The seq after which a stream goes on: what an EventSource remembers (`Last-Event-ID`) beats `after`, and an empty one
 * is none. Undefined when neither is given.
 * @throws Fault `invalid` for what was never a bookmark, `cursor-invalid` for one of another life of the log, or of a
 *   later one: the log was put back without the epoch being changed.
 */
export async function placeAfter(
  lastEventId: string | string[] | undefined,
  after: string | undefined,
  store: Pick<Store, 'epoch' | 'head' | 'readAfter'>,
): Promise<number | undefined> {
  const [bookmark, pointer] = lastEventId ? [String(lastEventId), 'Last-Event-ID'] : [after, 'after'];
  if (!bookmark) return undefined;
  const place = parseBookmark(bookmark);
  if (place === undefined)
    throw noBookmark(pointer, `Send the id of the last message unchanged, or leave ${pointer} out to begin now.`);
  if (place.epoch !== store.epoch) throw ofAnotherLife(bookmark, beginAgain);
  // What was read may be newer than what the store has told of.
  const isThere = place.seq <= store.head() || (await store.readAfter(place.seq - 1, 1)).events.length > 0;
  if (isThere) return place.seq;
  throw new Fault('cursor-invalid', `The bookmark ${bookmark} lies beyond the end of this log.`, {
    hint: beginAgain,
  });
}

const beginAgain = 'Begin without it, which is from now on, or with from=start.';

function ofAnotherLife(bookmark: string, hint?: string): Fault {
  return new Fault('cursor-invalid', `The bookmark ${bookmark} is from before this log was restored or made anew.`, {
    hint: hint ?? 'Read the first page again without it; the bookmarks of that page are good.',
  });
}

/** The bookmark of the following page, or null when there is none. */
export function nextBookmark(epoch: string, next: number | null): Bookmark | null {
  return next === null ? null : bookmarkOf(epoch, next);
}

/** A place among the open questions, as the wire has it: opaque. */
export function cursorOf(place: PendingPlace, epoch: string): string {
  return Buffer.from(`${epoch}.${place.deadline ?? 'never'}.${place.seq}`).toString('base64url');
}

/**
 * The place a cursor stands for.
 * @throws Fault `invalid` for what was never one, `cursor-invalid` for one of another life of the log.
 */
export function placeOf(cursor: string | undefined, epoch: string): PendingPlace | undefined {
  if (cursor === undefined) return undefined;
  const text = Buffer.from(cursor, 'base64url').toString('latin1');
  const match = /^([0-9a-f]{1,16})\.(never|-?\d{1,16})\.(\d{1,15})$/.exec(text);
  if (match === null) throw noBookmark('after');
  if (match[1] !== epoch) throw ofAnotherLife(cursor);
  return { deadline: match[2] === 'never' ? null : Number(match[2]), seq: Number(match[3]) };
}

/** A place among the dead letters, as the wire has it: opaque. */
export function deadLetterCursorOf({ diedAt, agent, seq }: DeadLetterPlace, epoch: string): string {
  return Buffer.from(JSON.stringify([epoch, diedAt, agent, seq])).toString('base64url');
}

/**
 * The place a cursor stands for.
 * @throws Fault `invalid` for what was never one, `cursor-invalid` for one of another life of the log.
 */
export function deadLetterPlaceOf(cursor: string | undefined, epoch: string): DeadLetterPlace | undefined {
  if (cursor === undefined) return undefined;
  const place = deadLetterPlace.safeParse(jsonIn(cursor));
  if (!place.success) throw noBookmark('after');
  const [ofEpoch, diedAt, agent, seq] = place.data;
  if (ofEpoch !== epoch) throw ofAnotherLife(cursor);
  return { diedAt, agent, seq };
}

const deadLetterPlace = z.tuple([z.string(), z.int(), z.string(), z.int()]);

/** What a list of subscriptions is ordered by. */
export type SubscriptionPlace = Pick<Subscription, 'agent_name' | 'priority' | 'action_pattern'>;

/** A place among the subscriptions, as the wire has it: opaque. */
export function subscriptionCursorOf({ agent_name, priority, action_pattern }: SubscriptionPlace): string {
  return Buffer.from(JSON.stringify([agent_name, priority, action_pattern])).toString('base64url');
}

/**
 * Whether a subscription comes after this cursor, in the order of the store: by bytes.
 * @throws Fault `invalid` for what was never a cursor.
 */
export function isAfter(cursor: string | undefined): (subscription: SubscriptionPlace) => boolean {
  if (cursor === undefined) return () => true;
  const place = subscriptionPlace.safeParse(jsonIn(cursor));
  if (!place.success) throw noBookmark('after');
  const [agent, priority, pattern] = place.data;
  return (s) => (byBytes(s.agent_name, agent) || s.priority - priority || byBytes(s.action_pattern, pattern)) > 0;
}

const subscriptionPlace = z.tuple([z.string(), z.number(), z.string()]);

/** A place among the agents, which are listed by name; as the wire has it: opaque. */
export function agentCursorOf(agent: string): string {
  return Buffer.from(JSON.stringify([agent])).toString('base64url');
}

/**
 * Whether an agent comes after this cursor.
 * @throws Fault `invalid` for what was never a cursor.
 */
export function isAgentAfter(cursor: string | undefined): (agent: string) => boolean {
  if (cursor === undefined) return () => true;
  const place = agentPlace.safeParse(jsonIn(cursor));
  if (!place.success) throw noBookmark('after');
  const [before] = place.data;
  return (agent) => agent > before;
}

const agentPlace = z.tuple([z.string()]);

function jsonIn(cursor: string): unknown {
  try {
    return JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'));
  } catch {
    return undefined; // No cursor of ours; the caller says so.
  }
}

function byBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

function noBookmark(pointer: string, hint?: string): Fault {
  return new Fault('invalid', `The query makes no sense: ${pointer} is no bookmark of this bus.`, {
    mistakes: [{ pointer, detail: 'is no bookmark of this bus' }],
    hint:
      hint ??
      `Every page says in next how ${pointer} continues it; send that unchanged, or leave ${pointer} out for the first page.`,
  });
}
