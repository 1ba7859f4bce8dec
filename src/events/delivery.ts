import { z } from 'zod';
import { eventSchema } from './event.ts';

/** Deliveries in one claim. */
export const maxClaim = 100;
/** A lease, however it was asked for. */
export const maxLeaseSeconds = 3600;
/** Under the minute after which many proxies give up. */
const maxWaitSeconds = 50;
const maxDelaySeconds = 604_800;
const maxReason = 1000;
const maxLeaseText = 100;

export const usualLeaseSeconds = 60;

const time = z.string().meta({ format: 'date-time' });

const within = (min: number, max: number) => {
  const bounds = `must be a whole number from ${min} to ${max}`;
  return z.int(bounds).min(min, bounds).max(max, bounds);
};
const leaseSeconds = within(1, maxLeaseSeconds);

const lease = z
  .string('must be the lease that came with the claim, a string')
  .max(maxLeaseText, 'is no lease')
  .meta({ description: 'The lease that came with the claim' });

/** The body of a claim. */
export const claimSchema = z
  .object({
    max: within(1, maxClaim).default(1).meta({ description: 'How many at most' }),
    lease_seconds: leaseSeconds
      .default(usualLeaseSeconds)
      .meta({ description: 'How long they are yours; extend what takes longer' }),
    wait_seconds: within(0, maxWaitSeconds).default(0).meta({ description: 'How long to wait when nothing is ready' }),
  })
  .meta({ id: 'Claim' });

/** A claim as it is sent: what is left out is usual. */
export type ClaimBody = z.input<typeof claimSchema>;
export type ParsedClaim = z.infer<typeof claimSchema>;

export const leaseSchema = z.object({ lease }).meta({ id: 'Lease' });

export const nackSchema = z
  .object({
    lease,
    delay_seconds: z
      .number('must be a number of seconds')
      .min(0, 'must not be negative')
      .max(maxDelaySeconds, `must be at most ${maxDelaySeconds}`)
      .nullish()
      .meta({ description: 'When to try again; 0 is at once; left out, the pause doubles with each attempt' }),
    reason: z
      .string('must be a string')
      .max(maxReason, `must have at most ${maxReason} characters`)
      .nullish()
      .meta({ description: 'Why, for the person who reads the dead letter', examples: ['no such host'] }),
    dead: z
      .boolean('must be true or false')
      .nullish()
      .meta({ description: 'Do not try again: it becomes a dead letter at once' }),
  })
  .superRefine(({ dead, delay_seconds }, context) => {
    if (dead && delay_seconds != null)
      context.addIssue({
        code: 'custom',
        path: ['delay_seconds'],
        message: 'cannot be given with dead, which is never tried again',
      });
  })
  .meta({ id: 'Nack' });

export type NackBody = z.infer<typeof nackSchema>;

export const extendSchema = z
  .object({ lease, lease_seconds: leaseSeconds.meta({ description: 'The lease then ends so long from now' }) })
  .meta({ id: 'Extend' });

/** What a claim gives. */
export const deliverySchema = z
  .object({
    id: z.string().meta({ description: 'Names it among the deliveries of its agent; opaque' }),
    lease: z.string().meta({ description: 'Whoever acknowledges must have it; opaque' }),
    leased_until: time,
    attempt: z.int().min(1).meta({ description: '1 for the first' }),
    priority: z.int().min(1).max(10).meta({ description: '1 is best' }),
    event: eventSchema,
  })
  .meta({ id: 'Delivery' });

/** A delivery as it is on the wire. */
export type WireDelivery = z.infer<typeof deliverySchema>;

/** Where a delivery is that the caller does not hold, or no longer. */
export const whereLost = ['acknowledged', 'leased', 'expired', 'ready', 'deferred', 'dead', 'gone'] as const;
export type LostTo = (typeof whereLost)[number];

/** `attempts`: tried too often. `rejected`: its agent said so. `expired`: nobody claimed it in time. */
export const deathReasons = ['attempts', 'rejected', 'expired'] as const;
export type DeathReason = (typeof deathReasons)[number];

/** A delivery that was given up. */
export const deadLetterSchema = z
  .object({
    id: z.string().meta({ description: 'Names it among the deliveries of its agent; opaque' }),
    agent: z.string(),
    priority: z.int().min(1).max(10),
    attempts: z.int().min(0),
    reason: z.enum(deathReasons).meta({
      description: 'Tried too often, rejected by its agent, or claimed by nobody in time',
    }),
    error: z.string().nullable().meta({ description: 'What its agent said of it, or how it ended' }),
    died_at: time,
    event: eventSchema,
  })
  .meta({ id: 'DeadLetter' });

export type WireDeadLetter = z.infer<typeof deadLetterSchema>;
