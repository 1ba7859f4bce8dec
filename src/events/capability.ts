import { createHash } from 'node:crypto';
import type { z } from 'zod';
import { canonicalJson } from '../base/canonical-json.ts';
import type { JsonObject } from '../base/json.ts';
import { busAgent, type Event } from './event.ts';

/** `read` changes nothing; `write` does; `destructive` may destroy something, so a person approves each call before. */
export const risks = ['read', 'write', 'destructive'] as const;
export type Risk = (typeof risks)[number];

/**
 * Something that an agent can do for someone, as every door shows it. The agent's process does it (src/agents); this says
 * what it is called, takes and gives, and how risky it is. All of it appears in events: nothing in it may be secret.
 */
export type Capability = {
  /** `hades.rollback`: the agent in small letters, a dot, and what it does. */
  name: string;
  /** One sentence, imperative, without a full stop. */
  summary: string;
  risk: Risk;
  /**
   * Who does it, where that is not its agent: the bus itself, at once and with the rights of whoever calls. For what nobody may do in
   * another's name.
   */
  doneBy?: 'bus';
  /** Strict: an unknown argument is refused. */
  input: z.ZodObject;
  output: z.ZodObject;
  /** Arguments as somebody might send them, for the documentation. */
  example: JsonObject;
  /** Of a destructive one: whether a yes to just this takes a code too, where whoever says it is not at the server. */
  stepUp?: (args: JsonObject) => boolean;
  /** What the person is asked who approves a destructive call. */
  question?: (args: JsonObject) => string;
  /** Of a result with a list, which members make its columns, in order. */
  columns?: readonly string[];
  /** Of one that only reads: without a bus the command line has it done on the spot, by what lies on disk. */
  fromDisk?: true;
  /** What tells the same when no bus answers: a command of GAIA or of leveredge. */
  withoutBus?: string;
  /**
   * How a person may ask for it in words, beside its own name, in small letters: `roll {target} back`. `{target}` is an argument, of
   * one word; `{answer…}`, at the end, is all the rest. `show|list` is either, and `[last]` may be left out.
   */
  phrases?: readonly string[];
};

/** Who asked for a call, whatever door it came through. No name on loopback without a token. */
export type Asker = { kind: 'anonymous' | 'agent' | 'person' | 'tool'; name: string | null };

/** The details of the event that is a call. */
export type CallDetails = { capability: string; arguments: JsonObject; asked_by: Asker; via: string };

/** The details of the question whether a call may be done: the call as its agent has prepared it. */
export type ApprovalDetails = CallDetails & { step_up?: typeof stepUpByCode };
/** A yes counts with a code alone, from whoever may approve no other way. */
export const stepUpByCode = 'code';

/** Whether this question is such an approval of the bus. */
export function isSteppedUp({ source_agent, details }: Pick<Event, 'source_agent' | 'details'>): boolean {
  return source_agent === busAgent && details?.step_up === stepUpByCode;
}

/** The details of the event that says what came of a call. */
export type ReturnDetails = { capability: string; took_ms: number } & (
  | { ok: true; result: JsonObject }
  | { ok: false; error: { code: string; message: string; hint?: string } }
);

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
/** Who says what came of a call. */
export const sayerOf = ({ name, doneBy }: Pick<Capability, 'name' | 'doneBy'>) =>
  doneBy === 'bus' ? busAgent : ownerOf(name);

/** Where an agent takes its calls from: a queue of its own, so that a long reaction does not hold them up. */
export const callQueueOf = (agent: string) => `${agent}.calls`;

/** The agent that a capability belongs to. */
export const ownerOf = (capability: string) => capability.slice(0, capability.indexOf('.')).toUpperCase();

const stem = (capability: string) => capability.replace('.', '_');
/** What the event is named that is a call. */
export const calledAction = (capability: string) => `${stem(capability)}_called`;
/** What the event is named that says what came of a call. */
export const returnedAction = (capability: string) => `${stem(capability)}_returned`;
/** What the question is named whether a call may be done. */
export const approvalAction = (capability: string) => `${stem(capability)}_approval`;

/**
 * The id of what somebody says because of an event: from who says what because of which event, so that it is on the bus
 * once, however often it is said.
 */
export function consequenceId(source: string, cause: string, action: string, target: string | null): string {
  const digest = createHash('sha256').update(JSON.stringify([source, cause, action, target]));
  return `${source.toLowerCase()}-${digest.digest('hex').slice(0, 40)}`;
}

/** The id of the event that says what came of a call, before there is one. */
export const returnedId = (capability: string, call: string) =>
  consequenceId(ownerOf(capability), call, returnedAction(capability), null);

/** What an approval is bound to: what is done with what for whom. SHA-256, hex. */
export function payloadHash({ capability, arguments: args, asked_by }: Omit<CallDetails, 'via'>): string {
  const payload = { capability, arguments: args, asked_by };
  return createHash('sha256').update(canonicalJson(payload)).digest('hex');
}
