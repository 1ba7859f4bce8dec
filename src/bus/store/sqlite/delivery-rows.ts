import type { LostTo } from '../../../events/delivery.ts';
import type { Status } from '../../../events/event.ts';
import type { DeliveryKey } from './commands.ts';
import type { Audience } from './interning.ts';
import type { Ledger } from './ledger.ts';

/** A delivery on its way from one table to another. `attempts`: how often it was claimed. */
export type DeliveryRow = DeliveryKey & { agent: string; attempts: number };
export type LeasedRow = DeliveryRow & { lease: number; until: number };

/** The name of a delivery on the wire: all that is needed to find it. */
export function deliveryId({ seq, priority }: DeliveryKey): string {
  return `${seq}-${priority}`;
}

/**
 * The moves of a delivery between its tables; which table it lies in is its state. Each keeps the ledger's counts and
 * tells who has something ready.
 */
export type DeliveryRows = {
  leased(agent: string, key: DeliveryKey): LeasedRow | undefined;
  lease(row: DeliveryRow, lease: number, until: number): void;
  /** Takes a leased row away from its holder. What becomes of it is up to the caller. */
  endLease(row: LeasedRow): void;
  /** What was in no table, or just taken from one, may be claimed. `at`: since when, or null for the event's own time. */
  makeReady(row: DeliveryRow, at: number | null): void;
  defer(row: DeliveryRow, dueAt: number): void;
  /** Takes a ready row out; what becomes of it is up to the caller. */
  drop(row: DeliveryRow): void;
  /** Takes a row out of every table, wherever it lies; undefined when there was none. */
  settle(agent: string, key: DeliveryKey): 'owed' | 'dead' | undefined;
  /** Where the delivery lies, or undefined when nothing is owed. */
  stateOf(agent: string, key: DeliveryKey): Exclude<LostTo, 'acknowledged' | 'expired' | 'gone'> | undefined;
  /** What the deliveries of a plain event say about it. Without `anyDead` the first one that is owed decides. */
  statusBy(audience: Audience, seq: number, anyDead: boolean): Status;
};

export function deliveryRowsOf(ledger: Ledger): DeliveryRows {
  const { db, committed } = ledger;
  const findLeased = db.prepare(
    'SELECT agent, seq, priority, attempts, lease, until FROM leased_deliveries WHERE agent = ? AND seq = ?',
  );
  const addReady = db.prepare(
    'INSERT INTO ready_deliveries (agent, priority, seq, attempts, ready_at) VALUES (?, ?, ?, ?, ?)',
  );
  const removeReady = db.prepare('DELETE FROM ready_deliveries WHERE agent = ? AND priority = ? AND seq = ?');
  const addLeased = db.prepare(
    'INSERT INTO leased_deliveries (agent, seq, priority, attempts, lease, until) VALUES (?, ?, ?, ?, ?, ?)',
  );
  const removeLeased = db.prepare('DELETE FROM leased_deliveries WHERE agent = ? AND seq = ? RETURNING lease');
  const addDeferred = db.prepare(
    'INSERT INTO deferred_deliveries (due_at, agent, seq, priority, attempts) VALUES (?, ?, ?, ?, ?)',
  );
  const removeDeferred = db.prepare('DELETE FROM deferred_deliveries WHERE agent = ? AND seq = ?');
  const removeDead = db.prepare('DELETE FROM dead_deliveries WHERE agent = ? AND seq = ?');
  const state = db.prepare(
    `SELECT CASE
       WHEN EXISTS (SELECT 1 FROM ready_deliveries WHERE agent = ?1 AND priority = ?2 AND seq = ?3) THEN 'ready'
       WHEN EXISTS (SELECT 1 FROM leased_deliveries WHERE agent = ?1 AND seq = ?3) THEN 'leased'
       WHEN EXISTS (SELECT 1 FROM deferred_deliveries WHERE agent = ?1 AND seq = ?3) THEN 'deferred'
       WHEN EXISTS (SELECT 1 FROM dead_deliveries WHERE agent = ?1 AND seq = ?3) THEN 'dead' END AS state`,
  );

  function stateOf(agent: string, { seq, priority }: DeliveryKey) {
    return (state.get(agent, priority, seq)?.state ?? undefined) as ReturnType<DeliveryRows['stateOf']>;
  }

  return {
    leased(agent, { seq, priority }) {
      const row = findLeased.get(agent, seq) as LeasedRow | undefined;
      return row?.priority === priority ? row : undefined;
    },
    lease({ agent, seq, priority, attempts }, lease, until) {
      removeReady.run(agent, priority, seq);
      addLeased.run(agent, seq, priority, attempts, lease, until);
    },
    endLease({ agent, seq, lease }) {
      removeLeased.run(agent, seq);
      committed.endedLeases.push(String(lease));
    },
    makeReady({ agent, seq, priority, attempts }, at) {
      addReady.run(agent, priority, seq, attempts, at);
      ledger.noteReady(agent);
    },
    defer({ agent, seq, priority, attempts }, dueAt) {
      addDeferred.run(dueAt, agent, seq, priority, attempts);
      ledger.noteDue(dueAt);
    },
    drop({ agent, seq, priority }) {
      removeReady.run(agent, priority, seq);
    },
    settle(agent, { seq, priority }) {
      if (removeReady.run(agent, priority, seq).changes === 0) {
        const leased = removeLeased.get(agent, seq);
        if (leased) committed.endedLeases.push(String(leased.lease));
        else if (removeDeferred.run(agent, seq).changes === 0) {
          if (removeDead.run(agent, seq).changes === 0) return undefined;
          committed.deadLetters -= 1;
          return 'dead';
        }
      }
      committed.openDeliveries -= 1;
      return 'owed';
    },
    stateOf,
    statusBy({ queues }, seq, anyDead) {
      let status: Status = 'acknowledged';
      for (const { agent, priority } of queues) {
        const found = stateOf(agent, { seq, priority });
        if (found === 'dead') return 'failed';
        if (found !== undefined) status = 'pending';
        if (found !== undefined && !anyDead) break;
      }
      return status;
    },
  };
}
