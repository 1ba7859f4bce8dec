import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { aFact, tempFolder, testClock } from '../store.fixtures.ts';
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

  it('happens by the event’s age, wherever the clock has jumped to in between', async (t) => {
    const clock = testClock();
    const file = join(tempFolder(t), 'events.db');
    const store = await openSqliteStore({ file, clock: clock.read, rules: { maxAttempts: 5, expireDays: 10 } });
    t.after(() => store.close());
    await store.publish(aFact());
    await store.sweep();
    clock.now -= 5 * dayMs;
    await store.publish(aFact());
    await store.sweep();
    clock.now += 12 * dayMs;
    await store.sweep();
    clock.now += 4 * dayMs;
    await store.sweep();
    assert.equal((await store.stats()).deadLetters, 2);
  });
});
