import type { DatabaseSync } from 'node:sqlite';
import type { FacetMerge } from './facet-merge.ts';

/** All there are; a queue lies sorted by them. */
const priorities = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10];

/**
 * What an agent has not acknowledged, newest first: the deliveries it is owed in whatever state, and what it heard by tail outside the
 * runs it has acknowledged. Between two runs lies an unacknowledged event, so no more runs are crossed than events found.
 */
export function unacknowledgedOf(
  db: DatabaseSync,
  merge: FacetMerge,
): (agent: string, before: number, limit: number) => number[] {
  const ready = db.prepare(
    'SELECT seq FROM ready_deliveries WHERE agent = ? AND priority = ? AND seq < ? ORDER BY seq DESC LIMIT ?',
  );
  const others = ['leased', 'deferred', 'dead'].map((state) =>
    db.prepare(`SELECT seq FROM ${state}_deliveries WHERE agent = ? AND seq < ? ORDER BY seq DESC LIMIT ?`),
  );
  const runAt = db.prepare(
    `SELECT from_seq FROM (SELECT from_seq FROM tail_runs WHERE agent = ?1 AND to_seq >= ?2 ORDER BY to_seq LIMIT 1)
     WHERE from_seq <= ?2`,
  );

  function unacknowledgedTail(agent: string, before: number, limit: number): number[] {
    const facets = merge.facetsHeardBy(agent, 'tail');
    const found: number[] = [];
    let cursor = before;
    while (found.length < limit) {
      const batch = merge.newest(facets, cursor, limit);
      if (batch.length === 0) break;
      for (const seq of batch) {
        if (seq >= cursor) continue;
        const run = runAt.get(agent, seq) as { from_seq: number } | undefined;
        if (!run) found.push(seq);
        cursor = run ? run.from_seq : seq;
        if (found.length === limit) break;
      }
    }
    return found;
  }

  function owed(agent: string, before: number, limit: number): number[] {
    const byPriority = priorities.flatMap((priority) => ready.all(agent, priority, before, limit));
    const byState = others.flatMap((state) => state.all(agent, before, limit));
    return [...byPriority, ...byState].map((row) => row.seq as number);
  }

  return (agent, before, limit) => {
    const queue = owed(agent, before, limit);
    const tail = unacknowledgedTail(agent, before, limit);
    return [...queue, ...tail].sort((a, b) => b - a).slice(0, limit);
  };
}
