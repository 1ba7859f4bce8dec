import { rfc3339 } from '../../../base/clock.ts';
import {
  type DeliveryAcknowledged,
  type DeliveryRules,
  type Extended,
  type LeaseLost,
  maxReleased,
  type Nack,
  type Nacked,
  type UnknownDelivery,
} from '../deliveries.ts';
import type { Command, DeliveryKey } from './commands.ts';
import type { DeadLetters } from './dead-letters.ts';
import type { DeliveryRow, DeliveryRows, LeasedRow } from './delivery-rows.ts';
import type { Ledger } from './ledger.ts';
import type { Acknowledger } from './write-acknowledgement.ts';

/** A delivery that is given back without a delay waits this long after its first attempt, doubling up to the longest. */
const firstBackoffMs = 1_000;
const longestBackoffMs = 5 * 60_000;

/** Bytes of details in one claim. Beyond them it takes no more: nobody should wait while it is written out. */
const maxClaimBytes = 4 * 1024 * 1024;

/** What was leased; the events themselves are read by whoever asked. */
export type Claimed = { until: number; rows: (DeliveryKey & { attempts: number })[] };

/** Who holds what. Each call looks at the clock once, and only the current lease counts, and only before its end. */
export type DeliveryWriter = {
  claim(agent: string, max: number, leaseMs: number, lease: number): Claimed;
  ack(agent: string, key: DeliveryKey, lease: number): DeliveryAcknowledged;
  nack(agent: string, key: DeliveryKey, lease: number, nack: Nack): Nacked;
  extend(agent: string, key: DeliveryKey, lease: number, leaseMs: number): Extended;
  release(agent: string, lease: number): number;
  /** The lease is over: ready again, or dead after too many attempts. */
  expire(row: LeasedRow, now: number): void;
};

type Parts = { rows: DeliveryRows; dead: DeadLetters; acknowledger: Acknowledger; rules: DeliveryRules };

/** `applyDue`: makes ready what is due by then, so that a claim does not wait for the sweeper. */
export function deliveryWriterOf(
  ledger: Ledger,
  { rows, dead, acknowledger, rules }: Parts,
  applyDue: (now: number) => void,
): DeliveryWriter {
  const { db } = ledger;
  const best = db.prepare(
    `SELECT r.agent, r.seq, r.priority, r.attempts, octet_length(e.details) AS bytes
     FROM ready_deliveries r CROSS JOIN event_log e ON e.seq = r.seq
     WHERE r.agent = ? ORDER BY r.priority, r.seq LIMIT ?`,
  );
  const setUntil = db.prepare('UPDATE leased_deliveries SET until = ? WHERE agent = ? AND seq = ?');
  const heldUnder = db.prepare(
    `SELECT agent, seq, priority, attempts, lease, until FROM leased_deliveries WHERE agent = ? AND lease = ?
     ORDER BY seq LIMIT ${maxReleased}`,
  );
  const lost = losingOf(ledger, rows);

  function expire(row: LeasedRow, now: number): void {
    rows.endLease(row);
    if (row.attempts >= rules.maxAttempts) dead.bury(row, 'attempts', 'The lease ended without an acknowledgement.');
    else rows.makeReady(row, now);
  }

  /** The delivery that this lease holds now, or what became of it. */
  function held(agent: string, key: DeliveryKey, lease: number, now: number): LeasedRow | LeaseLost | UnknownDelivery {
    const row = rows.leased(agent, key);
    return row?.lease === lease && now < row.until ? row : lost(agent, key, lease, row);
  }

  return {
    expire,
    claim(agent, max, leaseMs, lease) {
      const now = ledger.clock();
      applyDue(now);
      const until = now + leaseMs;
      const found = notTooLarge(best.all(agent, max) as (DeliveryRow & { bytes: number | null })[]);
      for (const row of found) {
        row.attempts += 1;
        rows.lease(row, lease, until);
      }
      if (found.length > 0) ledger.noteDue(until);
      return { until, rows: found.map(({ seq, priority, attempts }) => ({ seq, priority, attempts })) };
    },
    ack(agent, key, lease) {
      const now = ledger.clock();
      const row = held(agent, key, lease, now);
      if (!('kind' in row)) {
        acknowledger.settle(agent, key, now, lease);
        return { kind: 'acknowledged', at: rfc3339(now) };
      }
      const before =
        row.kind === 'lease-lost' && row.to === 'acknowledged' ? acknowledger.before(agent, key.seq) : undefined;
      return before?.lease === lease ? { kind: 'acknowledged', at: rfc3339(before.at) } : row;
    },
    nack(agent, key, lease, { delayMs, reason, dead: isDead }) {
      const now = ledger.clock();
      const row = held(agent, key, lease, now);
      if ('kind' in row) return row;
      rows.endLease(row);
      if (isDead || row.attempts >= rules.maxAttempts) {
        const why = isDead ? 'rejected' : 'attempts';
        dead.bury(row, why, reason);
        return { kind: 'dead', reason: why };
      }
      const wait = delayMs ?? backoffMs(row.attempts);
      if (wait > 0) rows.defer(row, now + wait);
      else rows.makeReady(row, now);
      return wait > 0 ? { kind: 'deferred', until: rfc3339(now + wait) } : { kind: 'ready' };
    },
    extend(agent, key, lease, leaseMs) {
      const now = ledger.clock();
      const row = held(agent, key, lease, now);
      if ('kind' in row) return row;
      setUntil.run(now + leaseMs, agent, key.seq);
      ledger.noteDue(now + leaseMs);
      return { kind: 'extended', leasedUntil: rfc3339(now + leaseMs) };
    },
    release(agent, lease) {
      const now = ledger.clock();
      const found = heldUnder.all(agent, lease) as LeasedRow[];
      for (const row of found) expire(row, now);
      return found.length;
    },
  };
}

type DeliveryCommand = Extract<
  Command,
  { op: 'claim' | 'ack' | 'nack' | 'extend' | 'release' | 'redrive' | 'redrive-some' | 'discard' }
>;

/** Runs the commands that concern deliveries. */
export function delivererOf(deliveries: DeliveryWriter, dead: DeadLetters): (command: DeliveryCommand) => unknown {
  return (command) => {
    switch (command.op) {
      case 'claim':
        return deliveries.claim(command.agent, command.max, command.leaseMs, command.lease);
      case 'ack':
        return deliveries.ack(command.agent, command.delivery, command.lease);
      case 'nack':
        return deliveries.nack(command.agent, command.delivery, command.lease, command.nack);
      case 'extend':
        return deliveries.extend(command.agent, command.delivery, command.lease, command.leaseMs);
      case 'release':
        return deliveries.release(command.agent, command.lease);
      case 'redrive':
        return dead.redrive(command.agent, command.delivery);
      case 'redrive-some':
        return dead.redriveSome(command.agent, command.diedBy);
      case 'discard':
        return dead.discard(command.agent, command.delivery);
    }
  };
}

/** The first ones, up to `maxClaimBytes`, and always one. */
function notTooLarge<R extends { bytes: number | null }>(rows: readonly R[]): readonly R[] {
  let bytes = 0;
  const tooMany = rows.findIndex((row, i) => {
    const isFull = i > 0 && bytes >= maxClaimBytes;
    bytes += row.bytes ?? 0;
    return isFull;
  });
  return tooMany === -1 ? rows : rows.slice(0, tooMany);
}

function backoffMs(attempts: number): number {
  return Math.min(longestBackoffMs, firstBackoffMs * 2 ** (attempts - 1));
}

type Losing = (
  agent: string,
  key: DeliveryKey,
  lease: number,
  leased: LeasedRow | undefined,
) => LeaseLost | UnknownDelivery;

/** What became of a delivery that the caller does not hold. */
function losingOf({ db, interning }: Ledger, rows: DeliveryRows): Losing {
  const acknowledged = db.prepare('SELECT 1 FROM acknowledgements WHERE seq = ? AND agent = ?');
  const audience = db.prepare('SELECT f.audience_id FROM event_log e JOIN facets f USING (facet_id) WHERE e.seq = ?');
  return (agent, key, lease, leased) => {
    if (leased) return { kind: 'lease-lost', to: leased.lease === lease ? 'expired' : 'leased' };
    const event = audience.get(key.seq);
    const owed = event
      ? interning
          .audienceById(event.audience_id as number)
          .queues.some((queue) => queue.agent === agent && queue.priority === key.priority)
      : false;
    if (!owed) return { kind: 'unknown' };
    const to = rows.stateOf(agent, key) ?? (acknowledged.get(key.seq, agent) ? 'acknowledged' : 'gone');
    return { kind: 'lease-lost', to };
  };
}
