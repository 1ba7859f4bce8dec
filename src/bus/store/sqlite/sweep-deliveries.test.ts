import assert from 'node:assert/strict';
import { closeSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, it } from 'node:test';
import { aFact, aQuestion, minute, tempFolder, testClock } from '../store.fixtures.ts';
import { openSqliteStore } from './open.ts';

const dayMs = 86_400_000;

describe('expiry of what nobody claims', () => {
  it('never happens when it is switched off', async (t) => {
    const clock = testClock();
    const file = join(tempFolder(t), 'events.db');
    const rules = { maxAttempts: 5, expireDays: 0 };
    const store = await openSqliteStore({ file, clock: clock.read, rules });
    t.after(() => store.close());
    await store.publish(aFact());
    clock.now += 4000 * dayMs;
    assert.equal((await store.sweep()).expired, 0);
    assert.equal((await store.claim('CHRONOS', { max: 1, leaseMs: 1 })).length, 1);
  });

  it('counts from when a sweep has seen it, within the hour, wherever the clock has jumped to', async (t) => {
    const clock = testClock();
    const file = join(tempFolder(t), 'events.db');
    const store = await openSqliteStore({ file, clock: clock.read, rules: { maxAttempts: 5, expireDays: 10 } });
    t.after(() => store.close());
    const died: number[] = [];
    const sweepIn = async (ms: number) => {
      clock.now += ms;
      await store.sweep();
      died.push((await store.deadLetters({ agent: 'CHRONOS' }, { limit: 100 })).deadLetters.length);
    };
    await store.publish(aFact());
    await sweepIn(0);
    await store.publish(aFact());
    await sweepIn(59 * minute);
    await store.publish(aFact());
    await sweepIn(minute);
    await sweepIn(10 * dayMs - 60 * minute);
    await sweepIn(59 * minute);
    await sweepIn(minute);
    assert.deepEqual(died, [0, 0, 0, 1, 1, 3]);
    await sweepIn(dayMs);
    await store.publish(aFact());
    await sweepIn(-5 * dayMs);
    await sweepIn(11 * dayMs);
    await sweepIn(10 * dayMs - 1);
    await sweepIn(minute);
    assert.deepEqual(died.slice(6), [3, 3, 3, 3, 4]);
  });

  it('goes on beside a damaged part of the log, as deadlines do', async (t) => {
    const clock = testClock();
    const file = join(tempFolder(t), 'events.db');
    let store = await openSqliteStore({ file, clock: clock.read });
    t.after(() => store.close());
    // Smaller files are read whole when they are opened, and refused.
    const pad = 'x'.repeat(170_000);
    await Promise.all(Array.from({ length: 400 }, () => store.publish(aFact({ action: 'quiet', details: { pad } }))));
    const question = await store.publish(aQuestion({ human_timeout_minutes: 1 }));
    await store.sweep();
    await store.close();
    damage(file);
    store = await openSqliteStore({ file, clock: clock.read });
    clock.now += 31 * dayMs;
    const { timedOut, expired } = await store.sweep();
    assert.deepEqual([question.kind, timedOut, expired], ['stored', 1, 2]);
  });

  it('and deadlines go on where the event of what expires was removed behind the bus', async (t) => {
    const clock = testClock();
    const file = join(tempFolder(t), 'events.db');
    const store = await openSqliteStore({ file, clock: clock.read });
    t.after(() => store.close());
    for (let n = 0; n < 2; n++) await store.publish(aFact());
    await store.publish(aQuestion({ human_timeout_minutes: 1 }));
    await store.sweep();
    const db = new DatabaseSync(file);
    db.exec('DELETE FROM event_log WHERE seq = 1');
    db.close();
    clock.now += 31 * dayMs;
    const { timedOut, expired } = await store.sweep();
    assert.equal(timedOut, 1);
    assert.ok(expired >= 2);
    assert.equal((await store.deadLetters({ agent: 'CHRONOS' }, { limit: 9 })).deadLetters.length, 1);
    assert.ok((await store.redriveAll({ agent: 'CHRONOS' })) >= 1);
  });
});

/** Overwrites the leaves of the log in which its middle lies. */
function damage(file: string): void {
  const db = new DatabaseSync(file);
  const leaves = db
    .prepare("SELECT pageno FROM dbstat WHERE name = 'event_log' AND pagetype = 'leaf' ORDER BY path")
    .all()
    .map((leaf) => leaf.pageno as number);
  const size = db.prepare('PRAGMA page_size').get()?.page_size as number;
  db.close();
  const handle = openSync(file, 'r+');
  const middle = leaves.length >> 1;
  for (const page of leaves.slice(middle - 4, middle + 4))
    writeSync(handle, Buffer.alloc(size, 0xff), 0, size, (page - 1) * size);
  closeSync(handle);
}
