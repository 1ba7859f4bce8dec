import { rfc3339 } from '../../../base/clock.ts';
import type { Acknowledged } from '../store.ts';
import { heardOf } from './heard.ts';
import type { Ledger } from './ledger.ts';

/** Agents beyond its hearers that may note one event. Each reader of the event is told all of them. */
const maxNoted = 1000;

/**
 * Notes that an agent has seen an event. Repeating it keeps the first time. A delivery it was owed is settled, and the
 * event is `acknowledged` when no delivery is left; an agent that was owed nothing is simply noted.
 */
export function acknowledgerOf(ledger: Ledger): (id: string, agent: string) => Acknowledged {
  const { db } = ledger;
  const find = db.prepare(
    `SELECT e.seq, f.status, f.audience_id, q.state, m.mode, k.at
     FROM event_log e
     JOIN facets f USING (facet_id)
     LEFT JOIN questions q USING (seq)
     LEFT JOIN audience_members m ON m.agent = ?2 AND m.audience_id = f.audience_id
     LEFT JOIN acknowledgements k ON k.seq = e.seq AND k.agent = ?2
     WHERE e.id = ?1`,
  );
  const note = db.prepare('INSERT INTO acknowledgements (seq, agent, at) VALUES (?, ?, ?)');
  const settle = db.prepare('DELETE FROM deliveries WHERE agent = ? AND seq = ?');
  const left = db.prepare(
    `SELECT 1 FROM audiences a JOIN json_each(a.agents) j JOIN deliveries d ON d.agent = j.value AND d.seq = ?
     WHERE a.audience_id = ? LIMIT 1`,
  );
  const howMany = db.prepare('SELECT count(*) AS n FROM acknowledgements WHERE seq = ?');
  const extendRun = tailRunsOf(ledger);

  return (id, agent) => {
    const row = find.get(id, agent);
    if (!row) return { kind: 'unknown' };
    if (row.at !== null) return { kind: 'acknowledged', at: rfc3339(row.at as number) };
    const seq = row.seq as number;
    if (row.mode === null && (howMany.get(seq)?.n as number) >= maxNoted)
      return { kind: 'noted-by-too-many', limit: maxNoted };
    const now = ledger.clock();
    note.run(seq, agent, now);
    if (settle.run(agent, seq).changes === 1) {
      ledger.committed.openDeliveries -= 1;
      const isPlain = row.state === null && row.status === 'pending';
      if (isPlain && !left.get(seq, row.audience_id as number)) ledger.setStatus(seq, 'acknowledged');
    }
    if (row.mode === 'tail') extendRun(agent, seq);
    return { kind: 'acknowledged', at: rfc3339(now) };
  };
}

/** Adds an acknowledged event to the run it touches, joins two runs it closes the gap between, or starts one. */
function tailRunsOf({ db }: Ledger): (agent: string, seq: number) => void {
  const below = db.prepare(
    'SELECT from_seq, to_seq FROM tail_runs WHERE agent = ? AND to_seq < ? ORDER BY to_seq DESC LIMIT 1',
  );
  const above = db.prepare(
    'SELECT from_seq, to_seq FROM tail_runs WHERE agent = ? AND to_seq > ? ORDER BY to_seq LIMIT 1',
  );
  const remove = db.prepare('DELETE FROM tail_runs WHERE agent = ? AND to_seq = ?');
  const add = db.prepare('INSERT INTO tail_runs (agent, to_seq, from_seq) VALUES (?, ?, ?)');
  const heard = heardOf(db);

  return (agent, seq) => {
    let from = seq;
    let to = seq;
    const before = below.get(agent, seq) as { from_seq: number; to_seq: number } | undefined;
    if (before && heard.noneBetween(agent, before.to_seq, seq)) {
      remove.run(agent, before.to_seq);
      from = before.from_seq;
    }
    const after = above.get(agent, seq) as { from_seq: number; to_seq: number } | undefined;
    if (after && after.from_seq <= seq) return;
    if (after && heard.noneBetween(agent, seq, after.from_seq)) {
      remove.run(agent, after.to_seq);
      to = after.to_seq;
    }
    add.run(agent, to, from);
  };
}
