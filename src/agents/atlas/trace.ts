import type { JsonObject } from '../../base/json.ts';
import type { Client } from '../../client/client.ts';
import type { Event } from '../../events/event.ts';
import { lineOf } from './event-line.ts';

/** How many events, the newest first, are looked through for what followed. */
const maxLooked = 20_000;
const pageSize = 1000;
/** Of a matter with more events the rest is left out. */
const maxTold = 500;

/**
 * The matter that an event belongs to, in the order in which it happened: everything that has the same
 * `correlation_id`, and what follows from any of it by its `causation_id`.
 * @throws Fault `not-found`
 */
export async function traceOf(
  bus: Pick<Client, 'event' | 'events'>,
  id: string,
  signal: AbortSignal,
): Promise<JsonObject> {
  const event = await bus.event(id);
  const matter = event.correlation_id ?? event.id;
  const looked: Event[] = [];
  let before: string | undefined;
  let isWhole = true;
  for (;;) {
    signal.throwIfAborted();
    const { events, next } = await bus.events({ limit: pageSize, before });
    looked.push(...events);
    // What began it is the oldest.
    if (events.some((each) => each.id === matter) || next === null) break;
    if (looked.length > maxLooked) {
      isWhole = false;
      break;
    }
    before = next;
  }
  // It may be older than what is looked through.
  if (!looked.some((each) => each.id === event.id)) looked.push(event);
  const found = matterOf(looked.toReversed(), matter);
  const inOrder = [...found.values()];
  const trace = inOrder
    .slice(0, maxTold)
    .map((each) => ({ ...lineOf(each), depth: depthOf(each, found), says: saidIn(each) }));
  return { matter, trace, is_whole: isWhole && inOrder.length <= maxTold };
}

/** What says that it belongs to the matter, and what follows from that, in the order of the log. */
function matterOf(log: readonly Event[], matter: string): Map<string, Event> {
  const followers = Map.groupBy(log, ({ causation_id }) => causation_id);
  const belonging = new Set(log.filter(({ id, correlation_id }) => id === matter || correlation_id === matter));
  // A set gives what is added while it is walked through, each once: circles end.
  for (const { id } of belonging) for (const each of followers.get(id) ?? []) belonging.add(each);
  return new Map(log.filter((each) => belonging.has(each)).map((each) => [each.id, each]));
}

function depthOf(event: Event, among: ReadonlyMap<string, Event>): number {
  let depth = 0;
  const seen = new Set<string>();
  for (let each: Event | undefined = event; each?.causation_id && !seen.has(each.id); depth++) {
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
