import type { DatabaseSync } from 'node:sqlite';

/** `leased`: 1 while somebody works on it. */
export type Owed = { agent: string; priority: number; leased: 0 | 1 };

/** What is still owed of one event, whatever its state: those of its hearers by queue who have not settled it. */
export function owedOf(db: DatabaseSync): (seq: number) => Owed[] {
  const isIn = (table: string, priority: string) =>
    `EXISTS (SELECT 1 FROM ${table} d WHERE d.agent = h.value ->> 0 AND d.seq = ?1${priority})`;
  const owed = db.prepare(
    `SELECT h.value ->> 0 AS agent, h.value ->> 2 AS priority, ${isIn('leased_deliveries', '')} AS leased
     FROM event_log e JOIN facets f USING (facet_id) JOIN audiences a USING (audience_id) CROSS JOIN json_each(a.hearers) h
     WHERE e.seq = ?1 AND h.value ->> 1 = 'queue' AND (
       ${isIn('ready_deliveries', ' AND d.priority = h.value ->> 2')} OR ${isIn('leased_deliveries', '')}
       OR ${isIn('deferred_deliveries', '')} OR ${isIn('dead_deliveries', '')})`,
  );
  return (seq) => owed.all(seq) as Owed[];
}
