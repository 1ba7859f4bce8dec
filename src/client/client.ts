import type { Mistake } from '../base/fault.ts';
import type { AnswerBody, CancelBody, Resolution } from '../events/answer.ts';
import type { WireDelivery } from '../events/delivery.ts';
import type { Draft } from '../events/draft.ts';
import type { Event, PendingQuestion, Status } from '../events/event.ts';
import type { HeartbeatBody, WireAgent } from '../events/heartbeat.ts';
import type { Warning } from '../events/parse.ts';
import type { Explanation, Subscription, SubscriptionChange } from '../events/subscription.ts';
import { type Call, type CallOptions, makeCall } from './call.ts';
import { type CapabilityCalls, capabilityCallsOver } from './capability-calls.ts';
import { type DeliveryCalls, deliveriesOver } from './deliveries.ts';
import { type FollowOptions, follow, type TakeOptions, takeDeliveries } from './follow.ts';
import { streamOpener } from './open-stream.ts';

/** What the bus says to a publish. `duplicate`: this sender stored this id before, and sending again was safe. */
export type PublishReceipt = {
  id: string;
  status: 'created';
  duplicate?: true;
  subscribed_agents: string[];
  timestamp: string;
  bookmark: string;
  /** Only for a question; null is never. */
  timeout_at?: string | null;
  warnings?: Warning[];
};

/** What became of one event of a batch; the pointers of a problem begin with its index. */
export type BatchResult =
  | (Omit<PublishReceipt, 'status' | 'duplicate'> & { status: 'created' | 'duplicate' })
  | { status: 'refused'; error: { type: string; status: number; detail: string; hint?: string; errors?: Mistake[] } };

export type BatchReceipt = { results: BatchResult[]; created: number; duplicates: number; refused: number };

export type PublishOptions = {
  /** Names this request, so that sending just the same again within a day stores nothing and gets the first answer. */
  idempotencyKey?: string | undefined;
  signal?: AbortSignal | undefined;
};

export type EventsQuery = {
  limit?: number | undefined;
  source_agent?: string | undefined;
  action?: string | undefined;
  status?: Status | undefined;
  before?: string | undefined;
};
export type EventsPage = { events: Event[]; count: number; next: string | null };

export type InboxQuery = {
  limit?: number | undefined;
  unacknowledged_only?: boolean | undefined;
  before?: string | undefined;
};
export type InboxPage = EventsPage & { agent: string };

export type PendingPage = { pending: PendingQuestion[]; count: number; next: string | null };

/** `lost_after_seconds`: the silence after which it is lost; null after a goodbye. */
export type HeartbeatReceipt = {
  status: 'noted';
  agent: string;
  state: 'alive' | 'stopped';
  lost_after_seconds: number | null;
};

export type AnswerReceipt = {
  status: 'responded';
  response: string;
  responder: string;
  via: string;
  responded_at: string;
};

export type SubscriptionBody = Pick<Subscription, 'agent_name' | 'action_pattern'> &
  SubscriptionChange & { only_if_new?: boolean };

export type Health = {
  status: string;
  service: string;
  port: number;
  version: string;
  /** From here on only for callers with a token, where tokens are required. */
  epoch?: string;
  head?: number;
  open_questions?: number;
  open_deliveries?: number;
  dead_letters?: number;
  database_bytes?: number;
  uptime_seconds?: number;
};

/** What the audit chain was at a time, signed. */
export type Checkpoint = {
  seq: number;
  hash: string;
  at: string;
  epoch: string;
  key_id: string;
  signature: string;
};

export type RetentionRuleCount = {
  actions: string;
  max_age_days: number | null;
  max_count: number | null;
  due: number;
  kept_open_questions: number;
  kept_owed_at_priority_1: number;
};

export type RetentionRun = {
  status: 'done' | 'running';
  purged: number;
  by_action: Record<string, number>;
  dropped_deliveries: Record<string, number>;
};

type Waiting = { waitSeconds?: number | undefined; signal?: AbortSignal | undefined };

/**
 * The bus seen from outside: one method for each call of its API, shapes as on the wire. Nothing is retried here (see
 * ask.ts). Every method throws a Fault: as the bus said it, or `unreachable`.
 */
export type Client = DeliveryCalls &
  CapabilityCalls & {
    readonly url: string;
    publish(draft: Draft, options?: PublishOptions): Promise<PublishReceipt>;
    /** 1 to 1,000 events in one call, each with a result of its own, in order. */
    publishBatch(drafts: readonly Draft[], options?: PublishOptions): Promise<BatchReceipt>;
    /** Newest first. */
    events(query?: EventsQuery): Promise<EventsPage>;
    /** One event; with `waitSeconds` (0…50) a question is answered at its resolution or when the time is over. */
    event(id: string, waiting?: Waiting): Promise<Event>;
    /** Safe to repeat. */
    acknowledge(id: string, agent: string): Promise<{ status: 'acknowledged'; agent: string }>;
    /** @throws Fault `already-resolved` with `extra.resolution`, a Resolution, when somebody else was first. */
    respond(id: string, answer: AnswerBody): Promise<AnswerReceipt>;
    cancel(id: string, cancellation: CancelBody): Promise<{ status: 'cancelled'; resolution: Resolution }>;
    /** Notes that a person has seen the question. Safe to repeat. */
    shown(id: string, via: string): Promise<void>;
    /** Open questions, soonest deadline first. */
    pending(query?: { limit?: number | undefined; after?: string | undefined }): Promise<PendingPage>;
    /** Every agent that ever sent a heartbeat or has a subscription. */
    agents(): Promise<WireAgent[]>;
    /** Says that an agent is there, or with `stopped` that it ends. */
    heartbeat(agent: string, body: HeartbeatBody, timeoutMs?: number): Promise<HeartbeatReceipt>;
    inbox(agent: string, query?: InboxQuery): Promise<InboxPage>;
    subscriptions(query?: { agent?: string | undefined; deleted?: boolean | undefined }): Promise<Subscription[]>;
    addSubscription(subscription: SubscriptionBody): Promise<Subscription & { warnings?: Warning[] }>;
    changeSubscription(id: string, change: SubscriptionChange): Promise<Subscription>;
    removeSubscription(id: string): Promise<Subscription>;
    explain(action: string, requiresHuman?: boolean): Promise<Explanation>;
    /** Signs what the audit chain is now, or answers the newest checkpoint when nothing is new. */
    makeCheckpoint(): Promise<Checkpoint>;
    /** What retention would purge now; purges nothing. */
    planRetention(): Promise<{ rules: RetentionRuleCount[] }>;
    /** Purges now what the rules no longer keep. A long run goes on after the answer. */
    runRetention(): Promise<RetentionRun>;
    health(timeoutMs?: number): Promise<Health>;
    /** The events as they happen. Unlike the other methods it connects again by itself; see follow.ts. */
    follow(options?: FollowOptions): AsyncGenerator<Event, void, undefined>;
    /** An agent's deliveries as they become ready, likewise. */
    takeDeliveries(agent: string, options?: TakeOptions): AsyncGenerator<WireDelivery, void, undefined>;
  };

/** Pages of subscriptions or agents that are read together, of 1,000 each. */
const maxPages = 100;
/** How long the network may take beyond what the bus was asked to wait. */
const graceMs = 10_000;

type ClientOptions = { url: string; token?: string | undefined; fetcher?: typeof fetch };

/**
 * A client for the bus at `url` (such as `http://127.0.0.1:8099`), which learns from the token who calls. Opens nothing yet.
 * @throws Fault `usage` when `url` or `token` is none.
 */
export function makeClient({ url, token, fetcher = fetch }: ClientOptions): Client {
  const call = makeCall(url, fetcher, token);
  const open = streamOpener(url, fetcher, token);
  // The bus' answers are trusted beyond the members that tell it from another program: the client is released with it.
  const as = <T>(answer: Promise<unknown>) => answer as Promise<T>;
  const at = (id: string) => `/events/${encodeURIComponent(id)}`;
  const subscription = ['id', 'agent_name', 'action_pattern'];
  return {
    url,
    publish: (body, options) => as(call('POST', '/events', { body, ...once(options), expect: ['id', 'status'] })),
    publishBatch: (body, options) =>
      as(call('POST', '/events:batch', { body, ...once(options), expect: ['results', 'created', 'refused'] })),
    events: (query) => as(call('GET', '/events', { query, expect: ['events', 'count'] })),
    event: (id, { waitSeconds, signal } = {}) =>
      as(
        call('GET', at(id), {
          query: { wait: waitSeconds },
          expect: ['id', 'action'],
          signal,
          timeoutMs: waitSeconds === undefined ? undefined : waitSeconds * 1000 + graceMs,
        }),
      ),
    ...capabilityCallsOver(call),
    acknowledge: (id, agent) => as(call('POST', `${at(id)}/acknowledge`, { query: { agent }, expect: ['status'] })),
    respond: (id, body) => as(call('POST', `${at(id)}/respond`, { body, expect: ['status', 'response'] })),
    cancel: (id, body) => as(call('POST', `${at(id)}:cancel`, { body, expect: ['status', 'resolution'] })),
    shown: async (id, via) => {
      await call('POST', `${at(id)}:shown`, { body: { via }, expect: ['status'] });
    },
    pending: (query) => as(call('GET', '/events/pending/human', { query, expect: ['pending', 'count'] })),
    inbox: (agent, query) =>
      as(call('GET', `/agents/${encodeURIComponent(agent)}/events`, { query, expect: ['agent', 'events'] })),
    agents: () => allPages<WireAgent>(call, '/agents', { limit: 1000 }, 'agents'),
    heartbeat: (agent, body, timeoutMs) =>
      as(
        call('POST', `/agents/${encodeURIComponent(agent)}/heartbeat`, {
          body,
          timeoutMs,
          expect: ['status', 'state'],
        }),
      ),
    subscriptions: (query) => allPages<Subscription>(call, '/subscriptions', query, 'subscriptions'),
    addSubscription: (body) => as(call('POST', '/subscriptions', { body, expect: subscription })),
    changeSubscription: (id, body) =>
      as(call('PATCH', `/subscriptions/${encodeURIComponent(id)}`, { body, expect: subscription })),
    removeSubscription: (id) =>
      as(call('DELETE', `/subscriptions/${encodeURIComponent(id)}`, { expect: subscription })),
    ...deliveriesOver(call),
    explain: (action, requiresHuman) =>
      as(call('GET', '/explain', { query: { action, requires_human: requiresHuman }, expect: ['hearers', 'silent'] })),
    follow: (options) => follow(open, options),
    takeDeliveries: (agent, options) => takeDeliveries(open, agent, options),
    makeCheckpoint: () => as(call('POST', '/audit/checkpoint', { expect: ['seq', 'hash', 'signature'] })),
    planRetention: () => as(call('GET', '/retention', { expect: ['rules'] })),
    runRetention: () => as(call('POST', '/retention:run', { expect: ['status', 'purged'] })),
    health: (timeoutMs) => as(call('GET', '/health', { expect: ['service', 'status'], timeoutMs })),
  };
}

/** Every page of a list, up to `maxPages`. */
async function allPages<T>(call: Call, path: string, query: CallOptions['query'], member: string): Promise<T[]> {
  const found: T[] = [];
  for (let after: string | undefined, page = 1; ; page++) {
    const answer = await call('GET', path, { query: { ...query, after }, expect: [member] });
    found.push(...(answer[member] as T[]));
    after = (answer.next as string | null) ?? undefined;
    if (after === undefined || page >= maxPages) return found;
  }
}

function once({ idempotencyKey, signal }: PublishOptions = {}) {
  return { signal, headers: idempotencyKey === undefined ? undefined : { 'idempotency-key': idempotencyKey } };
}
