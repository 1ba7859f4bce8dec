import type { z } from 'zod';
import { Fault, reasonOf } from '../base/fault.ts';
import type { JsonObject } from '../base/json.ts';
import type { Client } from '../client/client.ts';
import { patiently } from '../client/patience.ts';
import {
  approvalAction,
  type CallDetails,
  type Capability,
  calledAction,
  callQueueOf,
  ownerOf,
  payloadHash,
  returnedAction,
  returnedId,
} from '../events/capability.ts';
import { busActions, busAgent, type Event } from '../events/event.ts';
import { parseAs } from '../events/parse.ts';
import { type Agent, type Conclusion, done, type Handler, type Said } from './agent.ts';
import { type CallSecrets, secretsOfCall } from './call-secrets.ts';
import { eventOrNone } from './event-or-none.ts';

/** A destructive call may take as long as a restore. */
const longestMs = 12 * 3_600_000;
/** In hand together; those that wait for their turn are among them, and must keep no read from being taken. */
const atOnce = 64;
/** Reads, and preparations, that are worked on together: each may be a process. */
const readsAtOnce = 8;
/** How long a bus that is away is waited for to ask a person. */
const askPatienceMs = 10 * 60_000;
/** A handler that goes on for so long after it was told to end is left to itself, so that the next call has its turn. */
const lettingGoMs = 10_000;
/** What comes of a call and is told by an event, which takes 256 KiB with all that is around it. */
const maxResultBytes = 240 * 1024;
/** Characters of why it failed, which must find room there too. */
const maxMessage = 4000;

type Offer = { capability: Capability; handler: Handler };
/** A call to be done. `id`: the event that it is. */
type Due = Offer & { id: string; correlation_id: string | null; details: CallDetails };

/**
 * The calls of what an agent offers, as a second agent beside it with a queue of its own: reads at once, whatever changes
 * something one after the other. A destructive call is prepared, and done when the bus says that a person has approved just
 * that. Undefined where it offers nothing.
 */
export function callsOf(
  agent: Agent,
  known: readonly Capability[],
  client: Client,
  { letGoMs = lettingGoMs } = {},
): Agent | undefined {
  const offers = Object.entries(agent.offers ?? {}).map(([name, handler]) => offerOf(name, handler, known));
  if (offers.length === 0) return undefined;
  const reading = turnsOf(readsAtOnce);
  /** After everything else of this agent that changes something. */
  const inTurn = turnsOf(1);
  /** The calls whose handler was left to itself and has not come back. */
  const leftAlone = new Set<string>();
  return {
    name: callQueueOf(agent.name),
    speaksAs: agent.name,
    port: agent.port,
    atOnce,
    longestMs,
    hears: {
      ...Object.fromEntries(offers.map(({ capability }) => [calledAction(capability.name), 1])),
      [busActions.humanResponded]: 1,
    },
    onCut(event) {
      const due = event.source_agent === busAgent ? dueOf(offers, event) : undefined;
      if (due === undefined || event.action !== calledAction(due.capability.name)) return [];
      const message = `${agent.name} does not do it: so many events led to this call that they seem to go round in a circle.`;
      return [returned(due, performance.now(), { ok: false, error: { code: 'conflict', message } })];
    },
    async react(event, signal) {
      // Only the bus publishes under its name, and it has let this call through its gate.
      if (event.source_agent !== busAgent) return done();
      const due =
        event.action === busActions.humanResponded ? await approved(client, offers, event) : dueOf(offers, event);
      if (due === undefined) return done();
      if ('end' in due) return due;
      const isApproved = event.action === busActions.humanResponded;
      const isPreparing = due.capability.risk === 'destructive' && !isApproved;
      const turn = isPreparing || due.capability.risk === 'read' ? reading : inTurn;
      return turn(async () => {
        // It has been given back while it waited for its turn, and comes again.
        signal.throwIfAborted();
        const told = await toldBefore(client, due);
        if (told !== undefined) return told;
        const began = performance.now();
        if (leftAlone.has(due.id)) return goesOn(due, began);
        const work = isPreparing ? prepare(client, due, signal) : carriedOut(client, due, signal);
        const end = await endOr(work, signal, letGoMs);
        if (end !== undefined) return end;
        leftAlone.add(due.id);
        void work.catch(() => undefined /* nobody waits for it any more */).finally(() => leftAlone.delete(due.id));
        // Where its time was over it is told; what was given back comes again.
        if (isTimeOver(signal)) return goesOn(due, began);
        throw signal.reason;
      });
    },
  };
}

const isTimeOver = ({ reason }: AbortSignal) => reason instanceof Error && reason.name === 'TimeoutError';

/** What comes of the work, or undefined when it does not end in so long a time after the signal. */
async function endOr(work: Promise<Conclusion>, signal: AbortSignal, letGoMs: number): Promise<Conclusion | undefined> {
  const left = Promise.withResolvers<undefined>();
  let timer: NodeJS.Timeout | undefined;
  const begin = () => {
    timer = setTimeout(() => left.resolve(undefined), letGoMs);
  };
  if (signal.aborted) begin();
  else signal.addEventListener('abort', begin, { once: true });
  try {
    return await Promise.race([work, left.promise]);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', begin);
  }
}

/** Done a second time beside itself it could do harm. */
function goesOn(due: Due, began: number): Conclusion {
  const name = due.capability.name;
  const message = `${name} was to end and did not; it may still be going on.`;
  const hint = 'Look what it has done before you call it again. Started anew its agent does not go on with it.';
  return done(returned(due, began, { ok: false, error: { code: 'internal', message, hint } }));
}

/** Lets so many at a time act, whoever comes first before the others. */
function turnsOf(max: number) {
  let free = max;
  const waiting: (() => void)[] = [];
  return async <T>(act: () => Promise<T>): Promise<T> => {
    if (free > 0) free--;
    else await new Promise<void>((go) => waiting.push(go));
    try {
      return await act();
    } finally {
      const next = waiting.shift();
      if (next === undefined) free++;
      else next();
    }
  };
}

function offerOf(name: string, handler: Handler, known: readonly Capability[]): Offer {
  const capability = known.find((each) => each.name === name);
  if (capability === undefined) throw new Error(`${name} is offered, and no capability of this name is defined`);
  if (capability.doneBy === 'bus') throw new Error(`${name} is offered, and the bus does it itself`);
  if ((capability.risk === 'destructive') !== (handler.prepare !== undefined))
    throw new Error(`${name}: a destructive capability, and no other, is prepared before it is approved`);
  return { capability, handler };
}

function dueOf(offers: readonly Offer[], { id, correlation_id, details }: Event): Due | undefined {
  const call = details as CallDetails | null;
  const offer = offers.find(({ capability }) => capability.name === call?.capability);
  return offer === undefined || call === null ? undefined : { ...offer, id, correlation_id, details: call };
}

/** The call that a person has just approved; undefined for every other answer. */
async function approved(
  client: Client,
  offers: readonly Offer[],
  { causation_id, details: answer }: Event,
): Promise<Due | Conclusion | undefined> {
  const question = await eventOrNone(client, causation_id ?? '');
  if (question === undefined) {
    const isOwn = offers.some(({ capability: { name } }) => answer?.action === approvalAction(name));
    if (!isOwn || answer?.asked_by !== busAgent || answer.response !== 'yes') return undefined;
    const because = `The question ${causation_id} was purged before what a person approved could be done.`;
    return { says: [], end: { kind: 'never', because } };
  }
  if (question.source_agent !== busAgent || question.human_response !== 'yes') return undefined;
  const due = dueOf(offers, question);
  if (due === undefined || question.action !== approvalAction(due.capability.name)) return undefined;
  const call = question.causation_id;
  if (payloadHash(due.details) !== question.payload_hash || call === null)
    return { says: [], end: { kind: 'never', because: 'What was approved is not what the question says.' } };
  return { ...due, id: call };
}

/** What came of it is told: it was killed before that could be acknowledged. Or another has taken the id to tell it under. */
async function toldBefore(client: Client, { capability, id }: Due): Promise<Conclusion | undefined> {
  const told = await eventOrNone(client, returnedId(capability.name, id));
  if (told === undefined) return undefined;
  if (told.source_agent === ownerOf(capability.name)) return done();
  const because = `${told.source_agent} has taken the id under which is told what came of it.`;
  return { says: [], end: { kind: 'never', because } };
}

async function prepare(client: Client, due: Due, signal: AbortSignal): Promise<Conclusion> {
  const began = performance.now();
  const secrets = secretsOfCall(client, due, signal);
  try {
    const prepared = await due.handler.prepare?.(await argumentsOf(due, secrets), callOf(due, signal));
    if (prepared === undefined) throw new Error('nothing prepares it');
    const asked = { arguments: secrets.masked(prepared.arguments), says: secrets.redacted([...prepared.says]) };
    // A bus that restarts just now is no reason that the call has failed.
    await patiently({ signal })(askPatienceMs, () => client.askForCall(due.id, asked, signal));
    return done();
  } catch (error) {
    return failed(due, error, { began, signal, secrets });
  }
}

async function carriedOut(client: Client, due: Due, signal: AbortSignal): Promise<Conclusion> {
  const { capability, handler } = due;
  const began = performance.now();
  const secrets = secretsOfCall(client, due, signal);
  try {
    const args = await argumentsOf(due, secrets);
    const made = await handler.run(args, callOf(due, signal));
    secrets.seen(made);
    const { data, error } = capability.output.safeParse(made);
    if (error !== undefined)
      throw new Fault('internal', `What came of ${capability.name} is not what it gives: ${oddIn(error)}.`);
    const result = await secrets.handedOver(data as JsonObject);
    requireRoom(capability, result);
    const because = { id: due.id, correlation_id: due.correlation_id };
    // They are told what events may have, and so cannot tell more.
    const says = (handler.says?.(result, secrets.masked(args)) ?? []).map(({ action, target, details }) => {
      return { action, target: secrets.redacted(target), details: secrets.redacted(details), because };
    });
    // The result last: once it is there nothing of it is said again.
    return done(...says, returned(due, began, { ok: true, result }));
  } catch (error) {
    return failed(due, error, { began, signal, secrets });
  }
}

/** Published it would be refused, again and again, and whoever called would wait. */
function requireRoom({ name, risk }: Capability, result: JsonObject): void {
  const bytes = Buffer.byteLength(JSON.stringify(result));
  if (bytes <= maxResultBytes) return;
  const size = `${Math.ceil(bytes / 1024)} KiB, and ${maxResultBytes / 1024} KiB are the limit`;
  throw new Fault('too-large', `What came of ${name} is too large to be told: ${size}.`, {
    hint: risk === 'read' ? 'Ask for less of it.' : 'It is done all the same; do not call it again for that.',
  });
}

const oddIn = ({ issues: [first] }: z.ZodError) => `/${first?.path.map(String).join('/')}: ${first?.message}`;

async function argumentsOf({ capability }: Due, secrets: CallSecrets): Promise<JsonObject> {
  return parseAs(capability.input, await secrets.opened(), 'The call').value as JsonObject;
}

const callOf = ({ id, details }: Due, signal: AbortSignal) => ({ id, askedBy: details.asked_by, signal });

/** Told to who asked, once: whether to try again is theirs to decide. What was ended comes again instead. */
function failed(
  due: Due,
  thrown: unknown,
  { began, signal, secrets }: { began: number; signal: AbortSignal; secrets: CallSecrets },
): Conclusion {
  // What was given back comes again. Where its time is over it would take as long again, and whoever called would wait.
  if (signal.aborted && !isTimeOver(signal)) throw thrown;
  const { code, hint } = thrown instanceof Fault ? thrown : { code: 'internal', hint: undefined };
  const why =
    thrown === signal.reason ? `${due.capability.name} took longer than it may, and was ended.` : reasonOf(thrown);
  const error = {
    code,
    message: secrets.redacted(why).slice(0, maxMessage).toWellFormed(),
    ...(hint === undefined ? {} : { hint: secrets.redacted(hint) }),
  };
  return done(returned(due, began, { ok: false, error }));
}

function returned(
  { capability, id, correlation_id, details }: Due,
  began: number,
  outcome: { ok: true; result: JsonObject } | { ok: false; error: JsonObject },
): Said {
  const target = details.arguments.target;
  return {
    action: returnedAction(capability.name),
    target: typeof target === 'string' ? target : null,
    details: { capability: capability.name, took_ms: Math.round(performance.now() - began), ...outcome },
    because: { id, correlation_id },
  };
}
