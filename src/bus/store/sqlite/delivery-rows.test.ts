import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, it, type TestContext } from 'node:test';
import { aFact, aSubscription, minute, tempFolder, testClock } from '../store.fixtures.ts';
import { applicationId } from './database.ts';
import { addFirstEvent, makeFirstDatabase } from './first-database.fixtures.ts';
import { openSqliteStore } from './open.ts';

const clock = testClock();
const whole = { limit: 1000 };

/** A database as the first schema had it, with what is owed of three events. */
function firstSchema(t: TestContext): string {
  const file = join(tempFolder(t), 'events.db');
  const db = new DatabaseSync(file);
  db.exec(readFileSync(new URL('./migrations/0001-bus.sql', import.meta.url), 'utf8'));
  const hearers = [
    ['HADES', 'queue', 1],
    ['HERMES', 'queue', 5],
    ['ATHENA', 'tail', 10],
  ];
  db.prepare('INSERT INTO audiences VALUES (1, ?, ?)').run(
    JSON.stringify(hearers),
    JSON.stringify(hearers.map(([agent]) => agent)),
  );
  for (const [agent, mode] of hearers)
    db.prepare('INSERT INTO audience_members VALUES (?, 1, ?)').run(agent as string, mode as string);
  db.exec("INSERT INTO facets VALUES (1, 'ALOY', 'build_failed', 'pending', 1)");
  for (const seq of [1, 2, 3]) {
    db.prepare('INSERT INTO event_log (seq, id, facet_id, at) VALUES (?, ?, 1, ?)').run(seq, `e${seq}`, clock.now);
    for (const [agent, mode, priority] of hearers)
      if (mode === 'queue' && !(seq === 2 && agent === 'HADES'))
        db.prepare('INSERT INTO deliveries (seq, agent, priority) VALUES (?, ?, ?)').run(
          ...[seq, agent as string, priority as number],
        );
  }
  db.exec(`INSERT INTO acknowledgements VALUES (2, 'HADES', ${clock.now});
    INSERT INTO bus_meta VALUES ('epoch', '0a0b0c0d'), ('head', 3);
    PRAGMA application_id = ${applicationId}; PRAGMA user_version = 1;`);
  db.close();
  return file;
}

describe('a database of the first schema', () => {
  it('keeps what was owed, which may then be claimed under a lease', async (t) => {
    const store = await openSqliteStore({ file: firstSchema(t), clock: clock.read });
    t.after(() => store.close());
    assert.equal((await store.stats()).openDeliveries, 5);
    assert.deepEqual(
      (await store.inbox('HADES', true, whole)).events.map((e) => e.id),
      ['e3', 'e1'],
    );
    const hades = await store.claim('HADES', { max: 9, leaseMs: minute });
    assert.deepEqual(
      hades.map((d) => [d.event.id, d.priority, d.attempt]),
      [
        ['e1', 1, 1],
        ['e3', 1, 1],
      ],
    );
    await store.acknowledge('e2', 'HERMES');
    const event = await store.event('e2');
    assert.deepEqual([event?.status, event?.deliver_at], ['acknowledged', null]);
    assert.equal((await store.publish(aFact())).kind, 'stored');
  });
});

describe('the view of what is owed', () => {
  it('shows each delivery with its state', async (t) => {
    const file = join(tempFolder(t), 'events.db');
    const store = await openSqliteStore({ file, clock: clock.read });
    await store.addSubscription(aSubscription({ action_pattern: 'a' }), 'operator');
    for (const id of ['dead', 'put-off', 'leased', 'ready']) await store.publish(aFact({ action: 'a', id }));
    const held = await store.claim('ARTEMIS', { max: 3, leaseMs: minute });
    const lease = held[0]?.lease as string;
    await store.nack('ARTEMIS', held[0]?.id as string, lease, { delayMs: 0, reason: 'no', dead: true });
    await store.nack('ARTEMIS', held[1]?.id as string, lease, { delayMs: 2 * minute, reason: 'later', dead: false });
    await store.close();
    const db = new DatabaseSync(file, { readOnly: true });
    t.after(() => db.close());
    const rows = db.prepare("SELECT * FROM deliveries WHERE agent = 'ARTEMIS' ORDER BY seq").all();
    const owed = { agent: 'ARTEMIS', priority: 5, until: null, reason: null, error: null };
    assert.deepEqual(
      rows.map((row) => ({ ...row })),
      [
        { ...owed, event_id: 'dead', seq: 1, state: 'dead', attempts: 1, reason: 'rejected', error: 'no' },
        { ...owed, event_id: 'put-off', seq: 2, state: 'deferred', attempts: 1, until: '2026-01-16T10:32:00.000Z' },
        { ...owed, event_id: 'leased', seq: 3, state: 'leased', attempts: 1, until: '2026-01-16T10:31:00.000Z' },
        { ...owed, event_id: 'ready', seq: 4, state: 'ready', attempts: 0 },
      ],
    );
  });

  it('takes its name from a table of the owner, which is renamed', async (t) => {
    const file = join(tempFolder(t), 'events.db');
    makeFirstDatabase(file, (db) => {
      db.exec("CREATE TABLE deliveries (parcel TEXT); INSERT INTO deliveries VALUES ('a parcel')");
      addFirstEvent(db, { id: 'e1', source_agent: 'A', action: 'a', timestamp: '2026-01-16 09:00:00' });
    });
    const store = await openSqliteStore({ file, clock: clock.read });
    assert.match(store.notices.join(' '), /tables deliveries are now called own_deliveries/);
    await store.close();
    const db = new DatabaseSync(file, { readOnly: true });
    t.after(() => db.close());
    assert.equal(db.prepare('SELECT parcel FROM own_deliveries').get()?.parcel, 'a parcel');
  });
});
