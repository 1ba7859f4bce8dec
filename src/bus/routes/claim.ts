import { z } from 'zod';
import { claimSchema, deliverySchema, type ParsedClaim, type WireDelivery } from '../../events/delivery.ts';
import type { Bus } from '../bus.ts';
import { requireStillGood } from '../gate.ts';
import { type Ask, bodyOf, type Route, route } from '../route.ts';
import type { Delivery } from '../store/deliveries.ts';
import { agentOf } from './agent-param.ts';
import { warningsSchema } from './warnings.ts';

const claimedSchema = z
  .object({
    agent: z.string(),
    deliveries: z.array(deliverySchema),
    count: z.int().min(0),
    warnings: warningsSchema,
  })
  .meta({ id: 'Claimed' });

/** POST /agents/{agent}/deliveries:claim: what is ready for this agent, leased to the caller; waits for it if asked to. */
export function claim(bus: Bus): Route {
  return route({
    method: 'POST',
    path: '/agents/{agent}/deliveries:claim',
    operationId: 'claim',
    tag: 'Deliveries',
    needs: 'ack',
    summary: 'Claim what is ready for an agent, under a lease',
    description:
      'Best priority first, then oldest. Each delivery is yours until leased_until: acknowledge it before, extend it, or give it back; else it is ready again, and counts as an attempt. With wait_seconds an empty queue is waited on; keep both directions of the connection open meanwhile. Needs no body.',
    params: { agent: 'The agent’s name; case counts' },
    body: { ...bodyOf(claimSchema, 'The claim', { max: 10, lease_seconds: 60, wait_seconds: 50 }), isOptional: true },
    answers: { 200: { description: 'What is leased to you now; perhaps nothing', schema: claimedSchema } },
    faults: ['queue-full'],
    async handle({ params, body, principal, gone, left }) {
      const agent = agentOf(params.agent as string);
      const deliveries = await claimOrWait(bus, agent, body, { principal, gone, left });
      const lease = deliveries[0]?.lease;
      return {
        status: 200,
        body: { agent, deliveries: deliveries.map(deliveryOnTheWire), count: deliveries.length },
        // Whoever never got the answer holds nothing.
        ...(lease === undefined ? {} : { unsent: () => bus.store.release(agent, lease) }),
      };
    },
  });
}

type Caller = Pick<Ask<unknown, unknown>, 'principal' | 'gone' | 'left'>;

async function claimOrWait(
  { store, turns, clock }: Bus,
  agent: string,
  { max, lease_seconds, wait_seconds }: ParsedClaim,
  { principal, gone, left }: Caller,
): Promise<Delivery[]> {
  const request = { max, leaseMs: lease_seconds * 1000 };
  if (wait_seconds === 0) return store.claim(agent, request);
  const signal = gone();
  const until = performance.now() + wait_seconds * 1000;
  for (let isFirst = true; ; isFirst = false) {
    const turn = turns.take(agent, left);
    let looks = false;
    try {
      // One that ended its sending before it had to wait may still read; later it more likely went away for good.
      if (signal.aborted || turns.isReleased || (left() && !isFirst)) return [];
      const found = await store.claim(agent, request);
      // As much as it can take: there may be more. Fewer can also mean that they were large.
      if (found.length > 0) turns.wake(agent, 2);
      const leftMs = until - performance.now();
      if (found.length > 0 || leftMs <= 0) return found;
      await turn.comes(leftMs, signal);
      // A token that was revoked meanwhile takes nothing; somebody else should look.
      await requireStillGood({ store, clock }, principal);
      looks = !signal.aborted && !left();
    } finally {
      turn.end(looks);
    }
  }
}

/** A delivery as it is on the wire, in a claim as in a stream. */
export function deliveryOnTheWire({ id, lease, leasedUntil, attempt, priority, event }: Delivery): WireDelivery {
  return { id, lease, leased_until: leasedUntil, attempt, priority, event };
}
