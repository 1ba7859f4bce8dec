import type { DatabaseSync } from 'node:sqlite';
import type { Status } from '../../../events/event.ts';
import type { Hearer } from '../../../events/subscription.ts';

/** Those who hear an event, as the tables know them. */
export type Audience = {
  id: number;
  /** As it is stored: `[[agent, mode, priority], …]`. */
  hearers: string;
  agents: readonly string[];
  queues: readonly { agent: string; priority: number }[];
};

export type Facet = { source: string; action: string; status: Status; audienceId: number };

/** Remembered rows beyond this are forgotten and looked up again. */
const maxRemembered = 20_000;

/**
 * Finds or makes the rows that events share. What it remembers may belong to a transaction that is rolled back:
 * call `forget` then.
 */
export type Interning = {
  audience(hearers: readonly Hearer[]): Audience;
  /** One that is stored. */
  audienceById(id: number): Audience;
  facet(facet: Facet): number;
  forget(): void;
};

export function interningOf(db: DatabaseSync): Interning {
  const findAudience = db.prepare('SELECT audience_id FROM audiences WHERE hearers = ?');
  const addAudience = db.prepare('INSERT INTO audiences (hearers, agents) VALUES (?, ?) RETURNING audience_id');
  const addMember = db.prepare('INSERT INTO audience_members (agent, audience_id, mode) VALUES (?, ?, ?)');
  const findFacet = db.prepare(
    'SELECT facet_id FROM facets WHERE source_agent = ? AND action = ? AND status = ? AND audience_id = ?',
  );
  const addFacet = db.prepare(
    'INSERT INTO facets (source_agent, action, status, audience_id) VALUES (?, ?, ?, ?) RETURNING facet_id',
  );
  const readAudience = db.prepare('SELECT hearers, agents FROM audiences WHERE audience_id = ?');
  const audiences = new Map<readonly Hearer[], Audience>();
  const byId = new Map<number, Audience>();
  const facets = new Map<string, number>();

  return {
    audience(hearers) {
      const known = audiences.get(hearers);
      if (known) return known;
      const key = JSON.stringify(hearers.map((h) => [h.agent, h.mode, h.priority]));
      const agents = hearers.map((h) => h.agent);
      let id = findAudience.get(key)?.audience_id as number | undefined;
      if (id === undefined) {
        id = addAudience.get(key, JSON.stringify(agents))?.audience_id as number;
        for (const h of hearers) addMember.run(h.agent, id, h.mode);
      }
      const queues = hearers.filter((h) => h.mode === 'queue').map(({ agent, priority }) => ({ agent, priority }));
      const audience = { id, hearers: key, agents, queues };
      if (audiences.size >= maxRemembered) audiences.clear();
      audiences.set(hearers, audience);
      return audience;
    },
    audienceById(id) {
      const known = byId.get(id);
      if (known) return known;
      const row = readAudience.get(id) as { hearers: string; agents: string };
      const hearers = JSON.parse(row.hearers) as [agent: string, mode: string, priority: number][];
      const queues = hearers.filter(([, mode]) => mode === 'queue').map(([agent, , priority]) => ({ agent, priority }));
      const audience = { id, hearers: row.hearers, agents: JSON.parse(row.agents) as string[], queues };
      if (byId.size >= maxRemembered) byId.clear();
      byId.set(id, audience);
      return audience;
    },
    facet({ source, action, status, audienceId }) {
      // Names hold no control characters, so NUL keeps them apart.
      const key = `${source}\0${action}\0${status}\0${audienceId}`;
      const known = facets.get(key);
      if (known !== undefined) return known;
      const found =
        findFacet.get(source, action, status, audienceId) ?? addFacet.get(source, action, status, audienceId);
      const id = found?.facet_id as number;
      if (facets.size >= maxRemembered) facets.clear();
      facets.set(key, id);
      return id;
    },
    forget() {
      audiences.clear();
      byId.clear();
      facets.clear();
    },
  };
}
