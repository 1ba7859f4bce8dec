import { z } from 'zod';
import type { JsonObject } from '../base/json.ts';

export const statuses = ['pending', 'acknowledged', 'completed', 'failed', 'timeout'] as const;
export type Status = (typeof statuses)[number];

/** A question's life; all but `open` are final. */
export const questionStates = ['open', 'answered', 'timed_out', 'cancelled'] as const;
export type QuestionState = (typeof questionStates)[number];

const time = z.string().meta({ format: 'date-time', description: 'RFC 3339, UTC, milliseconds' });

const escalationSchema = z.array(
  z.object({
    after_minutes: z.number(),
    notify: z.array(z.string()),
    fired_at: time.nullable().meta({ description: 'When this rung was told, or null' }),
  }),
);

/** An event as every call reads it. The fields up to `updated_at` are those of the first implementation. */
export const eventSchema = z
  .object({
    id: z.string(),
    timestamp: time,
    source_agent: z.string(),
    source_workflow_id: z.string().nullable(),
    source_execution_id: z.string().nullable(),
    action: z.string(),
    target: z.string().nullable(),
    details: z.custom<JsonObject | null>().meta({ type: ['object', 'null'], description: 'As it was published' }),
    requires_human: z.boolean(),
    human_question: z.string().nullable(),
    human_options: z.array(z.string()).nullable(),
    human_timeout_minutes: z.number().nullable().meta({ description: 'null waits for ever' }),
    human_fallback: z.string().nullable(),
    human_response: z.string().nullable(),
    human_responded_at: time.nullable(),
    human_notified: z.boolean().meta({ description: 'A channel has shown the question to a person' }),
    subscribed_agents: z.array(z.string()).meta({ description: 'Who hears it, queue and tail, best priority first' }),
    acknowledged_by: z.record(z.string(), time),
    status: z.enum(statuses),
    created_at: time,
    updated_at: time,
    bookmark: z.string().meta({ description: 'Opaque position in the log' }),
    human_responded_by: z.string().nullable(),
    human_responded_via: z.string().nullable(),
    human_state: z.enum(questionStates).nullable().meta({ description: 'null when it asks nothing' }),
    timeout_at: time.nullable().meta({ description: 'The deadline; null is never' }),
    free_text: z.boolean(),
    answerers: z.array(z.string()).nullable(),
    payload_hash: z.string().nullable(),
    escalation: escalationSchema.nullable(),
    correlation_id: z.string().nullable(),
    causation_id: z.string().nullable(),
    traceparent: z.string().nullable(),
    tags: z.array(z.string()),
    deliver_at: time.nullable().meta({ description: 'From when on it is delivered; null is at once' }),
  })
  .meta({ id: 'Event' });

export type Event = z.infer<typeof eventSchema>;

/** Who the bus itself is, as the source of what it publishes. */
export const busAgent = 'EVENT-BUS';

/** What the bus says by itself. A question is heard also by those who subscribe to `humanInputRequired`. */
export const busActions = {
  humanInputRequired: 'human_input_required',
  humanResponded: 'human_responded',
  humanTimedOut: 'human_timed_out',
  humanCancelled: 'human_cancelled',
  humanEscalated: 'human_escalated',
  deliveryFailed: 'delivery_failed',
  deliveriesExpired: 'deliveries_expired',
  eventsPurged: 'events_purged',
  auditKeyChanged: 'audit_key_changed',
  busRestored: 'bus_restored',
  agentLost: 'agent_lost',
  agentBack: 'agent_back',
} as const;

/** The names by which an event can be heard: its action, and for a question also `human_input_required`. */
export function heardAs(action: string, requiresHuman: boolean): readonly string[] {
  return requiresHuman && action !== busActions.humanInputRequired ? [action, busActions.humanInputRequired] : [action];
}

/** An open question, soonest deadline first in lists. The first nine fields are those of the first implementation. */
export const pendingSchema = eventSchema
  .pick({
    id: true,
    source_agent: true,
    action: true,
    human_question: true,
    human_options: true,
    human_timeout_minutes: true,
    human_fallback: true,
    timestamp: true,
    timeout_at: true,
    target: true,
    details: true,
    free_text: true,
    answerers: true,
    payload_hash: true,
    escalation: true,
    human_notified: true,
    correlation_id: true,
  })
  .meta({ id: 'PendingQuestion' });

export type PendingQuestion = z.infer<typeof pendingSchema>;
