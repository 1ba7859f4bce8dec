import assert from 'node:assert/strict';
import { DatabaseSync } from 'node:sqlite';
import { verifyFile } from '../../src/bus/store/sqlite/verify-file.ts';
import { call } from './call.ts';
import type { Draft, Promises } from './fleet.ts';

const inParallel = 16;

/** How many of each promise have been checked over HTTP; a crash must not undo what an earlier round has seen. */
export type Checked = { published: number; acknowledged: number; resolved: number };

/** Asks the bus, over HTTP, for everything it promised since the last time. */
export async function auditOverHttp(url: string, promises: Promises, checked: Checked): Promise<Checked> {
  const { published, acknowledged, resolved, refused } = promises;
  assert.deepEqual(refused, [], 'the bus refused what it should have done');
  const events = new Map<string, Record<string, unknown>>();
  const ids = new Set([
    ...published.slice(checked.published).map(({ id }) => id),
    ...acknowledged.slice(checked.acknowledged).map(({ id }) => id),
    ...resolved.slice(checked.resolved).map(({ id }) => id),
  ]);
  await eachInParallel([...ids], async (id) => {
    const reply = await call(url, 'GET', `/events/${id}`);
    assert.equal(reply?.status, 200, `${id} was acknowledged and is gone: ${JSON.stringify(reply)}`);
    events.set(id, reply.body as Record<string, unknown>);
  });
  for (const { id, draft } of published.slice(checked.published)) sameContent(events.get(id), draft);
  for (const { id, agent } of acknowledged.slice(checked.acknowledged)) {
    const by = events.get(id)?.acknowledged_by as Record<string, string>;
    assert.ok(by[agent], `${agent}'s acknowledgement of ${id} is gone`);
  }
  for (const { id, state, response, by } of resolved.slice(checked.resolved)) {
    const event = events.get(id);
    assert.equal(event?.human_state, state, `${id} was ${state} and is now ${event?.human_state}`);
    assert.equal(event?.human_response, response, `the answer to ${id} has changed`);
    if (state === 'answered') assert.equal(event?.human_responded_by, by, `who answered ${id} has changed`);
  }
  return { published: published.length, acknowledged: acknowledged.length, resolved: resolved.length };
}

/** An event has everything that was sent, unchanged. */
export function sameContent(event: Record<string, unknown> | undefined, draft: Draft): void {
  for (const [field, sent] of Object.entries(draft))
    assert.deepEqual(event?.[field], sent, `${field} of ${String(event?.id)} is not what was sent`);
}

/** Reads the file of a bus that has stopped, and holds it against everything that was ever promised. */
export function auditFile(file: string, { published, acknowledged, resolved }: Promises): string {
  const db = new DatabaseSync(file, { readOnly: true });
  try {
    const one = (sql: string) => db.prepare(sql).get() as Record<string, unknown>;
    assert.deepEqual({ ...one('PRAGMA integrity_check') }, { integrity_check: 'ok' });
    const { n, first, last } = one('SELECT count(*) AS n, min(seq) AS first, max(seq) AS last FROM event_log');
    assert.deepEqual({ first, last }, { first: 1, last: n }, 'seq has a gap');
    const chain = verifyFile({ file, checkpoints: [], keys: [], trustsOwnKeys: true, progress: () => undefined });
    assert.deepEqual(chain.findings, [], 'the audit chain does not hold');
    const event = db.prepare(
      `SELECT e.seq, e.target, f.source_agent, f.action, e.details FROM event_log e JOIN facets f USING (facet_id) WHERE e.id = ?`,
    );
    for (const { id, bookmark, draft } of published) {
      const row = event.get(id) as Record<string, unknown> | undefined;
      assert.ok(row, `${id} was acknowledged and is not in the file`);
      assert.equal(row.seq, Number(bookmark.split('.')[1]), `${id} does not stand where its receipt says`);
      const { source_agent, action, target, details } = draft;
      const stored = { ...row, seq: undefined, details: JSON.parse(row.details as string) };
      assert.deepEqual(stored, { source_agent, action, target, details, seq: undefined });
    }
    const acknowledgement = db.prepare(
      'SELECT 1 FROM acknowledgements k JOIN event_log e USING (seq) WHERE e.id = ? AND k.agent = ?',
    );
    const heard = db.prepare('SELECT acknowledged_by FROM events WHERE id = ?');
    for (const { id, agent } of acknowledged)
      assert.ok(acknowledgement.get(id, agent) ?? inView(heard.get(id), agent), `${agent}'s acknowledgement of ${id}`);
    const question = db.prepare(
      'SELECT q.state, q.response FROM questions q JOIN event_log e USING (seq) WHERE e.id = ?',
    );
    for (const { id, state, response } of resolved)
      assert.deepEqual({ ...question.get(id) }, { state, response }, `the end of ${id} has changed`);
    return `${n} events, ${auditResolutions(db)}, ${auditDeliveries(db)}`;
  } finally {
    db.close();
  }
}

/** What is owed to a queue lies in exactly one place, or is acknowledged: nothing is lost, and nothing is owed twice. */
function auditDeliveries(db: DatabaseSync): string {
  const places = db.prepare(
    `SELECT e.id, m.agent, count(d.state) AS n,
       (SELECT count(*) FROM acknowledgements k WHERE k.seq = e.seq AND k.agent = m.agent) AS acknowledged
     FROM event_log e JOIN facets f USING (facet_id)
     JOIN audience_members m ON m.audience_id = f.audience_id AND m.mode = 'queue'
     LEFT JOIN deliveries d ON d.seq = e.seq AND d.agent = m.agent
     GROUP BY e.seq, m.agent HAVING n + acknowledged <> 1`,
  );
  assert.deepEqual(places.all(), [], 'a delivery is lost, or owed twice');
  const states = db.prepare('SELECT state, count(*) AS n FROM deliveries GROUP BY state').all();
  return `deliveries ${JSON.stringify(Object.fromEntries(states.map(({ state, n }) => [state, n])))}`;
}

function inView(row: Record<string, unknown> | undefined, agent: string): boolean {
  return agent in JSON.parse((row?.acknowledged_by as string | undefined) ?? '{}');
}

const actionOf: Record<string, string | null> = {
  answered: 'human_responded',
  timed_out: 'human_timed_out',
  cancelled: 'human_cancelled',
  open: null,
};

/** Each question has exactly one event that ends it once it has ended, the right one, and none before. */
function auditResolutions(db: DatabaseSync): string {
  const rows = db
    .prepare(
      `SELECT e.id, q.state, count(r.seq) AS n, min(rf.action) AS action
       FROM questions q JOIN event_log e USING (seq)
       LEFT JOIN (event_log r JOIN facets rf ON rf.facet_id = r.facet_id
           AND rf.action IN ('human_responded', 'human_timed_out', 'human_cancelled'))
         ON r.causation_id = e.id
       WHERE q.state IS NOT NULL GROUP BY e.id`,
    )
    .all() as { id: string; state: string; n: number; action: string | null }[];
  const states: Record<string, number> = {};
  for (const { id, state, n, action } of rows) {
    assert.equal(n, state === 'open' ? 0 : 1, `${id} is ${state} and has ${n} resolutions`);
    assert.equal(action, actionOf[state], `${id} is ${state} and its resolution says ${action}`);
    states[state] = (states[state] ?? 0) + 1;
  }
  return `questions ${JSON.stringify(states)}`;
}

async function eachInParallel<T>(items: readonly T[], job: (item: T) => Promise<void>): Promise<void> {
  const queue = [...items];
  const worker = async () => {
    for (let item = queue.pop(); item !== undefined; item = queue.pop()) await job(item);
  };
  await Promise.all(Array.from({ length: inParallel }, worker));
}
