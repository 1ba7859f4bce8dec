import { reasonOf } from '../../base/fault.ts';
import type { Log } from '../../base/log.ts';
import { type Delivery, newLease } from '../store/deliveries.ts';
import type { Store } from '../store/store.ts';
import { dataFrame, goaway, greeting, heartbeat } from './frames.ts';
import type { OpenStreams } from './open-streams.ts';
import type { Outlet } from './outlet.ts';

export type AgentStreamOptions = {
  agent: string;
  leaseMs: number;
  /** Deliveries that the reader may hold at the same time: 1…100. */
  maxInFlight: number;
  /** A delivery as the reader gets it. */
  show(delivery: Delivery): object;
};

/** Sends an agent's deliveries on, each under a lease, as many as its reader may hold. */
export type AgentStreams = {
  /** Until either side ends it; what the reader holds then is ready for others at once. */
  deliver(outlet: Outlet, options: AgentStreamOptions): void;
};

/** Deliveries that one claim leases: what a slow reader has waiting stays bounded, however large they are. */
const maxAtOnce = 16;

/** One reader. All it claims has the same lease, so that one call gives it all back. */
type Holder = AgentStreamOptions & {
  outlet: Outlet;
  lease: string;
  /** Deliveries under its lease now; the store tells when one is no longer. */
  held: number;
  /** What is being claimed for it. */
  claiming: Promise<Delivery[]> | undefined;
};

/** The readers of one agent, the one that is due next first. `isWanted`: there may be something for them. */
type Queue = { holders: Holder[]; isWanted: boolean; serving: Promise<void> | undefined };

/**
 * One claim at a time for each agent, so a delivery that becomes ready does not set all its readers off. A reader asks
 * again when something is ready, when it has room again, and when it has read what it was sent.
 */
export function agentStreamsOf(store: Store, streams: OpenStreams, log: Log): AgentStreams {
  const queues = new Map<string, Queue>();
  const byLease = new Map<string, Holder>();

  store.onCommitted(({ readyFor, endedLeases }) => {
    if (byLease.size === 0) return;
    for (const lease of endedLeases) {
      const holder = byLease.get(lease);
      if (holder === undefined) continue;
      holder.held--;
      serveSoon(holder.agent);
    }
    for (const agent of readyFor) serveSoon(agent);
  });

  function serveSoon(agent: string): void {
    const queue = queues.get(agent);
    if (queue === undefined) return;
    queue.isWanted = true;
    queue.serving ??= serve(queue)
      .catch((error) => giveUp(agent, queue, error))
      .finally(() => {
        queue.serving = undefined;
        if (queue.isWanted && queue.holders.some(hasRoom)) serveSoon(agent);
      });
  }

  async function serve(queue: Queue): Promise<void> {
    // After those who published or acknowledged have their answers.
    await new Promise((go) => setImmediate(go));
    while (queue.isWanted) {
      const holder = queue.holders.find(hasRoom);
      // Without room for it nothing is lost: whoever has room again looks.
      queue.isWanted = false;
      if (holder === undefined) return;
      const max = Math.min(roomOf(holder), maxAtOnce);
      holder.claiming = store.claim(holder.agent, { max, leaseMs: holder.leaseMs, lease: holder.lease });
      const deliveries = await holder.claiming;
      holder.held += deliveries.length;
      if (deliveries.length > 0) {
        holder.outlet.write(deliveries.map((delivery) => dataFrame(holder.show(delivery))).join(''));
        lookWhenRead(holder);
        toTheEnd(queue.holders, holder);
      }
      if (deliveries.length === max) queue.isWanted = true;
    }
  }

  function lookWhenRead({ outlet, agent }: Holder): void {
    if (outlet.lags) void outlet.drained().then(() => serveSoon(agent));
  }

  function giveUp(agent: string, { holders }: Queue, error: unknown): void {
    log.error('streams of an agent end, because nothing can be claimed', { agent, reason: reasonOf(error) });
    for (const { outlet } of [...holders]) outlet.end(goaway('Nothing can be claimed now.'));
  }

  function join(holder: Holder): void {
    const queue = queues.get(holder.agent) ?? { holders: [], isWanted: false, serving: undefined };
    queue.holders.push(holder);
    queues.set(holder.agent, queue);
    byLease.set(holder.lease, holder);
    serveSoon(holder.agent);
  }

  /** Gives back what the reader holds, also what was being claimed for it when it left. */
  async function leave(holder: Holder): Promise<void> {
    const { agent, lease } = holder;
    const queue = queues.get(agent);
    queue?.holders.splice(queue.holders.indexOf(holder), 1);
    if (queue?.holders.length === 0) queues.delete(agent);
    await Promise.allSettled([holder.claiming]);
    byLease.delete(lease);
    if (holder.held <= 0) return;
    try {
      await store.release(agent, lease);
    } catch (error) {
      log.warn('what a reader held is ready again only when its lease ends', { agent, reason: reasonOf(error) });
    }
  }

  return {
    deliver(outlet, options) {
      const holder: Holder = { ...options, outlet, lease: newLease(), held: 0, claiming: undefined };
      if (!streams.add({ outlet, beat: () => heartbeat(), left: () => leave(holder) })) return;
      outlet.write(greeting());
      join(holder);
    },
  };
}

function roomOf({ maxInFlight, held }: Holder): number {
  return maxInFlight - Math.max(0, held);
}

function hasRoom(holder: Holder): boolean {
  return !holder.outlet.isClosed && !holder.outlet.lags && roomOf(holder) > 0;
}

function toTheEnd(holders: Holder[], holder: Holder): void {
  const at = holders.indexOf(holder);
  if (at !== -1) holders.push(...holders.splice(at, 1));
}
