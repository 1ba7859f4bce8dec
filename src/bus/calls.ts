import { Fault } from '../base/fault.ts';
import type { Json, JsonObject } from '../base/json.ts';
import {
  type Asker,
  approvalAction,
  type CallDetails,
  type Capability,
  calledAction,
  callQueueOf,
  consequenceId,
  ownerOf,
  payloadHash,
  type ReturnDetails,
  returnedId,
  sayerOf,
} from '../events/capability.ts';
import { busAgent, type Event } from '../events/event.ts';
import { parseAs } from '../events/parse.ts';
import { cutOffSince } from './own-calls.ts';
import { quoted } from './refusals.ts';
import type { Commit, Published, Store } from './store/store.ts';
import { settled } from './waiters.ts';

/** How long a person has for an approval; then the answer is no. */
const approvalMinutes = 60;
/** Characters in a question. */
const maxQuestion = 4000;
/** Callers that wait for what comes of a call at the same time. */
const maxWaiting = 500;
/** Each looks at what was committed; more than so many look together and less often, or the bus would do little else. */
const fewWaiting = 50;
const crowdedMs = 250;

export const callStates = ['running', 'pending_approval', 'refused', 'done', 'failed'] as const;

/** A call and what came of it, as it is read. `id`: that of the event that it is. */
export type Call = {
  id: string;
  capability: string;
  status: (typeof callStates)[number];
  arguments: JsonObject;
  asked_by: Asker;
  via: string;
  asked_at: string;
  /** Of a destructive call, once its agent has prepared it. */
  approval: {
    id: string;
    question: string;
    payload_hash: string;
    timeout_at: string | null;
    response: string | null;
    responded_by: string | null;
    responded_via: string | null;
  } | null;
  result: JsonObject | null;
  error: { code: string; message: string; hint?: string } | null;
  took_ms: number | null;
};

/** Where a call comes from. */
type From = {
  askedBy: Asker;
  via: string;
  /** The event that it follows from. */
  cause: string | undefined;
  /** Names this call, so that asking for just the same again is the same call. */
  key: string | undefined;
};

export type Calls = {
  readonly capabilities: readonly Capability[];
  /** Publishes a call, and answers its id. @throws Fault `conflict` for a key of another call, `unavailable` where no queue takes it */
  begin(capability: Capability, args: JsonObject, from: From): Promise<string>;
  /**
   * Asks a person whether a destructive call may be done as its agent has prepared it. Safe to repeat.
   * @throws Fault `not-found`, `asks-nothing`, `invalid`, and `conflict` when somebody has taken the id of the question
   */
  ask(id: string, args: JsonObject, says: readonly string[]): Promise<Call>;
  /** @throws Fault `not-found` */
  call(id: string): Promise<Call>;
  /**
   * The call, when it is none of these any more, the time is over, or the caller is gone.
   * @throws Fault `not-found`, and `queue-full` where there is time to wait and `isFull`
   */
  after(states: readonly Call['status'][], id: string, withinMs: number, gone: AbortSignal): Promise<Call>;
  readonly waiting: number;
  /** Whether nobody more may wait. */
  readonly isFull: boolean;
  /** Lets everybody go who waits: the bus is stopping. */
  release(): void;
};

type CallsDeps = {
  store: Pick<Store, 'publish' | 'event' | 'explain' | 'onCommitted' | 'head' | 'epoch'>;
  capabilities: readonly Capability[];
};

/** Calls of capabilities, as events: the call, what came of it, and between them a question where it destroys. */
export function makeCalls({ store, capabilities }: CallsDeps): Calls {
  let waiters = 0;
  const waiting = new Set<PromiseWithResolvers<void>>();
  let isReleased = false;
  const waker = wakerOf(waiting);
  const ignore = store.onCommitted((_: Commit) => waker.committed());
  const cutOff = cutOffSince(store);

  const callEvent = async (id: string): Promise<{ event: Event; details: CallDetails; capability: Capability }> => {
    const event = await store.event(id);
    const details = event?.details as CallDetails | null | undefined;
    const capability = capabilities.find(({ name }) => name === details?.capability);
    const isCall =
      event?.source_agent === busAgent && capability !== undefined && event.action === calledAction(capability.name);
    if (!isCall || !details) throw new Fault('not-found', `There is no call ${quoted(id)}.`);
    return { event, details, capability };
  };

  async function call(id: string): Promise<Call> {
    const { event, details, capability } = await callEvent(id);
    const returned = await store.event(returnedId(capability.name, id));
    const isAsked = capability.risk === 'destructive';
    const found = isAsked ? await store.event(questionIdOf(capability, id)) : undefined;
    // Another's event of this id asks nothing.
    const question = found?.source_agent === busAgent ? found : undefined;
    const said = returned ? saidIn(returned, capability) : cutOff(capability, event);
    // Nor does it say what came of the call; but then its agent cannot say it either.
    const isTaken = said === undefined && returned !== undefined && statusOf(undefined, question) === 'running';
    return callOf(event, details, isTaken ? takenBy(returned.source_agent, capability) : said, question);
  }

  return {
    capabilities,
    async begin(capability, args, { askedBy, via, cause, key }) {
      const details: CallDetails = { capability: capability.name, arguments: args, asked_by: askedBy, via };
      const earlier = cause === undefined ? undefined : await store.event(cause);
      if (cause !== undefined && earlier === undefined)
        throw new Fault('not-found', `There is no event ${quoted(cause)}.`);
      if (capability.doneBy !== 'bus') await requireTaker(store, capability);
      const published = await store.publish({
        ...(key === undefined ? {} : { id: idOfKey(askedBy, capability, key) }),
        source_agent: busAgent,
        action: calledAction(capability.name),
        target: targetIn(args),
        details: details as unknown as JsonObject,
        ...(earlier && { causation_id: earlier.id, correlation_id: earlier.correlation_id ?? earlier.id }),
      });
      return idOf(published, 'This Idempotency-Key came with another call before.');
    },
    async ask(id, args, says) {
      const { event, details, capability } = await callEvent(id);
      await askOnce(store, { capability, details: { ...details, arguments: args }, says, call: event });
      return call(id);
    },
    call,
    async after(states, id, withinMs, gone) {
      const until = performance.now() + withinMs;
      // Who only looks waits for nobody, and who waits keeps the place until the end.
      const places = withinMs > 0 ? 1 : 0;
      if (waiters + places > maxWaiting) throw tooMany();
      waiters += places;
      try {
        for (;;) {
          // Before looking, or what happens between the two is missed.
          const change = Promise.withResolvers<void>();
          waiting.add(change);
          try {
            const found = await call(id);
            const left = until - performance.now();
            if (!states.includes(found.status) || left <= 0 || gone.aborted || isReleased) return found;
            await settled(change, left, gone);
          } finally {
            waiting.delete(change);
          }
        }
      } finally {
        waiters -= places;
      }
    },
    get waiting() {
      return waiters;
    },
    get isFull() {
      return waiters >= maxWaiting;
    },
    release() {
      isReleased = true;
      ignore();
      waker.release();
    },
  };
}

/** Wakes those who wait for calls, to look again. */
function wakerOf(waiting: Set<PromiseWithResolvers<void>>) {
  let soon: NodeJS.Timeout | undefined;
  const wake = () => {
    clearTimeout(soon);
    soon = undefined;
    for (const each of waiting) each.resolve();
    waiting.clear();
  };
  return {
    committed() {
      if (waiting.size <= fewWaiting) wake();
      else soon ??= setTimeout(wake, crowdedMs);
    },
    release: wake,
  };
}

/** Its agent has a queue for it since it ran for the first time; without that the call would wait for nobody. */
async function requireTaker({ explain }: CallsDeps['store'], { name }: Capability): Promise<void> {
  const owner = ownerOf(name);
  const { hearers } = await explain(calledAction(name), false);
  if (hearers.some(({ agent, mode }) => agent === callQueueOf(owner) && mode === 'queue')) return;
  throw new Fault('unavailable', `${owner} has never run on this bus, or takes no calls of ${name}.`, {
    hint: `Start it: leveredge agent ${owner.toLowerCase()}`,
  });
}

/** Undefined where another than who does it says it. */
function saidIn({ source_agent, details }: Event, capability: Capability): ReturnDetails | undefined {
  const { name } = capability;
  if (source_agent !== sayerOf(capability)) return undefined;
  const { ok, result, error, took_ms } = (details ?? {}) as Record<string, Json>;
  const took = { capability: name, took_ms: typeof took_ms === 'number' ? took_ms : 0 };
  if (ok === true && isObject(result)) return { ...took, ok, result };
  if (ok === false && isObject(error) && typeof error.code === 'string' && typeof error.message === 'string') {
    const { code, message, hint } = error;
    return { ...took, ok, error: { code, message, ...(typeof hint === 'string' ? { hint } : {}) } };
  }
  const message = `What ${source_agent} says came of ${name} makes no sense.`;
  return { ...took, ok: false, error: { code: 'internal', message } };
}

const isObject = (value: Json | undefined): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function takenBy(source: string, { name }: Capability): ReturnDetails {
  const message = `${quoted(source)} has taken the id under which is told what came of it.`;
  const hint = 'Look whether it was done before you call it again.';
  return { capability: name, took_ms: 0, ok: false, error: { code: 'conflict', message, hint } };
}

type Asking = { capability: Capability; details: CallDetails; says: readonly string[]; call: Event };

/** What was asked is not asked again, also where it is prepared anew and something has changed meanwhile. */
async function askOnce(
  store: CallsDeps['store'],
  { capability, details: prepared, says, call }: Asking,
): Promise<void> {
  const { name, question } = capability;
  if (question === undefined) throw new Fault('asks-nothing', `${name} needs nobody's approval.`);
  const id = questionIdOf(capability, call.id);
  const before = await store.event(id);
  if (before?.source_agent === busAgent) return;
  // Nobody can be asked under it any more; waiting for that would have no end.
  if (before !== undefined)
    throw new Fault('conflict', `${quoted(before.source_agent)} has taken the id of the question whether to do it.`, {
      hint: 'Call it again, and look at what it publishes: leveredge events',
    });
  // As its agent will hold them against it after the yes: nobody is asked about what could not be done.
  const place = (pointer: string) => `/arguments${pointer}`;
  const { value } = parseAs(capability.input, prepared.arguments, 'What was prepared', place);
  const details = { ...prepared, arguments: value as JsonObject };
  await store.publish({
    id,
    source_agent: busAgent,
    action: approvalAction(name),
    target: targetIn(details.arguments),
    details: details as unknown as JsonObject,
    requires_human: true,
    human_question: [question(details.arguments), ...says].join('\n').slice(0, maxQuestion),
    human_options: ['yes', 'no'],
    human_timeout_minutes: approvalMinutes,
    human_fallback: 'no',
    payload_hash: payloadHash(details),
    causation_id: call.id,
    correlation_id: call.correlation_id ?? call.id,
  });
}

const questionIdOf = ({ name }: Capability, call: string) => consequenceId(busAgent, call, approvalAction(name), null);

const targetIn = ({ target }: JsonObject) => (typeof target === 'string' ? target : null);

function idOfKey({ kind, name }: Asker, capability: Capability, key: string): string {
  return consequenceId('call', JSON.stringify([kind, name, key]), capability.name, null);
}

function idOf(published: Published, taken: string): string {
  if (published.kind === 'stored' || published.kind === 'duplicate') return published.receipt.id;
  throw new Fault('conflict', taken, { hint: 'Send another key, or none.' });
}

function tooMany(): Fault {
  return new Fault('queue-full', `${maxWaiting} callers wait for calls already, which is the limit.`, {
    hint: 'Ask again without wait, or a little later.',
  });
}

function callOf(
  event: Event,
  { capability, arguments: args, asked_by, via }: CallDetails,
  said: ReturnDetails | undefined,
  question: Event | undefined,
): Call {
  const error = said !== undefined && !said.ok ? said.error : null;
  return {
    id: event.id,
    capability,
    status: statusOf(said, question),
    // What is approved is what was prepared.
    arguments: (question?.details as CallDetails | undefined)?.arguments ?? args,
    asked_by,
    via,
    asked_at: event.timestamp,
    approval: question === undefined ? null : approvalOf(question),
    result: said?.ok === true ? said.result : null,
    error,
    took_ms: said?.took_ms ?? null,
  };
}

function statusOf(said: ReturnDetails | undefined, question: Event | undefined): Call['status'] {
  if (said !== undefined) return said.ok ? 'done' : 'failed';
  if (question === undefined) return 'running';
  if (question.human_state === 'open') return 'pending_approval';
  return question.human_response === 'yes' ? 'running' : 'refused';
}

function approvalOf(question: Event): NonNullable<Call['approval']> {
  const { id, human_question, payload_hash, timeout_at, human_response } = question;
  return {
    id,
    question: human_question ?? '',
    payload_hash: payload_hash ?? '',
    timeout_at,
    response: human_response,
    responded_by: question.human_responded_by,
    responded_via: question.human_responded_via,
  };
}
