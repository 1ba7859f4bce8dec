import type { ClaimBody, DeathReason, NackBody, WireDeadLetter, WireDelivery } from '../events/delivery.ts';
import type { Call } from './call.ts';

export type Claimed = { agent: string; deliveries: WireDelivery[]; count: number };

/** A delivery, named as its claim named it. */
export type Held = { agent: string; id: string; lease: string };

/** `ready_at`: when it is deferred. `reason`: when it is dead. */
export type NackReceipt = {
  status: 'ready' | 'deferred' | 'dead';
  agent: string;
  id: string;
  ready_at: string | null;
  reason: DeathReason | null;
};

export type DeadLettersQuery = {
  agent?: string | undefined;
  limit?: number | undefined;
  after?: string | undefined;
};
export type DeadLettersPage = { dead_letters: WireDeadLetter[]; count: number; next: string | null };

/** The calls about deliveries. Those that settle one throw Fault `lease-lost` when another lease holds it, or none. */
export type DeliveryCalls = {
  /** What is ready, under a lease; waits for it `wait_seconds` (0…50). Until leased_until it is given to nobody else. */
  claim(agent: string, claim?: ClaimBody, signal?: AbortSignal): Promise<Claimed>;
  /** Safe to repeat. */
  ackDelivery(held: Held): Promise<{ status: 'acknowledged'; acknowledged_at: string }>;
  nackDelivery(held: Held, nack?: Omit<NackBody, 'lease'>): Promise<NackReceipt>;
  /** The lease then ends so many seconds from now. */
  extendDelivery(held: Held, leaseSeconds: number): Promise<{ status: 'extended'; leased_until: string }>;
  /** Newest first. */
  deadLetters(query?: DeadLettersQuery): Promise<DeadLettersPage>;
  redrive(agent: string, id: string): Promise<{ status: 'ready'; agent: string; id: string }>;
  /** All there are, or all of one agent. Answers how many. */
  redriveAll(agent?: string): Promise<number>;
  discardDeadLetter(agent: string, id: string): Promise<{ status: 'discarded'; agent: string; id: string }>;
};

/** How long the network may take beyond what the bus was asked to wait. */
const graceMs = 10_000;
/** A redrive of all goes through all of them before it answers. */
const redriveTimeoutMs = 10 * 60_000;

export function deliveriesOver(call: Call): DeliveryCalls {
  // As in client.ts: the bus' answers are trusted beyond the members that tell it from another program.
  const as = <T>(answer: Promise<unknown>) => answer as Promise<T>;
  const at = (agent: string) => `/agents/${encodeURIComponent(agent)}/deliveries`;
  const settle = ({ agent, id, lease }: Held, verb: string, body: object, expect: string[]) =>
    call('POST', `${at(agent)}/${encodeURIComponent(id)}:${verb}`, { body: { lease, ...body }, expect });
  const letter = (agent: string, id: string) => `/dead-letters/${encodeURIComponent(agent)}/${encodeURIComponent(id)}`;
  return {
    claim: (agent, body = {}, signal) =>
      as(
        call('POST', `${at(agent)}:claim`, {
          body,
          signal,
          expect: ['agent', 'deliveries'],
          timeoutMs: body.wait_seconds === undefined ? undefined : body.wait_seconds * 1000 + graceMs,
        }),
      ),
    ackDelivery: (held) => as(settle(held, 'ack', {}, ['status'])),
    nackDelivery: (held, nack = {}) => as(settle(held, 'nack', nack, ['status'])),
    extendDelivery: (held, leaseSeconds) =>
      as(settle(held, 'extend', { lease_seconds: leaseSeconds }, ['leased_until'])),
    deadLetters: (query) => as(call('GET', '/dead-letters', { query, expect: ['dead_letters', 'count'] })),
    redrive: (agent, id) => as(call('POST', `${letter(agent, id)}:redrive`, { expect: ['status'] })),
    redriveAll: async (agent) => {
      const body = agent === undefined ? {} : { agent };
      const timeoutMs = redriveTimeoutMs;
      const answer = await call('POST', '/dead-letters:redrive', { body, timeoutMs, expect: ['redriven'] });
      return answer.redriven as number;
    },
    discardDeadLetter: (agent, id) => as(call('DELETE', letter(agent, id), { expect: ['status'] })),
  };
}
