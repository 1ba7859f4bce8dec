import type { DatabaseSync } from 'node:sqlite';
import type { StoreStats } from '../store.ts';

/** What is open in a database, counted row by row; a running bus counts along instead. */
export function openCounts(db: DatabaseSync): Pick<StoreStats, 'openQuestions' | 'openDeliveries' | 'deadLetters'> {
  const count = (sql: string) => db.prepare(sql).get()?.n as number;
  return {
    openQuestions: count("SELECT count(*) AS n FROM questions WHERE state = 'open'"),
    openDeliveries: count(
      `SELECT (SELECT count(*) FROM ready_deliveries) + (SELECT count(*) FROM leased_deliveries)
         + (SELECT count(*) FROM deferred_deliveries) AS n`,
    ),
    deadLetters: count('SELECT count(*) AS n FROM dead_deliveries'),
  };
}
