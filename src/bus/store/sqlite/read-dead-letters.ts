import type { DatabaseSync } from 'node:sqlite';
import { rfc3339 } from '../../../base/clock.ts';
import type { DeathReason } from '../../../events/delivery.ts';
import type { DeadLetter, DeadLetterPage, DeadLetterPlace } from '../deliveries.ts';
import { deliveryId } from './delivery-rows.ts';
import { type EventRow, eventColumns, eventTables, toEvent } from './event-row.ts';

export type DeadLetterRow = EventRow & {
  dead_agent: string;
  priority: number;
  attempts: number;
  reason: DeathReason;
  error: string | null;
  died_at: number;
};

const columns = `d.agent AS dead_agent, d.priority, d.attempts, d.reason, d.error, d.died_at, ${eventColumns}`;
const tables = `dead_deliveries d CROSS JOIN ${eventTables}`;

/** Dead letters, newest first, with their events. */
export function deadLetterRowsOf(
  db: DatabaseSync,
): (agent: string | undefined, limit: number, after: DeadLetterPlace | undefined) => Iterable<DeadLetterRow> {
  const all = db.prepare(
    `SELECT ${columns} FROM ${tables} WHERE (d.died_at, d.agent, d.seq) < (?, ?, ?) AND e.seq = d.seq
     ORDER BY d.died_at DESC, d.agent DESC, d.seq DESC LIMIT ?`,
  );
  const first = db.prepare(
    `SELECT ${columns} FROM ${tables} WHERE e.seq = d.seq
     ORDER BY d.died_at DESC, d.agent DESC, d.seq DESC LIMIT ?`,
  );
  const ofAgent = db.prepare(
    `SELECT ${columns} FROM ${tables} WHERE d.agent = ? AND (d.died_at, d.seq) < (?, ?) AND e.seq = d.seq
     ORDER BY d.died_at DESC, d.seq DESC LIMIT ?`,
  );
  const last = Number.MAX_SAFE_INTEGER;
  return (agent, limit, after) => {
    if (agent !== undefined)
      return ofAgent.iterate(agent, after?.diedAt ?? last, after?.seq ?? last, limit) as Iterable<DeadLetterRow>;
    const rows = after ? all.iterate(after.diedAt, after.agent, after.seq, limit) : first.iterate(limit);
    return rows as Iterable<DeadLetterRow>;
  };
}

/** How many dead letters of an agent are looked through for one that an event caused. */
const maxLooked = 1000;

/** The dead letter of an agent of this event, or the newest of one that this event caused. */
export function deadLetterFinderOf(
  db: DatabaseSync,
  epoch: string,
): (agent: string, event: string, because: string | undefined) => DeadLetter | undefined {
  const ofEvent = db.prepare(
    `SELECT ${columns} FROM ${eventTables} JOIN dead_deliveries d ON d.agent = ? AND d.seq = e.seq WHERE e.id = ?`,
  );
  const causedBy = db.prepare(
    `SELECT ${columns} FROM (SELECT * FROM dead_deliveries WHERE agent = ? ORDER BY died_at DESC, seq DESC LIMIT ${maxLooked}) d
       CROSS JOIN ${eventTables} WHERE e.seq = d.seq AND e.causation_id = ? LIMIT 1`,
  );
  return (agent, event, because) => {
    const row = ofEvent.get(agent, event) ?? (because === undefined ? undefined : causedBy.get(agent, because));
    return row && deadLetterPage([row as DeadLetterRow], true, epoch).deadLetters[0];
  };
}

export function deadLetterPage(rows: readonly DeadLetterRow[], isLast: boolean, epoch: string): DeadLetterPage {
  const deadLetters = rows.map((row) => ({
    id: deliveryId(row),
    agent: row.dead_agent,
    priority: row.priority,
    attempts: row.attempts,
    reason: row.reason,
    error: row.error,
    diedAt: rfc3339(row.died_at),
    event: toEvent(row, epoch),
  }));
  const end = rows.at(-1);
  return { deadLetters, next: isLast || !end ? null : { diedAt: end.died_at, agent: end.dead_agent, seq: end.seq } };
}
