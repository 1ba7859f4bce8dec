import { busActions, busAgent } from '../../../events/event.ts';
import type { DeliveryRules } from '../deliveries.ts';
import { maxSweep, type Swept } from '../store.ts';
import type { DeadLetters } from './dead-letters.ts';
import type { DeliveryRow, DeliveryRows, LeasedRow } from './delivery-rows.ts';
import type { Ledger } from './ledger.ts';
import type { EventWriter } from './write-event.ts';

const dayMs = 86_400_000;
/** How often the whole queue is gone through for what nobody claims. */
const passEveryMs = 60_000;
/** How often it is noted which events there are. */
const markEveryMs = 3_600_000;
/** Rows and queues looked at in one sweep; the next one goes on from there. */
const maxExamined = 1000;
/** Of this priority nothing is dropped: it becomes a dead letter. */
const neverDropped = 1;

export type DeliverySweep = {
  /** Ends leases that are over, and makes ready what was put off until now. */
  applyDue(now: number): Pick<Swept, 'leasesEnded' | 'becameReady'>;
  sweep(): Pick<Swept, 'leasesEnded' | 'becameReady' | 'expired' | 'nextDueAt'>;
};

type Parts = {
  rows: DeliveryRows;
  dead: DeadLetters;
  rules: DeliveryRules;
  expire(row: LeasedRow, now: number): void;
  events(): EventWriter;
};

export function deliverySweepOf(ledger: Ledger, parts: Parts): DeliverySweep {
  const { db } = ledger;
  const over = db.prepare(
    `SELECT agent, seq, priority, attempts, lease, until FROM leased_deliveries WHERE until <= ?
     ORDER BY until LIMIT ${maxSweep}`,
  );
  const due = db.prepare(
    `SELECT due_at, agent, seq, priority, attempts FROM deferred_deliveries WHERE due_at <= ?
     ORDER BY due_at LIMIT ${maxSweep}`,
  );
  const removeDeferred = db.prepare('DELETE FROM deferred_deliveries WHERE due_at = ? AND agent = ? AND seq = ?');
  const next = db.prepare(
    `SELECT (SELECT min(until) FROM leased_deliveries) AS lease, (SELECT min(due_at) FROM deferred_deliveries) AS due`,
  );
  const expireUnclaimed = unclaimedOf(ledger, parts);

  function applyDue(now: number) {
    const leases = over.all(now) as LeasedRow[];
    for (const row of leases) parts.expire(row, now);
    const deferred = due.all(now) as (DeliveryRow & { due_at: number })[];
    for (const row of deferred) {
      removeDeferred.run(row.due_at, row.agent, row.seq);
      parts.rows.makeReady(row, row.due_at);
    }
    return { leasesEnded: leases.length, becameReady: deferred.length };
  }

  return {
    applyDue,
    sweep() {
      const now = ledger.clock();
      const counts = { ...applyDue(now), expired: expireUnclaimed(now) };
      const { lease, due: dueAt } = next.get() as { lease: number | null; due: number | null };
      const times = [lease, dueAt].filter((at) => at !== null);
      return { ...counts, nextDueAt: times.length > 0 ? Math.min(...times) : null };
    },
  };
}

/** Where the pass through the queues stands: everything up to here was looked at. */
type Place = { agent: string; priority: number; seq: number };
type Pass = Place & { cutoff: number; upTo: number };

/**
 * Expires what has been ready for too long, a bounded part of the queues at a time: by (agent, priority) from queue to
 * queue, and in each only as far as events are old enough.
 */
function unclaimedOf(ledger: Ledger, { rows, dead, rules, events }: Parts): (now: number) => number {
  const { db, committed } = ledger;
  const nextQueue = db.prepare(
    `SELECT agent, priority FROM ready_deliveries WHERE (agent, priority) > (?, ?)
     ORDER BY agent, priority LIMIT 1`,
  );
  const old = db.prepare(
    `SELECT agent, priority, seq, attempts, ready_at FROM ready_deliveries
     WHERE agent = ? AND priority = ? AND seq > ? AND seq <= ? ORDER BY seq LIMIT ?`,
  );
  const marks = marksOf(ledger);
  let pass: Pass | undefined;
  let passedAt = Number.NEGATIVE_INFINITY;

  function begin(now: number): Pass | undefined {
    if (Math.abs(now - passedAt) < passEveryMs) return undefined;
    const cutoff = now - rules.expireDays * dayMs;
    const upTo = marks.lastBy(cutoff);
    if (upTo > 0) return { agent: '', priority: 0, seq: 0, cutoff, upTo };
    passedAt = now;
    return undefined;
  }

  return (now) => {
    if (rules.expireDays === 0) return 0;
    marks.note(now);
    pass ??= begin(now);
    const dropped = new Map<string, number>();
    let expired = 0;
    for (let examined = 0; pass !== undefined && examined < maxExamined; examined++) {
      const { agent, priority, seq, upTo, cutoff }: Pass = pass;
      const found = old.all(agent, priority, seq, upTo, maxExamined - examined) as (DeliveryRow & {
        ready_at: number | null;
      })[];
      for (const row of found) {
        if (row.ready_at !== null && row.ready_at > cutoff) continue;
        rows.drop(row);
        expired += 1;
        if (row.priority === neverDropped) dead.bury(row, 'expired', 'Nobody claimed it in time.');
        else {
          committed.openDeliveries -= 1;
          dropped.set(row.agent, (dropped.get(row.agent) ?? 0) + 1);
        }
      }
      examined += found.length;
      const queue = examined >= maxExamined ? undefined : (nextQueue.get(agent, priority) as Place | undefined);
      if (examined >= maxExamined) pass = { ...pass, seq: found.at(-1)?.seq ?? seq };
      else if (queue) pass = { ...pass, agent: queue.agent, priority: queue.priority, seq: 0 };
      else {
        pass = undefined;
        passedAt = now;
      }
    }
    if (dropped.size > 0) announce(events(), dropped, rules.expireDays);
    return expired;
  };
}

function announce(events: EventWriter, dropped: ReadonlyMap<string, number>, olderThanDays: number): void {
  const count = [...dropped.values()].reduce((sum, n) => sum + n, 0);
  const details = { count, older_than_days: olderThanDays, agents: Object.fromEntries(dropped) };
  events.announce({ source_agent: busAgent, action: busActions.deliveriesExpired, details: JSON.stringify(details) });
}

type Marks = {
  /** Notes which events there are, if it is time. */
  note(now: number): void;
  /** The last event that was there by then, or 0. What is older is forgotten. */
  lastBy(cutoff: number): number;
};

/**
 * How old events are, within an hour, without reading the log: in it any page may be damaged, and deadlines and leases must
 * go on all the same.
 */
function marksOf({ db, committed }: Ledger): Marks {
  const last = db.prepare('SELECT at, seq FROM log_marks ORDER BY at DESC LIMIT 1');
  const add = db.prepare('INSERT INTO log_marks (at, seq) VALUES (?, ?)');
  const by = db.prepare('SELECT at, seq FROM log_marks WHERE at <= ? ORDER BY at DESC LIMIT 1');
  const forget = db.prepare('DELETE FROM log_marks WHERE at < ?');
  return {
    note(now) {
      const { at, seq } = (last.get() as { at: number; seq: number } | undefined) ?? { at: -Infinity, seq: 0 };
      if (committed.head > seq && now >= at + markEveryMs) add.run(now, committed.head);
    },
    lastBy(cutoff) {
      const mark = by.get(cutoff) as { at: number; seq: number } | undefined;
      if (mark) forget.run(mark.at);
      return mark?.seq ?? 0;
    },
  };
}
