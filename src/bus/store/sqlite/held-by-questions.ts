import type { DatabaseSync } from 'node:sqlite';

/**
 * The events that open questions follow from: whoever decides looks at them, and a call could be done no more without its own.
 */
export function heldByQuestionsOf(db: DatabaseSync): () => ReadonlySet<number> {
  const causes = db.prepare(
    `SELECT c.seq FROM questions q JOIN event_log e ON e.seq = q.seq JOIN event_log c ON c.id = e.causation_id
     WHERE q.state = 'open'`,
  );
  return () => new Set(causes.all().map(({ seq }) => seq as number));
}
