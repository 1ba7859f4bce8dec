import { Fault } from '../base/fault.ts';
import { pickByPrefix } from '../base/pick-by-prefix.ts';
import type { Event, PendingQuestion } from '../events/event.ts';
import type { Client } from './client.ts';

const pageSize = 1000;
/** A beginning of an id is looked for among this many pages of the newest events; an older one is given in full. */
const maxPages = 5;

/**
 * The event with this id or, among the newest 5,000, the one whose id begins so.
 * @throws Fault `not-found`, or `usage` when several begin so.
 */
export async function findEvent(client: Pick<Client, 'event' | 'events'>, idOrPrefix: string): Promise<Event> {
  refuseNoId(idOrPrefix);
  try {
    return await client.event(idOrPrefix);
  } catch (error) {
    if (!(error instanceof Fault) || !['not-found', 'invalid', 'malformed'].includes(error.code)) throw error;
  }
  const ids: string[] = [];
  let before: string | undefined;
  for (let page = 0; page < maxPages; page++) {
    const { events, next } = await client.events({ limit: pageSize, before });
    ids.push(...events.map(({ id }) => id));
    if (next === null) break;
    before = next;
  }
  const id = pickByPrefix(
    idOrPrefix,
    ids,
    'event',
    'See: leveredge events. Events beyond the newest 5,000 need the whole id.',
  );
  return client.event(id);
}

type Found = Pick<Event, 'id' | 'payload_hash' | 'source_agent' | 'requires_human'>;

/** Every open question, at most 5,000. */
async function openQuestions(client: Client): Promise<PendingQuestion[]> {
  const all: PendingQuestion[] = [];
  let after: string | undefined;
  for (let page = 0; page < maxPages; page++) {
    const { pending, next } = await client.pending({ limit: pageSize, after });
    all.push(...pending);
    if (next === null || next === undefined) break;
    after = next;
  }
  return all;
}

/**
 * A question by its whole id (also one that is decided, so that the loser sees who won), or by a beginning that is unique
 * among the open ones.
 * @throws Fault `not-found`, or `usage` when several begin so.
 */
export async function findQuestion(client: Client, idOrPrefix: string): Promise<Found> {
  refuseNoId(idOrPrefix);
  const open = await openQuestions(client);
  if (!open.some(({ id }) => id.startsWith(idOrPrefix))) return findEvent(client, idOrPrefix);
  const ids = open.map(({ id }) => id);
  const picked = pickByPrefix(idOrPrefix, ids, 'open question', 'See: leveredge pending.');
  return { ...(open.find(({ id }) => id === picked) as PendingQuestion), requires_human: true };
}

/** Ids that no event can have, because in the path of a URL they name something else. A / within an id is escaped. */
const noIds = ['', '.', '..', 'stream'];

function refuseNoId(id: string): void {
  if (noIds.includes(id))
    throw new Fault('not-found', `No event has the id ${JSON.stringify(id)}.`, { hint: 'See: leveredge events' });
}
