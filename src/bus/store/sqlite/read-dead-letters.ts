import type { DatabaseSync } from 'node:sqlite';
import { rfc3339 } from '../../../base/clock.ts';
import type { DeathReason } from '../../../events/delivery.ts';
import type { DeadLetterPage, DeadLetterPlace } from '../deliveries.ts';
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
