import { z } from 'zod';
import { name, text } from './name.ts';

/** How often an agent may say that it beats, at the rarest. */
export const maxHeartbeatSeconds = 3600;
/** How often an agent beats that has no reason for another pace. */
export const usualHeartbeatSeconds = 10;
/** One beat may be lost on its way, and one be late. */
const missedBeats = 3;
/** A pause of a process that beats often is no loss. */
const shortestLossSeconds = 15;
const maxUrlLength = 2000;

/** After how many seconds of silence an agent is lost that beats so often. */
export function lostAfterSeconds(everySeconds: number): number {
  return Math.max(missedBeats * everySeconds, shortestLossSeconds);
}

const time = z.string().meta({ format: 'date-time', description: 'RFC 3339, UTC, milliseconds' });
const bounds = `must be a whole number from 1 to ${maxHeartbeatSeconds}`;
const countBounds = 'must be a whole number from 0 on';
const count = z.int(countBounds).min(0, countBounds).nullish();
const health = text
  .max(maxUrlLength, `must have at most ${maxUrlLength} characters`)
  .refine((url) => /^https?:\/\//i.test(url) && URL.canParse(url), 'must be a URL with http or https');

/** What an agent says of itself with a heartbeat; all of it may be left out. */
const saidFields = {
  version: name.nullish().meta({ description: 'Its version' }),
  health: health.nullish().meta({ description: 'Where its health can be asked' }),
  working_on: name.nullish().meta({ description: 'What it works on now, as the id of an event; null for nothing' }),
  handled: count.meta({ description: 'Deliveries it has dealt with since it started' }),
  given_back: count.meta({ description: 'Deliveries it gave back to be tried again' }),
  dead_lettered: count.meta({ description: 'Deliveries it gave up' }),
  loops_cut: count.meta({ description: 'Deliveries it left because they went in a circle' }),
};

/** The body of a heartbeat. */
export const heartbeatSchema = z
  .object({
    every_seconds: z.int(bounds).min(1, bounds).max(maxHeartbeatSeconds, bounds).nullish().meta({
      description:
        'How often it beats; needed unless it is stopped. After three times that, and at least 15 s, without a beat it is lost',
    }),
    stopped: z.boolean('must be true or false').nullish().meta({
      description: 'It ends now, and means to: nobody need look for it',
    }),
    ...saidFields,
  })
  .superRefine(({ every_seconds, stopped }, context) => {
    if (every_seconds == null && !stopped)
      context.addIssue({ code: 'custom', path: ['every_seconds'], message: 'is missing; say how often it beats' });
  })
  .meta({ id: 'Heartbeat' });

/** A heartbeat as it is sent. */
export type HeartbeatBody = z.infer<typeof heartbeatSchema>;

/** What an agent said last, whole: null where it said nothing. */
export const saysSchema = z
  .object({
    version: z.string().nullable(),
    health: z.string().nullable().meta({ description: 'Where its health can be asked' }),
    working_on: z.string().nullable().meta({ description: 'What it worked on, as the id of an event' }),
    handled: z.int().nullable(),
    given_back: z.int().nullable(),
    dead_lettered: z.int().nullable(),
    loops_cut: z.int().nullable(),
  })
  .meta({ id: 'AgentSays' });

export type Says = z.infer<typeof saysSchema>;

/** What a heartbeat says, whole. */
export function saysOf(body: Omit<HeartbeatBody, 'every_seconds' | 'stopped'>): Says {
  return {
    version: body.version ?? null,
    health: body.health ?? null,
    working_on: body.working_on ?? null,
    handled: body.handled ?? null,
    given_back: body.given_back ?? null,
    dead_lettered: body.dead_lettered ?? null,
    loops_cut: body.loops_cut ?? null,
  };
}

const agentStates = ['alive', 'lost', 'stopped', 'never_heard_of'] as const;

/** Deliveries that one agent is counted for in each state; beyond that there are so many or more. */
export const maxCountedDeliveries = 1000;

const owed = z.int().min(0).max(maxCountedDeliveries);

/** An agent as the bus knows it. */
export const agentSchema = z
  .object({
    agent: z.string(),
    state: z.enum(agentStates).meta({
      description: 'lost: silent for too long; stopped: it said goodbye; never_heard_of: it never sent a heartbeat',
    }),
    last_heartbeat_at: time.nullable(),
    every_seconds: z.int().nullable().meta({ description: 'How often it said that it beats' }),
    says: saysSchema.nullable().meta({ description: 'What its last heartbeat said; null when there was none' }),
    deliveries: z
      .object({ ready: owed, leased: owed, deferred: owed, dead: owed })
      .meta({ description: `What waits for it, counted up to ${maxCountedDeliveries} each` }),
  })
  .meta({ id: 'Agent' });

export type WireAgent = z.infer<typeof agentSchema>;
