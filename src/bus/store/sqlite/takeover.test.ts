import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, it, type TestContext } from 'node:test';
import { Fault } from '../../../base/fault.ts';
import { anAnswer, tempFolder, testClock } from '../store.fixtures.ts';
import type { Store } from '../store.ts';
import { addFirstEvent, makeFirstDatabase } from './first-database.fixtures.ts';
import { openSqliteStore } from './open.ts';
import { verify } from './verify-file.fixtures.ts';

const whole = { limit: 1000 };
const clock = testClock();

async function takeOver(t: TestContext, fill: (db: DatabaseSync) => void, starts = 1) {
  const folder = tempFolder(t);
  const file = join(folder, 'events.db');
  makeFirstDatabase(file, fill, starts);
  const store: Store = await openSqliteStore({ file, clock: clock.read });
  t.after(() => store.close());
  assert.deepEqual(verify(file).findings, [], 'what was taken over is chained');
  return { store, file, folder };
}

function fill(db: DatabaseSync): void {
  const time = '2026-01-16 09:00:00';
  const base = { source_agent: 'AEGIS', timestamp: time, created_at: time, updated_at: time };
  addFirstEvent(db, {
    ...base,
    id: 'e1',
    action: 'credential_rotated',
    target: 'stripe',
    details: '{"by": "damon", "n": 1.5}',
    source_workflow_id: 'w1',
    source_execution_id: 'x1',
    subscribed_agents: '["AEGIS", "ATHENA"]',
    acknowledged_by: '{"ATHENA": "2026-01-16T09:05:00.123456"}',
  });
  addFirstEvent(db, { ...base, id: 'e2', action: 'same_second', subscribed_agents: '["ATHENA"]' });
  addFirstEvent(db, { ...base, id: 'e3', action: 'broken', details: '{"x": NaN}', subscribed_agents: '["ATHENA"]' });
  const asks = {
    ...base,
    action: 'deploy_confirm',
    requires_human: 1,
    human_question: 'Deploy?',
    human_options: '["yes", "no"]',
  };
  addFirstEvent(db, {
    ...asks,
    id: 'q1',
    human_response: 'anything at all',
    human_responded_at: '2026-01-16 09:10:00',
    status: 'completed',
    human_notified: 1,
  });
  addFirstEvent(db, { ...asks, id: 'q2', human_timeout_minutes: 30, human_fallback: 'no' });
  addFirstEvent(db, { ...asks, id: 'q3' });
}

describe('taking over a database of the first implementation', () => {
  it('brings every event with every field, in the order of its rows within a second', async (t) => {
    const { store } = await takeOver(t, fill);
    const { events } = await store.events({}, whole);
    assert.deepEqual(
      events.map((e) => e.id),
      ['q3', 'q2', 'q1', 'e3', 'e2', 'e1'],
    );
    const first = await store.event('e1');
    assert.deepEqual(
      {
        timestamp: first?.timestamp,
        source: first?.source_agent,
        action: first?.action,
        target: first?.target,
        details: first?.details,
        workflow: first?.source_workflow_id,
        execution: first?.source_execution_id,
        hears: first?.subscribed_agents,
        status: first?.status,
        acknowledged: first?.acknowledged_by,
      },
      {
        timestamp: '2026-01-16T09:00:00.000Z',
        source: 'AEGIS',
        action: 'credential_rotated',
        target: 'stripe',
        details: { by: 'damon', n: 1.5 },
        workflow: 'w1',
        execution: 'x1',
        hears: ['AEGIS', 'ATHENA'],
        status: 'pending',
        acknowledged: { ATHENA: new Date('2026-01-16T09:05:00.123').toISOString() },
      },
    );
  });

  it('numbers events by their time, whatever the order of their rows', async (t) => {
    const { store } = await takeOver(t, (db) => {
      for (const [id, time] of [
        ['third', '2026-01-16 09:00:02'],
        ['first', '2025-12-31 23:59:59'],
        ['second', '2026-01-16 09:00:01'],
        ['second too', '2026-01-16 09:00:01'],
      ] as const)
        addFirstEvent(db, { source_agent: 'A', action: 'a', id, timestamp: time });
    });
    const { events } = await store.events({}, whole);
    assert.deepEqual(
      events.map((e) => e.id),
      ['third', 'second too', 'second', 'first'],
    );
  });

  const ends: [status: string, response: string | null, state: string][] = [
    ['pending', null, 'open'],
    ['acknowledged', null, 'open'],
    ['completed', null, 'answered'],
    ['timeout', null, 'timed_out'],
    ['failed', null, 'cancelled'],
    ['timeout', 'yes', 'answered'],
  ];
  for (const [status, human_response, state] of ends)
    it(`takes a question of status ${status} with ${human_response ?? 'no'} answer for ${state}`, async (t) => {
      const asks = { source_agent: 'A', action: 'ask', requires_human: 1, id: 'q' };
      const { store } = await takeOver(t, (db) => addFirstEvent(db, { ...asks, status, human_response }));
      const event = await store.event('q');
      assert.deepEqual([event?.status, event?.human_state, event?.human_response], [status, state, human_response]);
      assert.equal((await store.stats()).openQuestions, state === 'open' ? 1 : 0);
    });

  it('keeps the times an event was made and changed, as they were', async (t) => {
    const add = (db: DatabaseSync) => {
      const made = {
        source_agent: 'A',
        action: 'a',
        timestamp: '2025-01-01 10:00:00',
        subscribed_agents: '["ATHENA"]',
      };
      addFirstEvent(db, { ...made, id: 't1', created_at: '2025-01-01 10:00:05', updated_at: '2025-03-01 10:00:00' });
      addFirstEvent(db, { ...made, id: 't2', created_at: null, updated_at: null });
    };
    const { store, file } = await takeOver(t, add);
    const db = new DatabaseSync(file, { readOnly: true });
    t.after(() => db.close());
    const view = db.prepare('SELECT created_at, updated_at FROM events WHERE id = ?');
    for (const [id, created_at, updated_at] of [
      ['t1', '2025-01-01T10:00:05.000Z', '2025-03-01T10:00:00.000Z'],
      ['t2', '2025-01-01T10:00:00.000Z', '2025-01-01T10:00:00.000Z'],
    ] as const) {
      const event = await store.event(id);
      assert.deepEqual([event?.created_at, event?.updated_at], [created_at, updated_at]);
      assert.deepEqual({ ...view.get(id) }, { created_at, updated_at });
    }
    await store.acknowledge('t1', 'ATHENA');
    assert.equal((await store.event('t1'))?.updated_at, new Date(clock.now).toISOString());
  });

  it('keeps as text what no reader could ever parse', async (t) => {
    const { store } = await takeOver(t, fill);
    assert.deepEqual((await store.event('e3'))?.details, { unparsed: '{"x": NaN}' });
  });

  it('keeps answers, shows what is unacknowledged, and owes no old work to anybody', async (t) => {
    const { store } = await takeOver(t, fill);
    const answered = await store.event('q1');
    assert.deepEqual(
      [answered?.human_state, answered?.human_response, answered?.human_responded_at, answered?.human_notified],
      ['answered', 'anything at all', '2026-01-16T09:10:00.000Z', true],
    );
    assert.deepEqual(
      (await store.inbox('ATHENA', true, whole)).events.map((e) => e.id),
      ['e3', 'e2'],
    );
    assert.deepEqual(
      (await store.inbox('ATHENA', false, whole)).events.map((e) => e.id),
      ['e3', 'e2', 'e1'],
    );
    assert.equal((await store.stats()).openDeliveries, 0);
  });

  it('applies at last the timeouts that were never applied, and lets open questions be answered', async (t) => {
    const { store } = await takeOver(t, fill);
    assert.deepEqual(
      (await store.pending(whole)).pending.map((q) => q.id),
      ['q2', 'q3'],
    );
    await store.sweep();
    const timedOut = await store.event('q2');
    assert.deepEqual([timedOut?.status, timedOut?.human_response], ['timeout', 'no']);
    assert.equal((await store.answer('q3', anAnswer())).kind, 'answered');
  });

  it('joins subscriptions that were doubled at each start, and respects what was edited and deleted', async (t) => {
    const edit = (db: DatabaseSync) => {
      db.exec(`DELETE FROM agent_subscriptions WHERE agent_name = 'HADES' AND action_pattern = '*_failed';
        UPDATE agent_subscriptions SET enabled = 0 WHERE agent_name = 'ALOY';
        UPDATE agent_subscriptions SET priority = 4 WHERE agent_name = 'ARGUS' AND action_pattern = 'health_*';
        INSERT INTO agent_subscriptions (agent_name, action_pattern, priority) VALUES ('CROESUS', 'tax_*', 99);
        INSERT INTO agent_subscriptions (agent_name, action_pattern, enabled) VALUES ('MUTE', 'a', NULL), ('MUTE', 'b', 'false'), ('LIKE', 'foo%', 1);`);
    };
    const { store } = await takeOver(t, edit, 3);
    const all = await store.subscriptions({ deleted: true });
    const find = (agent: string, pattern: string) =>
      all.find((s) => s.agent_name === agent && s.action_pattern === pattern);
    assert.equal(new Set(all.map((s) => `${s.agent_name} ${s.action_pattern}`)).size, all.length);
    assert.notEqual(find('HADES', '*_failed')?.deleted_at, null);
    assert.equal(find('ALOY', 'config_changed')?.enabled, false);
    assert.equal(find('ARGUS', 'health_*')?.priority, 4);
    assert.equal(find('ARGUS', 'health_*')?.mode, 'tail');
    assert.equal(find('CROESUS', 'tax_*')?.priority, 10);
    assert.equal(find('CROESUS', 'tax_*')?.enabled, true);
    for (const pattern of ['a', 'b']) assert.equal(find('MUTE', pattern)?.enabled, false, pattern);
    assert.equal(find('HERMES', 'bus_restored')?.origin, 'default');
    assert.match(store.notices.join(' '), /only \* does now: LIKE foo%\./);
    assert.match(store.notices.join(' '), /35 doubles of them dropped|doubles of them dropped/);
  });

  it('keeps the old file whole beside it, and does all this once', async (t) => {
    const { store, file, folder } = await takeOver(t, fill);
    await store.close();
    const aside = readdirSync(folder).find((name) => name.includes('.first-2026-01-16'));
    assert.ok(aside);
    const old = new DatabaseSync(join(folder, aside), { readOnly: true });
    assert.equal(old.prepare('SELECT count(*) AS n FROM events').get()?.n, 6);
    assert.equal(old.prepare('PRAGMA integrity_check').get()?.integrity_check, 'ok');
    old.close();
    const again = await openSqliteStore({ file, clock: clock.read });
    assert.deepEqual(again.notices, []);
    assert.equal((await again.stats()).head, 6);
    await again.sweep();
    await again.close();
    assert.deepEqual(verify(file).findings, [], 'and what follows is chained to it');
    assert.equal(readdirSync(folder).filter((name) => name.includes('.first-')).length, 1);
  });

  it('takes nothing over while the first implementation still writes, and does so once it has stopped', async (t) => {
    const folder = tempFolder(t);
    const file = join(folder, 'events.db');
    makeFirstDatabase(file, fill);
    const first = new DatabaseSync(file, { timeout: 5000 });
    const opening = openSqliteStore({ file, clock: clock.read });
    // The copy is under way now; whether this row is still in it is a matter of luck.
    addFirstEvent(first, { source_agent: 'A', action: 'at_the_last_moment', id: 'last' });
    await assert.rejects(opening, (error) => {
      assert.ok(error instanceof Fault && error.code === 'locked');
      assert.match(error.message, /still writing/);
      return true;
    });
    assert.equal(first.prepare('SELECT count(*) AS n FROM events').get()?.n, 7, 'it goes on as before');
    first.close();
    assert.deepEqual(readdirSync(folder), ['events.db']);
    const store = await openSqliteStore({ file, clock: clock.read });
    t.after(() => store.close());
    assert.equal((await store.event('last'))?.action, 'at_the_last_moment');
  });

  it('leaves the old file as it was when a row cannot be carried over', async (t) => {
    const folder = tempFolder(t);
    const file = join(folder, 'events.db');
    makeFirstDatabase(file, (db) => {
      fill(db);
      db.exec('CREATE VIEW event_log AS SELECT 1 AS mine');
    });
    await assert.rejects(openSqliteStore({ file, clock: clock.read }));
    const db = new DatabaseSync(file, { readOnly: true });
    assert.equal(db.prepare('SELECT count(*) AS n FROM events').get()?.n, 6);
    db.close();
    assert.deepEqual(readdirSync(folder), ['events.db'], 'and leaves no copy behind at each failed start');
  });

  it('keeps the owner’s own tables and views, renaming a table whose name it needs', async (t) => {
    const { store, file } = await takeOver(t, (db) => {
      fill(db);
      db.exec(`CREATE VIEW my_rotations AS SELECT id FROM events WHERE action = 'credential_rotated';
        CREATE VIEW broken_before AS SELECT x FROM nowhere;
        CREATE TABLE questions (mine TEXT); INSERT INTO questions VALUES ('kept');
        ALTER TABLE events ADD COLUMN mine INTEGER; UPDATE events SET mine = 9223372036854775807;`);
    });
    const db = new DatabaseSync(file, { readOnly: true });
    t.after(() => db.close());
    assert.equal(db.prepare('SELECT id FROM my_rotations').get()?.id, 'e1');
    assert.equal(db.prepare('SELECT mine FROM own_questions').get()?.mine, 'kept');
    assert.match(store.notices.join(' '), /own_questions/);
  });

  it('reads what nobody could: numbers of 20 digits, timeouts of a million years, ids that are paths', async (t) => {
    const asks = { source_agent: 'A', action: 'ask', requires_human: 1 };
    const { store } = await takeOver(t, (db) => {
      addFirstEvent(db, {
        source_agent: 'A',
        action: 'big',
        id: 'n',
        details: '{"n":12345678901234567890,"f":1.5,"e":1e400}',
      });
      addFirstEvent(db, { ...asks, id: 'long', human_timeout_minutes: '99999999999999' });
      db.exec("UPDATE events SET human_timeout_minutes = 9007199254740993 WHERE id = 'long'");
      addFirstEvent(db, { ...asks, id: 'huge', human_timeout_minutes: 1e300 });
      addFirstEvent(db, { ...asks, id: 'past', human_timeout_minutes: -1e15 });
      addFirstEvent(db, { ...asks, id: 'pending', human_timeout_minutes: '' });
    });
    assert.deepEqual((await store.event('n'))?.details, { n: '12345678901234567890', f: 1.5, e: '1e400' });
    await store.sweep();
    const open = (await store.pending(whole)).pending;
    assert.deepEqual(open.map((q) => [q.id, q.timeout_at]).sort(), [
      ['huge', null],
      ['long', null],
      ['past', null],
      ['pending', null],
    ]);
    assert.equal((await store.answer('pending', anAnswer())).kind, 'answered');
  });

  it('takes only the options of a question that is still open', async (t) => {
    const { store } = await takeOver(t, fill);
    assert.equal((await store.answer('q3', anAnswer({ response: 'banana' }))).kind, 'not-an-option');
  });

  it('takes over a table without rowids', async (t) => {
    const { store } = await takeOver(t, (db) => {
      db.exec(`DROP TABLE events; CREATE TABLE events (id TEXT PRIMARY KEY, timestamp TEXT, source_agent TEXT, action TEXT,
        details TEXT, acknowledged_by TEXT, status TEXT) WITHOUT ROWID;
        INSERT INTO events VALUES ('only', '2026-01-01 00:00:00', 'A', 'x', '{}', '{}', 'pending')`);
    });
    assert.deepEqual((await store.event('only'))?.details, {});
  });

  it('shows the same through the names that people read with the sqlite3 shell', async (t) => {
    const { store, file } = await takeOver(t, fill);
    const db = new DatabaseSync(file, { readOnly: true });
    t.after(() => db.close());
    const columns = `id, timestamp, source_agent, source_workflow_id, source_execution_id, action, target, details,
      requires_human, human_question, human_options, human_timeout_minutes, human_fallback, human_response,
      human_responded_at, human_notified, subscribed_agents, acknowledged_by, status, created_at, updated_at`;
    const rows = db.prepare(`SELECT ${columns} FROM events`).all();
    assert.equal(rows.length, 6);
    for (const row of rows) {
      const event = await store.event(row.id as string);
      for (const [name, value] of Object.entries(row)) {
        const shown = event?.[name as 'id'] as unknown;
        const expected =
          typeof shown === 'boolean'
            ? Number(shown)
            : shown !== null && typeof shown === 'object'
              ? JSON.stringify(shown)
              : shown;
        assert.equal(value, expected, `${row.id}.${name}`);
      }
    }
    const pending = db.prepare('SELECT * FROM pending_human_requests').all();
    assert.deepEqual(
      pending.map((p) => [p.id, p.timeout_at, p.human_options]),
      [
        ['q2', '2026-01-16T09:30:00.000Z', '["yes","no"]'],
        ['q3', null, '["yes","no"]'],
      ],
    );
    const recent = db.prepare('SELECT id, requires_human, human_response FROM recent_events').all();
    assert.deepEqual(
      recent[2],
      Object.assign(Object.create(null), { id: 'q1', requires_human: 1, human_response: 'anything at all' }),
    );
  });
});
