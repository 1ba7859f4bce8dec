import { Fault, reasonOf } from '../base/fault.ts';
import type { JsonObject } from '../base/json.ts';
import { pickByPrefix } from '../base/pick-by-prefix.ts';
import { type Capability, type ReturnDetails, returnedAction, returnedId } from '../events/capability.ts';
import { isEventId } from '../events/draft.ts';
import { busAgent, type Event } from '../events/event.ts';
import type { Principal } from '../events/principal.ts';
import { type Answering, answerQuestion } from './answer-question.ts';
import { seqOf } from './paging.ts';
import { requireKind } from './permission.ts';
import type { PendingPlace, Store } from './store/store.ts';

/** A beginning of an id is looked for among so many open questions, and so many of the newest events. */
const pageSize = 1000;
const maxPages = 5;

type Touched = Pick<Store, 'answer' | 'event' | 'events' | 'pending'>;

/** A call that the bus does itself, as whoever calls. */
export type OwnCall = {
  /** The arguments as they are told of, and the event that they are about. Changes nothing. @throws Fault why it cannot be begun */
  prepare(args: JsonObject, principal: Principal): Promise<{ args: JsonObject; about: string }>;
  /** @throws Fault why it was not done */
  run(args: JsonObject, via: string, principal: Principal): Promise<JsonObject>;
};

/** What the bus does itself, by the name of the capability. */
export function ownCallsOf(
  store: Touched,
  { requireProof }: Pick<Answering, 'requireProof'>,
): Readonly<Record<string, OwnCall>> {
  return {
    'atlas.respond': {
      async prepare(args, principal) {
        if (principal.kind !== 'anonymous') requireKind(principal, 'answer', undefined);
        const question = await questionId(store, args.question as string);
        return { args: { ...args, question }, about: question };
      },
      run: (args, via, principal) => respond({ store, requireProof }, args, via, principal),
    },
  };
}

/**
 * Does begun calls that are the bus' own to do, and tells the log what came of each. Once: asked again meanwhile it waits for that,
 * and later it does nothing.
 */
export function ownWorkOf(store: Pick<Store, 'event' | 'publish'>) {
  const atWork = new Map<string, Promise<void>>();
  /** @throws Fault as `act` does */
  return async (capability: Capability, id: string, act: () => Promise<JsonObject>): Promise<void> => {
    const isDone = !atWork.has(id) && (await store.event(returnedId(capability.name, id))) !== undefined;
    if (isDone) return;
    const work = atWork.get(id) ?? doneAndTold(store, capability, id, act).finally(() => atWork.delete(id));
    atWork.set(id, work);
    return work;
  };
}

async function doneAndTold(
  store: Pick<Store, 'event' | 'publish'>,
  { name }: Capability,
  id: string,
  act: () => Promise<JsonObject>,
): Promise<void> {
  const began = performance.now();
  const outcome = await act().then(
    (result) => ({ ok: true, result }),
    (thrown: unknown) => ({ ok: false, error: errorOf(thrown), thrown }),
  );
  const { thrown, ...told } = { thrown: undefined, ...outcome };
  const call = await store.event(id);
  await store.publish({
    ...{ id: returnedId(name, id), source_agent: busAgent, action: returnedAction(name), causation_id: id },
    ...{ correlation_id: call?.correlation_id ?? id, target: call?.target ?? null },
    details: { capability: name, took_ms: Math.round(performance.now() - began), ...told },
  });
  if (thrown !== undefined) throw thrown;
}

function errorOf(thrown: unknown): JsonObject {
  const { code, hint } = thrown instanceof Fault ? thrown : { code: 'internal', hint: undefined };
  return { code, message: reasonOf(thrown), ...(hint === undefined ? {} : { hint }) };
}

/** Says of a call that an earlier run of the bus began and did not end that it failed; undefined of every other. */
export function cutOffSince(store: Pick<Store, 'head' | 'epoch'>) {
  const headAtStart = store.head();
  return ({ name, doneBy }: Capability, { bookmark }: Event): ReturnDetails | undefined => {
    if (doneBy !== 'bus' || (seqOf(bookmark, store.epoch) ?? 0) > headAtStart) return undefined;
    const message = 'The bus was ended in the middle of it.';
    const hint = 'Look whether it was done before you call it again.';
    return { capability: name, took_ms: 0, ok: false, error: { code: 'unavailable', message, hint } };
  };
}

async function respond(answering: Answering, args: JsonObject, via: string, principal: Principal): Promise<JsonObject> {
  const { question, answer, reason, payload_hash } = args as Record<string, string>;
  const body = { response: answer as string, via, reason, payload_hash };
  const given = await answerQuestion(answering, question as string, body, principal).catch((error: unknown) => {
    throw error instanceof Fault ? asCalled(error) : error;
  });
  const { response, responder: responded_by, via: responded_via, responded_at } = given;
  return { question: question as string, answer: response, responded_by, responded_via, responded_at };
}

/** In the words of this call, which takes no other name than that of whoever calls. */
function asCalled({ code, message, hint, mistakes, extra }: Fault): Fault {
  return new Fault(code, message, {
    hint: hint?.replace(
      /say who( answers)? in responder\./i,
      'with their own token, or: leveredge answer ID ANSWER --as NAME',
    ),
    mistakes: mistakes.map(({ pointer, detail }) => ({ pointer: pointer.replace('/response', '/answer'), detail })),
    extra,
  });
}

/** The event with this id, whatever became of it; or the open question whose id begins so, or one of the newest. */
async function questionId(store: Touched, idOrPrefix: string): Promise<string> {
  if (isEventId(idOrPrefix) && (await store.event(idOrPrefix)) !== undefined) return idOrPrefix;
  const open = await idsIn(async (after: PendingPlace | undefined) => {
    const { pending, next } = await store.pending({ limit: pageSize, after });
    return { ids: pending.map(({ id }) => id), next };
  });
  const isKnown = open.some((id) => id.startsWith(idOrPrefix));
  // Who comes late wants to know who was first.
  const among = isKnown ? open : await idsIn((before: number | undefined) => askedBefore(store, before));
  return pickByPrefix(idOrPrefix, among, 'question', 'The open ones: leveredge pending');
}

async function askedBefore(store: Touched, before: number | undefined) {
  const { events, next } = await store.events({}, { limit: pageSize, before });
  return { ids: events.filter(({ requires_human }) => requires_human).map(({ id }) => id), next };
}

async function idsIn<Place>(read: (from: Place | undefined) => Promise<{ ids: string[]; next: Place | null }>) {
  const found: string[] = [];
  let from: Place | undefined;
  for (let page = 0; page < maxPages; page++) {
    const { ids, next } = await read(from);
    found.push(...ids);
    if (next === null) break;
    from = next;
  }
  return found;
}
