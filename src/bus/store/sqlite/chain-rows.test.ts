import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, it, type TestContext } from 'node:test';
import { aFact, stored, tempFolder, testClock } from '../store.fixtures.ts';
import { openSqliteStore } from './open.ts';
import { verify } from './verify-file.fixtures.ts';

/** A file as the first schema left it: events, and no hash. */
function ofSchemaOne(t: TestContext, events: number): string {
  const file = join(tempFolder(t), 'events.db');
  const db = new DatabaseSync(file);
  db.exec(readFileSync(new URL('./migrations/0001-bus.sql', import.meta.url), 'utf8'));
  db.exec(`PRAGMA application_id = ${0x4c455642}; PRAGMA user_version = 1;
    INSERT INTO bus_meta VALUES ('epoch', '0123abcd'), ('head', ${events});
    INSERT INTO audiences VALUES (1, '[["A","tail",1]]', '["A"]');
    INSERT INTO facets VALUES (1, 'ME', 'happened', 'pending', 1);
    INSERT INTO event_log (seq, id, facet_id, at, details, tags)
      WITH RECURSIVE n(seq) AS (SELECT 1 UNION ALL SELECT seq + 1 FROM n WHERE seq < ${events})
      SELECT seq, 'e' || seq, 1, 1000 + seq, '{}', iif(seq % 2, '["a"]', NULL) FROM n;
    INSERT INTO questions (seq, state, question, timeout_minutes, escalation)
      VALUES (2, 'open', 'Well?', 1e6, '[{"after_minutes":5,"notify":["B"],"fired_at":"2026-01-01T00:00:00.000Z"}]');`);
  db.close();
  return file;
}

describe('a database of before the chain', () => {
  it('is chained once, whole, and goes on from there', async (t) => {
    const events = 5001;
    const file = ofSchemaOne(t, events);
    const open = () => openSqliteStore({ file, clock: testClock().read });
    const store = await open();
    assert.deepEqual(store.notices, [`${events} events are chained now, so that a later change of them is found.`]);
    await stored(store, aFact());
    await store.close();
    const again = await open();
    assert.deepEqual(again.notices, []);
    await again.close();
    const { found, head } = verify(file);
    assert.deepEqual([found, head], [0, events + 1]);
  });
});
