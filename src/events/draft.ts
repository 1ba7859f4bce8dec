import { z } from 'zod';
import type { JsonObject } from '../base/json.ts';
import { busAgent } from './event.ts';
import { name, text } from './name.ts';

const maxOptions = 100;
const maxAnswerers = 100;
const maxRungs = 20;
const maxTags = 50;
/** A hundred years. Longer is a mistake of units, and "for ever" is said by leaving the field out. */
export const maxTimeoutMinutes = 52_560_000;

/** Later than this is more likely a mistake than a plan. */
export const maxDeliverAheadDays = 366;

/** Ids that are paths of the API and so can name no event. */
const reservedIds: readonly string[] = ['stream', 'pending', '.', '..'];

const visible = /^[\x21-\x7e]{1,200}$/;

/** Whether an event may have this id, without saying why not. */
export function isEventId(value: unknown): value is string {
  return typeof value === 'string' && visible.test(value) && !reservedIds.includes(value);
}

/**
 * Beginnings of the ids that the bus gives to calls and questions of its own, which can be foreseen: whoever published one first
 * would have taken it. What was stored under one before it was reserved stays.
 */
const busIdBeginnings: readonly string[] = [`${busAgent.toLowerCase()}-`, 'call-'];

/** Whether somebody else than the bus may give this id to an event. */
export function isFreeId(value: unknown): value is string {
  return isEventId(value) && !busIdBeginnings.some((beginning) => value.startsWith(beginning));
}

const eventId = z
  .string('must be a string')
  .regex(visible, 'must be 1 to 200 visible ASCII characters')
  .refine((id) => !reservedIds.includes(id), 'is a path of the API and can be no id')
  .refine(
    (id) => !busIdBeginnings.some((beginning) => id.startsWith(beginning)),
    `begins as only ids of the bus do (${busIdBeginnings.join(', ')}); give another, or none`,
  );

const orNull = <T extends z.ZodType>(schema: T) => schema.nullish();

const details = z
  .custom<JsonObject>((value) => typeof value === 'object' && value !== null && !Array.isArray(value), {
    error: 'must be a JSON object',
  })
  .meta({ type: 'object', description: 'Anything the hearers need, as a JSON object' });

export const rungSchema = z
  .object({
    after_minutes: z
      .number('must be a number of minutes')
      .min(0, 'must not be negative')
      .max(maxTimeoutMinutes, `must be at most ${maxTimeoutMinutes}`),
    notify: z
      .array(name, 'must be a list of names')
      .min(1, 'must name somebody')
      .max(maxAnswerers, `must have at most ${maxAnswerers} names`),
  })
  .meta({ description: 'After this many minutes without a resolution, tell these people too' });

/** The body of a publish, as it arrives. */
export const draftSchema = z
  .object({
    source_agent: name
      .refine((source) => source !== busAgent, `is the bus’ own name; publish under yours`)
      .meta({ description: 'Who publishes, in upper case by custom', examples: ['HEPHAESTUS'] }),
    action: name.meta({ description: 'What happened, in snake case by custom', examples: ['deploy_started'] }),
    target: orNull(text).meta({ description: 'What it happened to', examples: ['dev'] }),
    details: orNull(details).meta({ description: 'Anything the hearers need, as a JSON object' }),
    source_workflow_id: orNull(text).meta({ description: 'The workflow it came from, as its engine names it' }),
    source_execution_id: orNull(text).meta({ description: 'The run of that workflow' }),
    requires_human: orNull(z.boolean('must be true or false')).meta({ description: 'A person must decide' }),
    human_question: orNull(text).meta({ description: 'What the person reads', examples: ['Roll dev back?'] }),
    human_options: orNull(
      z
        .array(text.min(1, 'must not be empty'), 'must be a list of strings')
        .max(maxOptions, `must have at most ${maxOptions} entries`),
    ).meta({ description: 'The answers to choose from; left out, any text is an answer' }),
    human_timeout_minutes: orNull(
      z
        .number('must be a number of minutes')
        .min(0, 'must not be negative; leave it out to wait for ever')
        .max(maxTimeoutMinutes, `must be at most ${maxTimeoutMinutes}; leave it out to wait for ever`),
    ).meta({ description: 'Left out, it waits for ever; 0 is due at once' }),
    human_fallback: orNull(text).meta({ description: 'The answer when nobody answers in time' }),
    free_text: orNull(z.boolean('must be true or false')).meta({ description: 'Accept answers beside the options' }),
    answerers: orNull(
      z
        .array(name, 'must be a list of names')
        .min(1, 'must not be empty; leave it out to let anyone answer')
        .max(maxAnswerers, `must have at most ${maxAnswerers} names`),
    ).meta({ description: 'Only these may answer (and whoever an escalation names)' }),
    payload_hash: orNull(text).meta({
      description:
        'Hash of what is shown; an answer that gives another is refused, and whoever acts on the answer compares it',
    }),
    escalation: orNull(z.array(rungSchema).max(maxRungs, `must have at most ${maxRungs} rungs`)).meta({
      description: 'Whom to tell, and when, while nobody answers',
    }),
    id: orNull(eventId).meta({ description: 'Your own id; sending the same event again is then safe' }),
    correlation_id: orNull(text).meta({ description: 'What belongs to one matter has the same' }),
    causation_id: orNull(text).meta({ description: 'Id of the event that this one follows from' }),
    traceparent: orNull(text).meta({ description: 'W3C Trace Context' }),
    tags: orNull(z.array(name, 'must be a list of strings').max(maxTags, `must have at most ${maxTags} tags`)).meta({
      description: 'Labels of your own',
    }),
    deliver_at: orNull(
      z.iso.datetime({
        offset: true,
        error: 'must be a time such as 2027-01-31T08:00:00Z or with an offset as +02:00',
      }),
    ).meta({
      description: `Agents that hear it by queue get it from then on, at most ${maxDeliverAheadDays} days ahead; the past is at once. Not for a question`,
    }),
  })
  .superRefine((draft, context) => {
    if (draft.deliver_at != null && draft.requires_human)
      context.addIssue({
        code: 'custom',
        path: ['deliver_at'],
        message: 'cannot be given with requires_human: a question is asked when it is published',
      });
    const { human_timeout_minutes: timeout } = draft;
    draft.escalation?.forEach((step, index) => {
      if (timeout != null && step.after_minutes >= timeout)
        context.addIssue({
          code: 'custom',
          path: ['escalation', index, 'after_minutes'],
          message: `must be before the deadline of ${timeout} minutes`,
        });
    });
  })
  .meta({ id: 'Publish', description: 'An event to publish' });

/** A publish after validation; absent and null are the same. */
export type Draft = z.infer<typeof draftSchema>;

/** The fields that only mean something on a question. */
export const questionFields = [
  'human_question',
  'human_options',
  'human_timeout_minutes',
  'human_fallback',
  'free_text',
  'answerers',
  'payload_hash',
  'escalation',
] as const satisfies readonly (keyof Draft)[];
