import type { Json, JsonObject } from '../base/json.ts';
import {
  type Call,
  type CallDetails,
  type Capability,
  ownerOf,
  type ReturnDetails,
  sayerOf,
} from '../events/capability.ts';
import type { Event } from '../events/event.ts';
import { quoted } from './refusals.ts';
import type { DeadLetter } from './store/deliveries.ts';

/** What is said of a call by who does it; undefined where another says it. */
export function saidIn({ source_agent, details }: Event, capability: Capability): ReturnDetails | undefined {
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

/** What is told of a call whose agent cannot say what came of it. */
export function takenBy(source: string, { name }: Capability): ReturnDetails {
  const message = `${quoted(source)} has taken the id under which is told what came of it.`;
  const hint = 'Look whether it was done before you call it again.';
  return { capability: name, took_ms: 0, ok: false, error: { code: 'conflict', message, hint } };
}

/** What is told of a call that its agent was given so often, or in such a state, that it is not given it any more. */
export function diedOf({ agent, id, reason, error, attempts }: DeadLetter, { name }: Capability): ReturnDetails {
  const owner = ownerOf(name);
  const why = {
    attempts: `${owner} took it ${attempts} times and came to no end`,
    rejected: `${owner} gave it up`,
    expired: `${owner} did not take it in time`,
  }[reason];
  const message = `The call is a dead letter: ${why}${error === null ? '' : ` (${error.replace(/\.$/, '')})`}.`;
  const hint = `Look whether it was done. To have it tried again: leveredge dead-letters redrive ${agent} ${id}`;
  return { capability: name, took_ms: 0, ok: false, error: { code: 'internal', message, hint } };
}

/** A call as it is read: from its event, from what its agent said, and from the question whether to do it. */
export function callOf(
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

/** What a call has come to, as far as its own events tell. */
export function statusOf(said: ReturnDetails | undefined, question: Event | undefined): Call['status'] {
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
