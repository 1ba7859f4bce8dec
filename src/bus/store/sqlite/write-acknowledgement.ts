import { rfc3339 } from '../../../base/clock.ts';
import type { Status } from '../../../events/event.ts';
import type { Acknowledged } from '../store.ts';
import type { DeliveryKey } from './commands.ts';
import type { DeliveryRows } from './delivery-rows.ts';
import { heardOf } from './heard.ts';
import type { Ledger } from './ledger.ts';

/** Agents beyond its hearers that may note one event. Each reader of the event is told all of them. */
const maxNoted = 1000;

/** Who has taken note of what. */
export type Acknowledger = {
  /**
   * Notes that an agent has seen an event. Repeating it keeps the first time. A delivery it was owed is settled, whoever
   * holds it, and the event is `acknowledged` when no delivery is left; an agent that was owed nothing is simply noted.
   */
  acknowledge(id: string, agent: string): Acknowledged;
  /** Settles a delivery that its holder acknowledges under this lease. */
  settle(agent: string, key: DeliveryKey, at: number, lease: number): void;
  /** What was noted of this agent and event before. */
  before(agent: string, seq: number): { at: number; lease: number | null } | undefined;
};

type Plain = { seq: number; status: Status; audience_id: number; state: string | null };

export function acknowledgerOf(ledger: Ledger, rows: DeliveryRows): Acknowledger {
  const { db, interning } = ledger;
  const find = db.prepare(
    `SELECT e.seq, f.status, f.audience_id, q.state, m.mode, k.at
     FROM event_log e
     JOIN facets f USING (facet_id)
     LEFT JOIN questions q USING (seq)
     LEFT JOIN audience_members m ON m.agent = ?2 AND m.audience_id = f.audience_id
     LEFT JOIN acknowledgements k ON k.seq = e.seq AND k.agent = ?2
     WHERE e.id = ?1`,
  );
  const bySeq = db.prepare(
    `SELECT e.seq, f.status, f.audience_id, q.state
     FROM event_log e JOIN facets f USING (facet_id) LEFT JOIN questions q USING (seq) WHERE e.seq = ?`,
  );
  const note = db.prepare('INSERT INTO acknowledgements (seq, agent, at, lease) VALUES (?, ?, ?, ?)');
  const noted = db.prepare('SELECT at, lease FROM acknowledgements WHERE seq = ? AND agent = ?');
  const howMany = db.prepare('SELECT count(*) AS n FROM acknowledgements WHERE seq = ?');
  const extendRun = tailRunsOf(ledger);

  function settle({ seq, status, audience_id, state }: Plain, agent: string, priority: number): void {
    const was = rows.settle(agent, { seq, priority });
    // An event with a dead letter stays failed, whatever its other hearers do.
    const mayMove = state === null && (was === 'dead' ? status === 'failed' : was === 'owed' && status === 'pending');
    if (!mayMove) return;
    const now = rows.statusBy(interning.audienceById(audience_id), seq, was === 'dead');
    if (now !== status) ledger.setStatus(seq, now);
  }

  return {
    acknowledge(id, agent) {
      const row = find.get(id, agent) as (Plain & { mode: string | null; at: number | null }) | undefined;
      if (!row) return { kind: 'unknown' };
      if (row.at !== null) return { kind: 'acknowledged', at: rfc3339(row.at) };
      const { seq } = row;
      if (row.mode === null && (howMany.get(seq)?.n as number) >= maxNoted)
        return { kind: 'noted-by-too-many', limit: maxNoted };
      const now = ledger.clock();
      note.run(seq, agent, now, null);
      const queue = interning.audienceById(row.audience_id).queues.find((each) => each.agent === agent);
      if (queue) settle(row, agent, queue.priority);
      if (row.mode === 'tail') extendRun(agent, seq);
      return { kind: 'acknowledged', at: rfc3339(now) };
    },
    settle(agent, { seq, priority }, at, lease) {
      note.run(seq, agent, at, lease);
      settle(bySeq.get(seq) as Plain, agent, priority);
    },
    before: (agent, seq) => noted.get(seq, agent) as { at: number; lease: number | null } | undefined,
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
