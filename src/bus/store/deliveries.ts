import { randomInt } from 'node:crypto';
import type { DeathReason, LostTo } from '../../events/delivery.ts';
import type { Event } from '../../events/event.ts';

/** How often a delivery is tried, and how long it waits for somebody who wants it. */
export type DeliveryRules = {
  /** Claims that may end without an acknowledgement before the delivery is a dead letter: 1…100. */
  maxAttempts: number;
  /** Days that a delivery is ready before it expires; 0 is never. */
  expireDays: number;
};

export const usualDeliveryRules: DeliveryRules = { maxAttempts: 5, expireDays: 30 };

/** What an agent that hears by queue has claimed, and holds until its lease ends. */
export type Delivery = {
  /** Names the delivery among those of its agent; opaque. */
  id: string;
  /** The fencing token: whoever acknowledges must have it. One for each claim. */
  lease: string;
  /** RFC 3339, by the database's clock. */
  leasedUntil: string;
  /** 1 for the first. */
  attempt: number;
  /** 1 is best. */
  priority: number;
  event: Event;
};

/** `lease`: the token to hand out, so that several claims share one; by default a new one (see `newLease`). */
export type ClaimRequest = { max: number; leaseMs: number; lease?: string };

const maxLease = 2 ** 48 - 1;

/** A fencing token that nobody guesses. */
export function newLease(): string {
  return String(randomInt(1, maxLease));
}

/** Deliveries that one `release` gives back; beyond them the leases end by the clock. */
export const maxReleased = 1000;

/** The lease is not the current one, or its time is over. Nothing was changed. */
export type LeaseLost = { kind: 'lease-lost'; to: LostTo };
/** This agent never had such a delivery. */
export type UnknownDelivery = { kind: 'unknown' };

export type DeliveryAcknowledged = { kind: 'acknowledged'; at: string } | LeaseLost | UnknownDelivery;

/** `delayMs`: null backs off by the attempts so far. `dead`: do not try it again. */
export type Nack = { delayMs: number | null; reason: string | null; dead: boolean };

export type Nacked =
  | { kind: 'ready' }
  /** Ready again then, in RFC 3339. */
  | { kind: 'deferred'; until: string }
  | { kind: 'dead'; reason: DeathReason }
  | LeaseLost
  | UnknownDelivery;

export type Extended = { kind: 'extended'; leasedUntil: string } | LeaseLost | UnknownDelivery;

/** A delivery that was given up until a person looks. `id` as in Delivery. */
export type DeadLetter = {
  id: string;
  agent: string;
  priority: number;
  attempts: number;
  reason: DeathReason;
  /** What the agent said of it, or how it ended. */
  error: string | null;
  diedAt: string;
  event: Event;
};

/** The last one of the page before, by its place in the order. */
export type DeadLetterPlace = { diedAt: number; agent: string; seq: number };
export type DeadLetterPageRequest = { limit: number; after?: DeadLetterPlace | undefined };
/** Newest first. */
export type DeadLetterPage = { deadLetters: DeadLetter[]; next: DeadLetterPlace | null };

/** How many dead letters one transaction makes ready again. */
export const maxRedriven = 500;

export type Redriven = { kind: 'redriven' } | UnknownDelivery;
export type Discarded = { kind: 'discarded' } | UnknownDelivery;

/** The part of the store that delivers under a lease: at least once, to one holder at a time. */
export type DeliveryStore = {
  /**
   * Leases what is ready for this agent, best priority first, then oldest. Counts one attempt each. What was due and not
   * yet swept is ready too.
   */
  claim(agent: string, request: ClaimRequest): Promise<Delivery[]>;
  /** Only with the current lease and before it ends. Safe to repeat with the same lease. */
  ack(agent: string, deliveryId: string, lease: string): Promise<DeliveryAcknowledged>;
  /** Gives it back: at once, later, or for good. A repeat finds the lease lost. */
  nack(agent: string, deliveryId: string, lease: string, nack: Nack): Promise<Nacked>;
  /** The lease then ends `leaseMs` from now. */
  extend(agent: string, deliveryId: string, lease: string, leaseMs: number): Promise<Extended>;
  /** Ends everything that is still held under this lease, as if its time were over. Returns how many. Safe to repeat. */
  release(agent: string, lease: string): Promise<number>;
  deadLetters(filter: { agent?: string | undefined }, page: DeadLetterPageRequest): Promise<DeadLetterPage>;
  /** The dead letter of an agent of this event, or else the newest of one that followed from `because`. */
  deadLetterOf(agent: string, event: string, because?: string): Promise<DeadLetter | undefined>;
  /** Makes a dead letter ready again, as if never tried. */
  redrive(agent: string, deliveryId: string): Promise<Redriven>;
  /** The same for all that died before now, in steps of `maxRedriven`. Returns how many. */
  redriveAll(filter: { agent?: string | undefined }): Promise<number>;
  /** Drops a dead letter. Nobody has acknowledged it then, and its event stays `failed`. */
  discard(agent: string, deliveryId: string): Promise<Discarded>;
};
