import { rfc3339 } from '../../../base/clock.ts';
import { bookmarkOf } from '../../../events/bookmark.ts';
import type { Event, PendingQuestion } from '../../../events/event.ts';

/** All that makes up an event, in one row. */
export const eventColumns = `e.seq, e.id, e.at, e.target, e.details, e.source_workflow_id, e.source_execution_id,
  e.correlation_id, e.causation_id, e.traceparent, e.tags, e.deliver_at, e.first_created_at, e.first_updated_at, f.source_agent, f.action, f.status, a.agents, q.state,
  q.question, q.options, q.timeout_minutes, q.fallback, q.free_text, q.answerers, q.payload_hash, q.deadline,
  q.escalation, q.escalated_at, q.shown_at, q.response, q.responded_by, q.responded_via, q.resolved_at,
  (SELECT json_group_object(k.agent, k.at) FROM acknowledgements k WHERE k.seq = e.seq) AS acknowledged`;

export const eventTables = `event_log e JOIN facets f USING (facet_id) JOIN audiences a USING (audience_id)
  LEFT JOIN questions q USING (seq)`;

export type EventRow = {
  seq: number;
  id: string;
  at: number;
  target: string | null;
  details: string | null;
  source_workflow_id: string | null;
  source_execution_id: string | null;
  correlation_id: string | null;
  causation_id: string | null;
  traceparent: string | null;
  tags: string | null;
  deliver_at: number | null;
  first_created_at: number | null;
  first_updated_at: number | null;
  source_agent: string;
  action: string;
  status: Event['status'];
  agents: string;
  state: Event['human_state'];
  question: string | null;
  options: string | null;
  timeout_minutes: number | null;
  fallback: string | null;
  free_text: number | null;
  answerers: string | null;
  payload_hash: string | null;
  deadline: number | null;
  escalation: string | null;
  escalated_at: number | null;
  shown_at: number | null;
  response: string | null;
  responded_by: string | null;
  responded_via: string | null;
  resolved_at: number | null;
  acknowledged: string;
};

export function toEvent(row: EventRow, epoch: string): Event {
  const acknowledged = row.acknowledged === '{}' ? noOne : Object.entries<number>(JSON.parse(row.acknowledged));
  const at = rfc3339(row.at);
  const { first_updated_at, resolved_at, shown_at, escalated_at } = row;
  const times = [first_updated_at, resolved_at, shown_at, escalated_at, ...acknowledged.map(([, time]) => time)];
  const touched = times.reduce<number>((latest, time) => Math.max(latest, time ?? 0), row.at);
  return {
    id: row.id,
    timestamp: at,
    source_agent: row.source_agent,
    source_workflow_id: row.source_workflow_id,
    source_execution_id: row.source_execution_id,
    action: row.action,
    target: row.target,
    details: parsed(row.details),
    requires_human: row.state !== null,
    human_question: row.question,
    human_options: parsed(row.options),
    human_timeout_minutes: row.timeout_minutes,
    human_fallback: row.fallback,
    human_response: row.response,
    human_responded_at: row.response === null ? null : time(row.resolved_at),
    human_notified: row.shown_at !== null,
    subscribed_agents: agentsOf(row.agents),
    acknowledged_by: Object.fromEntries(acknowledged.map(([agent, ms]) => [agent, rfc3339(ms)])),
    status: row.status,
    created_at: rfc3339(row.first_created_at ?? row.at),
    updated_at: rfc3339(touched),
    bookmark: bookmarkOf(epoch, row.seq),
    human_responded_by: row.responded_by,
    human_responded_via: row.responded_via,
    human_state: row.state,
    timeout_at: time(row.deadline),
    free_text: row.free_text === 1,
    answerers: parsed(row.answerers),
    payload_hash: row.payload_hash,
    escalation: parsed(row.escalation),
    correlation_id: row.correlation_id,
    causation_id: row.causation_id,
    traceparent: row.traceparent,
    tags: parsed(row.tags) ?? [],
    deliver_at: time(row.deliver_at),
  };
}

export function toPending(event: Event): PendingQuestion {
  const { id, source_agent, action, human_question, human_options, human_timeout_minutes, human_fallback } = event;
  const { timestamp, timeout_at, target, details, free_text, answerers, payload_hash, escalation } = event;
  const { human_notified, correlation_id } = event;
  return {
    ...{ id, source_agent, action, human_question, human_options, human_timeout_minutes, human_fallback, timestamp },
    ...{ timeout_at, target, details, free_text, answerers, payload_hash, escalation, human_notified, correlation_id },
  };
}

const noOne: [agent: string, at: number][] = [];

/** Thousands of events share one list of hearers, so it is parsed once. Emptied, not grown, beyond this. */
const maxRemembered = 1000;
const remembered = new Map<string, string[]>();

function agentsOf(json: string): string[] {
  let agents = remembered.get(json);
  if (agents === undefined) {
    agents = JSON.parse(json) as string[];
    if (remembered.size >= maxRemembered) remembered.clear();
    remembered.set(json, agents);
  }
  return [...agents];
}

function time(ms: number | null): string | null {
  return ms === null ? null : rfc3339(ms);
}

function parsed<T>(json: string | null): T | null {
  return json === null ? null : (JSON.parse(json) as T);
}
