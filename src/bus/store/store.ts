import type { Answer, Resolution } from '../../events/answer.ts';
import type { Draft } from '../../events/draft.ts';
import type { Event, PendingQuestion, Status } from '../../events/event.ts';
import type { Explanation, NewSubscription, Subscription, SubscriptionChange } from '../../events/subscription.ts';
import type { Token } from '../../events/token.ts';
import type { CallSecretStore } from './call-secrets.ts';
import type { DeliveryStore } from './deliveries.ts';
import type { HeartbeatStore } from './heartbeats.ts';
import type { Purged, RetentionPlace, RetentionRule, RetentionScan } from './retention.ts';
import type { Checkpoint } from './signed-checkpoint.ts';
import type { ChainLink } from './verify-chain.ts';

/**
 * Where the bus keeps everything. A write's promise settles once it is on disk; reads see every settled write. Each
 * store passes `store.contract.ts`. Any call may throw a Fault: `storage-full`, `unavailable`, `damaged`, `queue-full`;
 * nothing is stored then.
 *
 */
export interface Store extends DeliveryStore, HeartbeatStore, CallSecretStore {
  /** The log's epoch: half of every bookmark. */
  readonly epoch: string;
  /** What was done at opening that the owner should know (a takeover, a migration), as sentences. */
  readonly notices: readonly string[];

  publish(draft: Draft): Promise<Published>;
  /**
   * Publishes many in one transaction: all of them or, when the storage fails, none. Each has an outcome of its own, in
   * order, as if it had been published alone; a null keeps the place of what the caller has refused already. With `once`
   * the outcomes are kept for `keptOutcomeMs`, and the same request again stores nothing and gets them.
   */
  publishBatch(drafts: readonly (Draft | null)[], once?: Once | null): Promise<BatchPublished>;
  /** Settles what this agent is owed of the event, whoever holds its lease. */
  acknowledge(id: string, agent: string): Promise<Acknowledged>;
  answer(id: string, answer: Answer): Promise<Answered>;
  /** Takes a question back; only its asker may, or with `anybodys` whoever calls. */
  cancel(id: string, by: string, via: string, reason: string | null, anybodys?: boolean): Promise<Cancelled>;
  /** Notes that a channel has shown the question to a person. Safe to repeat. */
  noteShown(id: string, via: string): Promise<Noted>;
  /**
   * Applies every deadline and escalation rung that is due, ends leases that are over, makes ready what was put off,
   * expires what nobody claims, and forgets kept outcomes: at most `maxSweep` of each at a time. Safe to repeat.
   */
  sweep(): Promise<Swept>;

  addSubscription(subscription: NewSubscription, origin: 'operator' | 'agent'): Promise<SubscriptionAdded>;
  changeSubscription(id: string, change: SubscriptionChange): Promise<Subscription | undefined>;
  /** Leaves a tombstone, so that neither a default nor an agent's own list brings it back. Safe to repeat. */
  deleteSubscription(id: string): Promise<Subscription | undefined>;

  event(id: string): Promise<Event | undefined>;
  /** Newest first. */
  events(filter: EventFilter, page: Page): Promise<EventPage>;
  /** What this agent heard, newest first, by queue and by tail. */
  inbox(agent: string, unacknowledgedOnly: boolean, page: Page): Promise<EventPage>;
  /** Open questions, soonest deadline first, those without one last. */
  pending(page: PendingPageRequest): Promise<PendingPage>;
  subscriptions(filter: { agent?: string | undefined; deleted: boolean }): Promise<Subscription[]>;
  explain(action: string, requiresHuman: boolean): Promise<Explanation>;
  stats(): Promise<StoreStats>;

  /** The seq of the newest event, 0 for an empty log. Costs nothing. */
  head(): number;
  /**
   * What follows this seq and passes, oldest first. A call looks at a bounded number of events and bytes: go on from
   * `upTo`, and the end is reached when that is the head.
   */
  readAfter(after: number, limit: number, passes?: Passes): Promise<OnwardPage>;
  /** Counts what passes below this seq, newest first, up to `count` of them. Bounded likewise: go on from `at + 1`. */
  lookBack(before: number, count: number, passes?: Passes): Promise<LookedBack>;
  /** The token whose secret has this SHA-256 (hex), also an expired or revoked one; as it stands now, from no memory. */
  token(hash: string): Promise<Token | undefined>;
  /** The token with this id, the same way. */
  tokenWithId(id: string): Promise<Token | undefined>;
  /** Notes when a token was used, in milliseconds since the epoch. Safe to repeat. */
  noteTokenUsed(id: string, at: number): Promise<void>;
  /** Whether the owner's first token was ever made, whatever became of it. */
  ownersTokenWasMade(): Promise<boolean>;
  /** Adds the owner's first token; false, and nothing is stored, when there ever was one. */
  addOwnersToken(token: Token, hash: string): Promise<boolean>;
  /** The audit chain after a seq, in order, at most `limit` links. */
  chain(after: number, limit: number): Promise<ChainLink[]>;
  /** Keeps a checkpoint. False when one is kept for this event already, or the chain is another there by now. */
  addCheckpoint(checkpoint: Checkpoint): Promise<boolean>;
  /** In ascending order of seq, after one. */
  checkpoints(after: number, limit: number): Promise<Checkpoint[]>;
  /** What a checkpoint would speak for now, and the newest there is. */
  chainEnd(): Promise<ChainEnd>;
  /** Remembers which key signs; when it is another than before, an event says so. Safe to repeat. */
  noteAuditKey(key: AuditKey): Promise<KeyNoted>;

  /** Looks through a part of the log for what the rules no longer keep, from where the last part ended. Changes nothing. */
  scanRetention(rules: readonly RetentionRule[], place?: RetentionPlace): Promise<RetentionScan>;
  /**
   * Purges these events, at most `maxPurged`, in ascending order, all but those that are kept (open questions, deliveries
   * of priority 1, announcements of purges), and says so in an event. The chain stays whole. Safe to repeat.
   */
  purge(seqs: readonly number[]): Promise<Purged>;

  /** Called after each commit, in commit order. Returns the function that ends it. */
  onCommitted(listener: (commit: Commit) => void): () => void;
  /** Finishes what was accepted, then lets go of the files. Safe to repeat. */
  close(): Promise<void>;
}

/** `seq` is 0 and `hash` null where there is no event. `checkpoint`: the newest, or null. */
export type ChainEnd = { seq: number; hash: string | null; checkpoint: Checkpoint | null };

/** `public_key`: DER (SPKI) in base64. */
export type AuditKey = { key_id: string; public_key: string };
export type KeyNoted = 'first' | 'same' | 'changed';

/** What a restore left beside the database. `noteId` tells two notes apart; null is unknown. */
export type Restored = {
  noteId: string;
  backup: string | null;
  backup_taken_at: string | null;
  restored_at: string | null;
};
export type NewLife = { kind: 'begun' | 'begun-before'; epoch: string };

export type Receipt = {
  id: string;
  seq: number;
  /** RFC 3339, UTC, milliseconds. */
  timestamp: string;
  subscribedAgents: readonly string[];
  /** Only for a question; null is never. */
  timeoutAt: string | null;
};

export type Published =
  | { kind: 'stored'; receipt: Receipt }
  /** The same sender sent the same event before. */
  | { kind: 'duplicate'; receipt: Receipt }
  /** The id names another event. */
  | { kind: 'id-taken'; by: string }
  /** Its `deliver_at` is more than `maxDeliverAheadDays` ahead by the database's clock. */
  | { kind: 'too-far-ahead' };

/** What makes a request recognizable when it is sent again. */
export type Once = {
  /** Whose key it is; others may use the same. */
  owner: string;
  key: string;
  /** A hash of all that was sent. */
  request: string;
};

export type BatchPublished =
  /** `replayed`: these are the outcomes of an earlier request with this key; nothing was stored now. */
  | { kind: 'published'; outcomes: readonly (Published | null)[]; replayed: boolean }
  /** The key came with another request before. */
  | { kind: 'key-taken' };

/** For how long the outcomes of a request that came with a key are kept. */
export const keptOutcomeMs = 24 * 60 * 60_000;

/** How many drafts one batch may have. */
export const maxBatchDrafts = 1000;

export type Acknowledged =
  | { kind: 'acknowledged'; at: string }
  | { kind: 'unknown' }
  /** So many agents that do not hear it have noted it already that no further one may. */
  | { kind: 'noted-by-too-many'; limit: number };

export type Answered =
  | { kind: 'answered'; resolution: Resolution }
  | { kind: 'already-resolved'; resolution: Resolution }
  | { kind: 'unknown' }
  | { kind: 'asks-nothing' }
  | { kind: 'not-an-option'; options: readonly string[] }
  | { kind: 'not-an-answerer'; answerers: readonly string[] }
  | { kind: 'self-answer' }
  /** What was shown is not what was asked. */
  | { kind: 'payload-changed' }
  /** A question with a `payload_hash` is an approval, and whoever answered may approve nothing. */
  | { kind: 'needs-approval' }
  /** The approval does not say what was shown. */
  | { kind: 'payload-missing' };

export type Cancelled =
  | { kind: 'cancelled'; resolution: Resolution }
  | { kind: 'already-resolved'; resolution: Resolution }
  | { kind: 'unknown' }
  | { kind: 'asks-nothing' }
  | { kind: 'not-the-asker'; asker: string };

export type Noted = { kind: 'noted' } | { kind: 'unknown' } | { kind: 'asks-nothing' };

/**
 * `nextDueAt`: milliseconds since the epoch of the next deadline, rung, end of a lease or put-off delivery, or null.
 * `expired`: deliveries that nobody claimed. `forgotten`: outcomes of requests with a key whose time was over.
 */
export type Swept = {
  timedOut: number;
  escalated: number;
  leasesEnded: number;
  becameReady: number;
  expired: number;
  forgotten: number;
  nextDueAt: number | null;
};

/** How many of each kind one sweep deals with. When one hits this, sweep again. */
export const maxSweep = 200;

export type SubscriptionAdded =
  | { kind: 'added'; subscription: Subscription }
  /** It was there (for `only_if_new` perhaps as a tombstone) and stays as it is. */
  | { kind: 'exists'; subscription: Subscription };

export type EventFilter = {
  source_agent?: string | undefined;
  action?: string | undefined;
  status?: Status | undefined;
};

/** `before`: only events with a smaller seq. `limit`: 1…1000. */
export type Page = { limit: number; before?: number | undefined };
/**
 * `next`: the seq to give as `before` for the following page, or null when there is none. A page of large events holds
 * fewer than `limit`, but always one.
 */
export type EventPage = { events: Event[]; next: number | null };

/** `after`: the last question of the page before, by its place in the order. */
export type PendingPlace = { deadline: number | null; seq: number };
export type PendingPageRequest = { limit: number; after?: PendingPlace | undefined };
export type PendingPage = { pending: PendingQuestion[]; next: PendingPlace | null };

/**
 * Whether a reader wants an event, judged by what never changes about it. It is asked once for many events that are alike,
 * so it must answer the same each time.
 */
export type Passes = (event: {
  readonly source_agent: string;
  readonly action: string;
  readonly subscribed_agents: readonly string[];
}) => boolean;

/** `upTo`: everything up to this seq has been looked at. */
export type OnwardPage = { events: Event[]; upTo: number };

/** `at`: everything above this seq has been looked at; 0 when that is all there is. */
export type LookedBack = { passed: number; at: number };

export type StoreStats = {
  head: number;
  openQuestions: number;
  /** What is owed to agents that hear by queue: ready, leased or put off. */
  openDeliveries: number;
  deadLetters: number;
  /** Bytes of the database and its write-ahead log. */
  bytes: number;
  /** Writes that wait for the disk. */
  waiting: number;
};

/** Hears of each write, for metrics. Called often, and must not throw. */
export type StoreObserver = {
  /** `outcome`: the kind of its result, or the code of the Fault. */
  command(op: string, outcome: string): void;
  /** So many commands were handed over together and were on disk after so many seconds. */
  batch(size: number, seconds: number): void;
};

/**
 * `resolved`: ids of the questions that this commit ended. `dueAt`: the earliest deadline, rung, end of a lease or put-off
 * delivery among those it made, in milliseconds since the epoch, or null; sweep then. `readyFor`: agents for whom
 * something became ready to be claimed. `endedLeases`: the lease of each delivery that is leased no more, however that
 * came; one that held several is named as often.
 */
export type Commit = {
  head: number;
  resolved: readonly string[];
  dueAt: number | null;
  readyFor: readonly string[];
  endedLeases: readonly string[];
};
