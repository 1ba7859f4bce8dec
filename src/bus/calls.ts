import { randomUUID } from 'node:crypto';
import { Fault } from '../base/fault.ts';
import type { JsonObject } from '../base/json.ts';
import {
  type ApprovalDetails,
  type Asker,
  approvalAction,
  type Call,
  type CallDetails,
  type Capability,
  calledAction,
  callQueueOf,
  consequenceId,
  ownerOf,
  payloadHash,
  stepUpByCode,
} from '../events/capability.ts';
import { busAgent, type Event } from '../events/event.ts';
import { parseAs } from '../events/parse.ts';
import { maskedSchema, secretMembers, secretsIn } from '../events/secret.ts';
import { type CallReader, callReaderOf, questionIdOf } from './call-reader.ts';
import { cutOffSince } from './own-calls.ts';
import { quoted } from './refusals.ts';
import type { Secrets } from './secrets.ts';
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

/** Where a call comes from. */
type From = {
  askedBy: Asker;
  via: string;
  /** The event that it follows from. */
  cause: string | undefined;
  /** Names this call, so that asking for just the same again is the same call. */
  key: string | undefined;
};

export type Calls = CallReader & {
  readonly capabilities: readonly Capability[];
  /** Publishes a call, and answers its id. @throws Fault `conflict` for a key of another call, `unavailable` where no queue takes it */
  begin(capability: Capability, args: JsonObject, from: From): Promise<string>;
  /**
   * Asks a person whether a destructive call may be done as its agent has prepared it. Safe to repeat.
   * @throws Fault `not-found`, `asks-nothing`, `invalid`, and `conflict` when somebody has taken the id of the question
   */
  ask(id: string, args: JsonObject, says: readonly string[]): Promise<Call>;
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
  store: Pick<
    Store,
    'publish' | 'publishWithSecrets' | 'event' | 'deadLetterOf' | 'explain' | 'onCommitted' | 'head' | 'epoch'
  >;
  capabilities: readonly Capability[];
  secrets: Pick<Secrets, 'seal' | 'noteKept'>;
};

/** Calls of capabilities, as events: the call, what came of it, and between them a question where it destroys. */
export function makeCalls({ store, capabilities, secrets }: CallsDeps): Calls {
  let waiters = 0;
  const waiting = new Set<PromiseWithResolvers<void>>();
  let isReleased = false;
  const waker = wakerOf(waiting);
  const ignore = store.onCommitted((_: Commit) => waker.committed());
  const reader = callReaderOf(store, capabilities, cutOffSince(store));
  const { called, call } = reader;

  return {
    capabilities,
    async begin(capability, args, { askedBy, via, cause, key }) {
      const { id, sealed, masked } = maskedBy(
        secrets,
        capability,
        args,
        key === undefined ? undefined : idOfKey(askedBy, capability, key),
      );
      const details: CallDetails = { capability: capability.name, arguments: masked, asked_by: askedBy, via };
      const earlier = cause === undefined ? undefined : await store.event(cause);
      if (cause !== undefined && earlier === undefined)
        throw new Fault('not-found', `There is no event ${quoted(cause)}.`);
      if (capability.doneBy !== 'bus') await requireTaker(store, capability);
      const draft = {
        ...(id === undefined ? {} : { id }),
        source_agent: busAgent,
        action: calledAction(capability.name),
        target: targetIn(args),
        details: details as unknown as JsonObject,
        ...(earlier && { causation_id: earlier.id, correlation_id: earlier.correlation_id ?? earlier.id }),
      };
      const published = sealed.length > 0 ? await store.publishWithSecrets(draft, sealed) : await store.publish(draft);
      if (sealed.length > 0) secrets.noteKept();
      return idOf(published, 'This Idempotency-Key came with another call before.');
    },
    async ask(id, args, says) {
      const { event, details, capability } = await called(id);
      await askOnce(store, { capability, details: { ...details, arguments: args }, says, call: event });
      return call(id);
    },
    ...reader,
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

/** What the event may say of the arguments, and what is kept beside it. That belongs to its id, which is then made here. */
function maskedBy({ seal }: CallsDeps['secrets'], { input }: Capability, args: JsonObject, given: string | undefined) {
  const values = secretsIn(input, args);
  if (Object.keys(values).length === 0) return { id: given, sealed: [], masked: args };
  const id = given ?? `call-${randomUUID()}`;
  const sealed = seal(id, 'arguments', values);
  const placeholders = Object.fromEntries(sealed.map(({ member, placeholder }) => [member, placeholder]));
  return { id, sealed, masked: { ...args, ...placeholders } };
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

type Asking = { capability: Capability; details: CallDetails; says: readonly string[]; call: Event };

/** What was asked is not asked again, also where it is prepared anew and something has changed meanwhile. */
async function askOnce(
  store: CallsDeps['store'],
  { capability, details: prepared, says, call }: Asking,
): Promise<void> {
  const { name, question, stepUp } = capability;
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
  const { value } = parseAs(maskedSchema(capability.input), prepared.arguments, 'What was prepared', place);
  const details: ApprovalDetails = {
    ...{ ...prepared, arguments: value as JsonObject },
    ...(stepUp?.(value as JsonObject) && { step_up: stepUpByCode }),
  };
  requireSameSecrets(capability, details.arguments, (call.details as CallDetails).arguments);
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

/** What is approved is what came with the call: its placeholders are bound to the values. */
function requireSameSecrets({ input }: Capability, prepared: JsonObject, called: JsonObject): void {
  const odd = secretMembers(input).find((member) => prepared[member] !== called[member]);
  if (odd === undefined) return;
  const detail = 'must be the placeholder that the call has, or missing as there';
  throw new Fault('invalid', `What was prepared makes no sense: /arguments/${odd} ${detail}.`, {
    mistakes: [{ pointer: `/arguments/${odd}`, detail }],
  });
}

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
