import { Fault } from '../../base/fault.ts';
import type { JsonObject } from '../../base/json.ts';
import type { Client } from '../../client/client.ts';
import { findEvent } from '../../client/find-event.ts';
import { isEventId } from '../../events/draft.ts';
import type { Event } from '../../events/event.ts';
import { lineOf } from './event-line.ts';

/** How many events, the newest first, are looked through for what followed. */
const maxLooked = 20_000;
const pageSize = 1000;
/** Of large events the bus gives fewer in a page; so many pages are asked for. */
const maxPages = 100;
/** Of a matter with more events the rest is left out. */
const maxTold = 500;
/** How many causes up what began it is looked for. */
const maxUp = 100;
/** Characters that are told of what an event says. */
const maxSaid = 300;

/**
 * The matter that an event belongs to, in the order in which it happened: what led to it by `causation_id`, everything that
 * has the same `correlation_id` as any of that, and what follows. `id` may be a beginning, unique among the newest 5,000 events.
 * @throws Fault `not-found`, and `usage` where several begin so
 */
export async function traceOf(
  bus: Pick<Client, 'event' | 'events'>,
  id: string,
  signal: AbortSignal,
): Promise<JsonObject> {
  const event = await findEvent(bus, id);
  const { ledTo, isFirstKnown } = await whatLedTo(bus, event, signal);
  const matters = ledTo.map(({ id, correlation_id }) => correlation_id ?? id);
  const matter = matters.at(-1) as string;
  const looked: Looked[] = [];
  let before: string | undefined;
  let isWhole = isFirstKnown;
  for (let page = 1; ; page++) {
    signal.throwIfAborted();
    const { events, next } = await bus.events({ limit: pageSize, before });
    looked.push(...events.map(lookedAt));
    // What began it is the oldest.
    if (events.some((each) => each.id === matter) || next === null) break;
    if (looked.length > maxLooked || page === maxPages) {
      isWhole = false;
      break;
    }
    before = next;
  }
  // They may be older than what is looked through.
  const ids = new Set(looked.map((each) => each.id));
  looked.push(...ledTo.filter((each) => !ids.has(each.id)));
  const found = matterOf(looked.toReversed(), new Set(matters));
  const inOrder = [...found.values()];
  const trace = inOrder
    .slice(0, maxTold)
    .map(({ line, says, ...each }) => ({ ...line, depth: depthOf(each, found), says }));
  return { matter, trace, is_whole: isWhole && inOrder.length <= maxTold };
}

/** What is kept of an event: whole, as many as are looked through would be gigabytes. */
type Looked = Pick<Event, 'id' | 'causation_id' | 'correlation_id'> & {
  line: ReturnType<typeof lineOf>;
  says: string | null;
};

function lookedAt(event: Event): Looked {
  const { id, causation_id, correlation_id } = event;
  const said = saidIn(event)?.slice(0, maxSaid);
  // Written anew: a part of a text holds on to the whole.
  const says = said === undefined ? null : Buffer.from(said).toString();
  return { id, causation_id, correlation_id, line: lineOf(event), says };
}

/** An event and its causes, the nearest first, as far as they are known. `isFirstKnown`: false where there are
 * more before the last of them. */
async function whatLedTo(bus: Pick<Client, 'event'>, event: Event, signal: AbortSignal) {
  const ledTo: Looked[] = [];
  for (let each = event; ; ) {
    ledTo.push(lookedAt(each));
    const cause = each.causation_id;
    // Also where they go in a circle.
    if (!isEventId(cause) || ledTo.some(({ id }) => id === cause)) return { ledTo, isFirstKnown: true };
    if (ledTo.length > maxUp) return { ledTo, isFirstKnown: false };
    signal.throwIfAborted();
    try {
      each = await bus.event(cause);
    } catch (error) {
      if (error instanceof Fault && error.code === 'not-found') return { ledTo, isFirstKnown: true }; // Purged, or never there.
      throw error;
    }
  }
}

/** What says that it belongs to one of these, and what follows from that, in the order of the log. */
function matterOf(log: readonly Looked[], matters: ReadonlySet<string>): Map<string, Looked> {
  const followers = Map.groupBy(log, ({ causation_id }) => causation_id);
  const belonging = new Set(
    log.filter(({ id, correlation_id }) => matters.has(id) || matters.has(correlation_id ?? id)),
  );
  // A set gives what is added while it is walked through, each once: circles end.
  for (const { id } of belonging) for (const each of followers.get(id) ?? []) belonging.add(each);
  return new Map(log.filter((each) => belonging.has(each)).map((each) => [each.id, each]));
}

function depthOf(event: Pick<Event, 'id' | 'causation_id'>, among: ReadonlyMap<string, Looked>): number {
  let depth = 0;
  const seen = new Set<string>();
  for (
    let each: Pick<Event, 'id' | 'causation_id'> | undefined = event;
    each?.causation_id && !seen.has(each.id);
    depth++
  ) {
    seen.add(each.id);
    each = among.get(each.causation_id);
    if (each === undefined) break;
  }
  return depth;
}

/** What a person wants to read of it. */
function saidIn({ human_question, human_response, human_responded_by, details }: Event): string | null {
  if (human_question !== null) {
    const [asked] = human_question.split('\n');
    return human_response === null
      ? (asked ?? '')
      : `${asked} ${human_response}, by ${human_responded_by ?? 'nobody: the time was over'}`;
  }
  const { result, error } = (details ?? {}) as { result?: { says?: unknown }; error?: { message?: unknown } };
  for (const said of [error?.message, result?.says]) if (typeof said === 'string') return said;
  for (const key of ['says', 'because', 'backup', 'response', 'capability']) {
    const value = details?.[key];
    if (typeof value === 'string') return value;
  }
  return null;
}
