import { rfc3339 } from '../../../base/clock.ts';
import { maxClaim } from '../../../events/delivery.ts';
import { type DeliveryStore, newLease } from '../deliveries.ts';
import type { Command, DeliveryKey } from './commands.ts';
import type { RedrivenSome } from './dead-letters.ts';
import { deliveryId } from './delivery-rows.ts';
import type { Reader } from './reader.ts';
import type { Claimed } from './write-delivery.ts';

type Write = <T>(command: Command) => Promise<T>;
type Read = <T>(ask: (reader: Reader) => T) => Promise<T>;

/** The store's deliveries: the writer decides, and the events are read here, so that it need not hand them over. */
export function deliveryStoreOf(write: Write, read: Read): DeliveryStore {
  return {
    async claim(agent, { max, leaseMs, lease = newLease() }) {
      const claimed = await write<Claimed>({
        op: 'claim',
        agent,
        max: Math.min(max, maxClaim),
        leaseMs,
        lease: Number(lease),
      });
      if (claimed.rows.length === 0) return [];
      const events = await read((reader) => reader.eventsAt(claimed.rows.map(({ seq }) => seq)));
      const bySeq = new Map(events.map(({ seq, event }) => [seq, event]));
      const leasedUntil = rfc3339(claimed.until);
      // An event may have been purged a moment ago, and what was owed of it with it.
      return claimed.rows.flatMap(({ attempts, ...key }) => {
        const event = bySeq.get(key.seq);
        return event
          ? [{ id: deliveryId(key), lease, leasedUntil, attempt: attempts, priority: key.priority, event }]
          : [];
      });
    },
    ack: (agent, id, lease) =>
      onDelivery(id, (delivery) => write({ op: 'ack', agent, delivery, lease: leaseOf(lease) })),
    nack: (agent, id, lease, nack) =>
      onDelivery(id, (delivery) => write({ op: 'nack', agent, delivery, lease: leaseOf(lease), nack })),
    extend: (agent, id, lease, leaseMs) =>
      onDelivery(id, (delivery) => write({ op: 'extend', agent, delivery, lease: leaseOf(lease), leaseMs })),
    release: (agent, lease) => write({ op: 'release', agent, lease: leaseOf(lease) }),
    deadLetters: ({ agent }, page) => read((reader) => reader.deadLetters(agent, page)),
    deadLetterOf: (agent, event, because) => read((reader) => reader.deadLetterOf(agent, event, because)),
    redrive: (agent, id) => onDelivery(id, (delivery) => write({ op: 'redrive', agent, delivery })),
    discard: (agent, id) => onDelivery(id, (delivery) => write({ op: 'discard', agent, delivery })),
    async redriveAll({ agent }) {
      let all = 0;
      for (let first: RedrivenSome | undefined; ; ) {
        const step = await write<RedrivenSome>({ op: 'redrive-some', agent, diedBy: first?.diedBy });
        first ??= step;
        all += step.redriven;
        // What dies again meanwhile is left for the next call.
        if (step.redriven === 0 || all >= first.outOf) return all;
      }
    },
  };
}

async function onDelivery<T>(id: string, act: (delivery: DeliveryKey) => Promise<T>): Promise<T | { kind: 'unknown' }> {
  const parts = /^([1-9]\d{0,14})-(10|[1-9])$/.exec(id);
  return parts ? act({ seq: Number(parts[1]), priority: Number(parts[2]) }) : { kind: 'unknown' };
}

/** What is no lease of ours is one that nobody holds. */
function leaseOf(text: string): number {
  return /^[1-9]\d{0,14}$/.test(text) ? Number(text) : -1;
}
