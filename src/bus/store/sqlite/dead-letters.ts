import type { DeathReason } from '../../../events/delivery.ts';
import { busActions, busAgent, type Status } from '../../../events/event.ts';
import { type Discarded, maxRedriven, type Redriven } from '../deliveries.ts';
import type { DeliveryKey } from './commands.ts';
import { type DeliveryRow, type DeliveryRows, deliveryId } from './delivery-rows.ts';
import type { Ledger } from './ledger.ts';
import type { EventWriter } from './write-event.ts';

/** What is given up, and what comes back from there. */
export type DeadLetters = {
  /** Call it for a delivery that was owed and lies in no other table any more. */
  bury(row: DeliveryRow, reason: DeathReason, error: string | null): void;
  redrive(agent: string, key: DeliveryKey): Redriven;
  /** At most `maxRedriven` of those that died by then, by default of all there are now. */
  redriveSome(agent: string | undefined, diedBy: number | undefined): RedrivenSome;
  discard(agent: string, key: DeliveryKey): Discarded;
};

/** `outOf`: how many dead letters there were before, of all agents. */
export type RedrivenSome = { redriven: number; diedBy: number; outOf: number };

type EventRow = {
  id: string;
  source_agent: string;
  action: string;
  status: Status;
  audience_id: number;
  target: string | null;
  correlation_id: string | null;
  state: string | null;
};

export function deadLettersOf(ledger: Ledger, rows: DeliveryRows, events: () => EventWriter): DeadLetters {
  const { db, committed } = ledger;
  const findEvent = db.prepare(
    `SELECT e.id, f.source_agent, f.action, f.status, f.audience_id, e.target, e.correlation_id, q.state
     FROM event_log e JOIN facets f USING (facet_id) LEFT JOIN questions q USING (seq) WHERE e.seq = ?`,
  );
  /** Undefined where somebody removed the event behind the bus: that must not stop what others are owed. */
  const eventAt = (seq: number) => findEvent.get(seq) as EventRow | undefined;
  const add = db.prepare(
    'INSERT INTO dead_deliveries (agent, seq, priority, attempts, reason, error, died_at) VALUES (?, ?, ?, ?, ?, ?, ?)',
  );
  const remove = db.prepare('DELETE FROM dead_deliveries WHERE agent = ? AND seq = ? AND priority = ?');
  const died = db.prepare(
    `SELECT agent, seq, priority FROM dead_deliveries WHERE died_at <= ? ORDER BY died_at LIMIT ${maxRedriven}`,
  );
  const diedOf = db.prepare(
    `SELECT agent, seq, priority FROM dead_deliveries WHERE agent = ? AND died_at <= ? ORDER BY died_at LIMIT ${maxRedriven}`,
  );

  const newest = db.prepare('SELECT max(died_at) AS at FROM dead_deliveries');
  /** Where the clock was set back meanwhile some died later than now. */
  const latestDeath = () => Math.max(ledger.clock(), (newest.get()?.at as number | null) ?? 0);

  /** Says that a delivery was given up; of saying so itself it says nothing, or it would never end. */
  function announce(event: EventRow, row: DeliveryRow, reason: DeathReason, error: string | null): void {
    const { id, action, target, correlation_id } = event;
    if (event.source_agent === busAgent && action === busActions.deliveryFailed) return;
    const { agent, attempts } = row;
    const details = { event_id: id, agent, delivery_id: deliveryId(row), reason, attempts, error, action };
    events().announce({
      source_agent: busAgent,
      action: busActions.deliveryFailed,
      target,
      details: JSON.stringify(details),
      causation_id: id,
      correlation_id: correlation_id ?? id,
    });
  }

  function redrive(agent: string, { seq, priority }: DeliveryKey): boolean {
    if (remove.run(agent, seq, priority).changes === 0) return false;
    committed.deadLetters -= 1;
    committed.openDeliveries += 1;
    rows.makeReady({ agent, seq, priority, attempts: 0 }, ledger.clock());
    const event = eventAt(seq);
    if (event?.state === null && event.status === 'failed') {
      const status = rows.statusBy(ledger.interning.audienceById(event.audience_id), seq, true);
      if (status !== 'failed') ledger.setStatus(seq, status);
    }
    return true;
  }

  return {
    bury(row, reason, error) {
      add.run(row.agent, row.seq, row.priority, row.attempts, reason, error, ledger.clock());
      committed.openDeliveries -= 1;
      committed.deadLetters += 1;
      const event = eventAt(row.seq);
      if (event === undefined) return;
      if (event.state === null && event.status === 'pending') ledger.setStatus(row.seq, 'failed');
      announce(event, row, reason, error);
    },
    redrive: (agent, key) => (redrive(agent, key) ? { kind: 'redriven' } : { kind: 'unknown' }),
    redriveSome(agent, diedBy = latestDeath()) {
      const outOf = committed.deadLetters;
      const found = agent === undefined ? died.all(diedBy) : diedOf.all(agent, diedBy);
      for (const row of found as (DeliveryKey & { agent: string })[]) redrive(row.agent, row);
      return { redriven: found.length, diedBy, outOf };
    },
    discard(agent, { seq, priority }) {
      if (remove.run(agent, seq, priority).changes === 0) return { kind: 'unknown' };
      committed.deadLetters -= 1;
      return { kind: 'discarded' };
    },
  };
}
