import { call, type Reply } from './call.ts';
import type { Random } from './random.ts';

type Delivery = { id: string; lease: string; leased_until: string; event: { id: string } };
/** From its claim to its end, by the clock of the bus. */
type Lease = { lease: string; fromMs: number; untilMs: number };

type Telling = {
  acknowledged(agent: string, event: string): void;
  refuse(what: string, reply: Reply, of: unknown): void;
};

const leaseMs = 1000;
const maxAtOnce = 5;

/**
 * Claims for one of these agents, and acknowledges, gives back or forgets what came. Finds it out when a delivery is
 * given again after its acknowledgement was answered, or has two leases at a time.
 */
export function claimsOf(
  random: Random,
  agents: readonly string[],
  { acknowledged, refuse }: Telling,
): (url: string) => Promise<void> {
  /** When, by the clock of the bus. */
  const settledMs = new Map<string, number>();
  /** The latest lease of each delivery whose end nobody has asked for. */
  const held = new Map<string, Lease>();

  function receive(agent: string, { lease, leased_until, event }: Delivery, reply: Reply): void {
    const name = `${agent} ${event.id}`;
    const untilMs = Date.parse(leased_until);
    const now: Lease = { lease, fromMs: untilMs - leaseMs, untilMs };
    // Answers may arrive in another order than they were given in.
    if (now.fromMs > (settledMs.get(name) ?? Infinity)) refuse('given again after it was acknowledged', reply, name);
    const other = held.get(name);
    if (other && now.fromMs < other.untilMs && other.fromMs < now.untilMs)
      refuse(`leased as ${other.lease} and as ${lease}`, reply, name);
    held.set(name, now);
  }

  async function settle(url: string, agent: string, { id, lease, event }: Delivery): Promise<void> {
    const name = `${agent} ${event.id}`;
    const path = `/agents/${agent}/deliveries/${id}`;
    if (random.chance(0.1)) return;
    if (random.chance(0.2)) {
      held.delete(name);
      const reply = await call(url, 'POST', `${path}:nack`, { lease, delay_seconds: random.pick([0, 0.05, null]) });
      if (reply && reply.status !== 200 && reply.status !== 409) refuse('nack', reply, name);
      return;
    }
    const reply = await call(url, 'POST', `${path}:ack`, { lease });
    if (reply?.status === 200) {
      settledMs.set(name, Date.parse((reply.body as { acknowledged_at: string }).acknowledged_at));
      acknowledged(agent, event.id);
    } else if (reply && reply.status !== 409) refuse('ack', reply, name);
  }

  return async (url) => {
    const agent = random.pick(agents) as string;
    const body = { max: random.whole(1, maxAtOnce), lease_seconds: leaseMs / 1000, wait_seconds: random.whole(0, 1) };
    const reply = await call(url, 'POST', `/agents/${agent}/deliveries:claim`, body);
    if (!reply) return;
    if (reply.status !== 200) return refuse('claim', reply, agent);
    const { deliveries } = reply.body as { deliveries: Delivery[] };
    for (const delivery of deliveries) receive(agent, delivery, reply);
    for (const delivery of deliveries) await settle(url, agent, delivery);
  };
}
