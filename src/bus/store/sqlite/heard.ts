import type { DatabaseSync } from 'node:sqlite';

/** What an agent hears by tail, found through the facets of the audiences it belongs to. */
export type Heard = {
  /** Whether the agent heard nothing by tail between the two, both excluded. */
  noneBetween(agent: string, after: number, before: number): boolean;
};

/** Neighbours this close are looked at one by one, which for an agent that hears everything is one step. */
const nearby = 16;

export function heardOf(db: DatabaseSync): Heard {
  const hears = db.prepare(
    `SELECT 1 FROM event_log e JOIN facets f USING (facet_id)
     JOIN audience_members m ON m.agent = ? AND m.audience_id = f.audience_id AND m.mode = 'tail'
     WHERE e.seq > ? AND e.seq < ? LIMIT 1`,
  );
  const hearsByFacet = db.prepare(
    `SELECT 1 FROM audience_members m JOIN facets f USING (audience_id)
     WHERE m.agent = ?1 AND m.mode = 'tail'
       AND EXISTS (SELECT 1 FROM event_log e WHERE e.facet_id = f.facet_id AND e.seq > ?2 AND e.seq < ?3) LIMIT 1`,
  );
  return {
    noneBetween(agent, after, before) {
      if (before - after <= 1) return true;
      if (before - after <= nearby) return hears.get(agent, after, before) === undefined;
      if (hears.get(agent, after, after + nearby) !== undefined) return false;
      return hearsByFacet.get(agent, after, before) === undefined;
    },
  };
}
