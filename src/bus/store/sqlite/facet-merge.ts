import type { DatabaseSync } from 'node:sqlite';
import type { EventFilter } from '../store.ts';

/**
 * Lists by any filter with one index. Events that agree in source, action, status and audience share a facet; a filter
 * picks facets from that small table, and their events are merged, newest first.
 */
export type FacetMerge = {
  facetsFor(filter: EventFilter): number[];
  facetsHeardBy(agent: string, mode?: 'queue' | 'tail'): number[];
  /** The newest `limit` seqs below `before` in any of the facets. */
  newest(facets: readonly number[], before: number, limit: number): number[];
};

export function facetMergeOf(db: DatabaseSync): FacetMerge {
  const bySource = db.prepare(
    'SELECT facet_id FROM facets WHERE source_agent = ?1 AND (?2 IS NULL OR action = ?2) AND (?3 IS NULL OR status = ?3)',
  );
  const byAction = db.prepare('SELECT facet_id FROM facets WHERE action = ?1 AND (?2 IS NULL OR status = ?2)');
  const byStatus = db.prepare('SELECT facet_id FROM facets WHERE status = ?');
  const heard = db.prepare(
    `SELECT f.facet_id FROM audience_members m JOIN facets f USING (audience_id)
     WHERE m.agent = ?1 AND (?2 IS NULL OR m.mode = ?2)`,
  );
  const tops = db.prepare(
    `SELECT value AS facet, (SELECT max(seq) FROM event_log WHERE facet_id = value AND seq < ?2) AS top
     FROM json_each(?1) WHERE top IS NOT NULL ORDER BY top DESC LIMIT ?3`,
  );
  const below = db.prepare(
    'SELECT seq FROM event_log WHERE facet_id = ? AND seq < ? AND seq > ? ORDER BY seq DESC LIMIT ?',
  );
  for (const statement of [bySource, byAction, byStatus, heard, below]) statement.setReturnArrays(true);
  const firstColumn = (rows: unknown) => (rows as [number][]).map((row) => row[0]);

  return {
    facetsFor({ source_agent, action, status }) {
      if (source_agent !== undefined) return firstColumn(bySource.all(source_agent, action ?? null, status ?? null));
      if (action !== undefined) return firstColumn(byAction.all(action, status ?? null));
      return firstColumn(byStatus.all(status ?? null));
    },
    facetsHeardBy: (agent, mode) => firstColumn(heard.all(agent, mode ?? null)),
    newest(facets, before, limit) {
      if (facets.length === 0) return [];
      // The newest n events lie in the n facets whose newest event is newest: each of those brings one at least.
      const best = tops.all(JSON.stringify(facets), before, limit) as { facet: number; top: number }[];
      let merged: number[] = [];
      let floor = best.length === limit ? (best.at(-1) as { top: number }).top - 1 : 0;
      for (const { facet, top } of best) {
        if (top <= floor) break;
        merged = merged.concat(firstColumn(below.all(facet, before, floor, limit)));
        if (merged.length <= limit) continue;
        merged = merged.sort((a, b) => b - a).slice(0, limit);
        floor = Math.max(floor, (merged.at(-1) as number) - 1);
      }
      return merged.sort((a, b) => b - a).slice(0, limit);
    },
  };
}
