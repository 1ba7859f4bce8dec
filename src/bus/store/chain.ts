import { hash } from 'node:crypto';

/**
 * What of an event the chain speaks for: all that never changes. Absent is null. docs/audit.md defines it for others, and
 * a change here needs a new chain. Lists are the JSON text that is stored, which the bus wrote without a blank.
 */
export type ChainedEvent = {
  seq: number;
  id: string;
  /** Milliseconds since the epoch. */
  at: number;
  source_agent: string;
  action: string;
  target: string | null;
  details: string | null;
  source_workflow_id: string | null;
  source_execution_id: string | null;
  correlation_id: string | null;
  causation_id: string | null;
  traceparent: string | null;
  tags: string | null;
  deliver_at: number | null;
  /** Who was told: the list of `[agent, mode, priority]`. */
  hearers: string;
  /** Times that events of the first implementation brought along. */
  first_created_at: number | null;
  first_updated_at: number | null;
};

/** A question as it was asked; how it ended is an event of its own. */
export type ChainedQuestion = {
  requiresHuman: boolean;
  question: string | null;
  options: string | null;
  timeout_minutes: number | null;
  fallback: string | null;
  free_text: number;
  answerers: string | null;
  payload_hash: string | null;
  /** Milliseconds since the epoch. */
  deadline: number | null;
  /** The rungs as `askedEscalation` writes them. */
  escalation: string | null;
};

/** The hash before the first event. */
export const noHash = '0'.repeat(64);

/**
 * An event as canonical JSON (RFC 8785): names in order, nothing absent, numbers and strings as JSON.stringify writes
 * them. By hand, since an object put in order and written costs three times as much, for each publish.
 * `q`: null for most, events that ask nothing.
 */
export function envelopeOf(e: ChainedEvent, q: ChainedQuestion | null): string {
  let text = `{"action":${JSON.stringify(e.action)}`;
  if (q !== null && q.answerers !== null) text += `,"answerers":${q.answerers}`;
  text += `,"at":${e.at}`;
  if (e.causation_id !== null) text += `,"causation_id":${JSON.stringify(e.causation_id)}`;
  if (e.correlation_id !== null) text += `,"correlation_id":${JSON.stringify(e.correlation_id)}`;
  if (q !== null && q.deadline !== null) text += `,"deadline":${q.deadline}`;
  if (e.deliver_at !== null) text += `,"deliver_at":${e.deliver_at}`;
  if (e.details !== null) text += `,"details_sha256":"${hash('sha256', e.details)}"`;
  if (q !== null) text += escalationAndFallback(q);
  if (e.first_created_at !== null) text += `,"first_created_at":${e.first_created_at}`;
  if (e.first_updated_at !== null) text += `,"first_updated_at":${e.first_updated_at}`;
  if (q !== null && q.free_text !== 0) text += `,"free_text":${q.free_text === 1 ? 'true' : q.free_text}`;
  text += `,"hearers":${e.hearers},"id":${JSON.stringify(e.id)}`;
  if (q !== null) text += optionsToRequires(q);
  text += `,"seq":${e.seq},"source_agent":${JSON.stringify(e.source_agent)}`;
  if (e.source_execution_id !== null) text += `,"source_execution_id":${JSON.stringify(e.source_execution_id)}`;
  if (e.source_workflow_id !== null) text += `,"source_workflow_id":${JSON.stringify(e.source_workflow_id)}`;
  if (e.tags !== null) text += `,"tags":${e.tags}`;
  if (e.target !== null) text += `,"target":${JSON.stringify(e.target)}`;
  if (q !== null && q.timeout_minutes !== null) text += `,"timeout_minutes":${JSON.stringify(q.timeout_minutes)}`;
  if (e.traceparent !== null) text += `,"traceparent":${JSON.stringify(e.traceparent)}`;
  return `${text}}`;
}

function escalationAndFallback({ escalation, fallback }: ChainedQuestion): string {
  const first = escalation === null ? '' : `,"escalation":${escalation}`;
  return fallback === null ? first : `${first},"fallback":${JSON.stringify(fallback)}`;
}

function optionsToRequires({ options, payload_hash, question, requiresHuman }: ChainedQuestion): string {
  let text = options === null ? '' : `,"options":${options}`;
  if (payload_hash !== null) text += `,"payload_hash":${JSON.stringify(payload_hash)}`;
  if (question !== null) text += `,"question":${JSON.stringify(question)}`;
  return requiresHuman ? `${text},"requires_human":true` : text;
}

/** The rungs of an escalation as they were asked for, without when they were told. */
export function askedEscalation(rungs: readonly { after_minutes: number; notify: readonly string[] }[]): string {
  return JSON.stringify(rungs.map(({ after_minutes, notify }) => ({ after_minutes, notify })));
}

/** The hash of an event, in hexadecimal, from that of the event before it and its envelope. */
export function chained(previous: string, envelope: string): string {
  return hash('sha256', previous + envelope);
}
