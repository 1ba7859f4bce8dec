import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { makeLog } from '../base/log.ts';
import { startRetention } from './retention-loop.ts';
import { openSqliteStore } from './store/sqlite/open.ts';
import { aFact, aQuestion, stored, testClock } from './store/store.fixtures.ts';
import type { Store } from './store/store.ts';

const rules = [{ actions: 'a', maxAgeDays: null, maxCount: 3 }];

async function aStore(t: TestContext, events: number) {
  const clock = testClock();
  const store = await openSqliteStore({ file: ':memory:', clock: clock.read });
  t.after(() => store.close());
  await Promise.all(Array.from({ length: events }, () => stored(store, aFact({ action: 'a' }))));
  const said: string[] = [];
  return { store, clock, said, log: makeLog((line) => said.push(line), clock.read) };
}

const howMany = async (store: Store) => (await store.events({ action: 'a' }, { limit: 1000 })).events.length;

describe('retention', () => {
  it('purges at its start, and tells of one run to all who ask for one', async (t) => {
    const { store, said, log } = await aStore(t, 10);
    const retention = startRetention(store, rules, log);
    const [one, other] = await Promise.all([retention.run(), retention.run()]);
    assert.deepEqual(one, { purged: 7, by_action: { a: 7 }, dropped_deliveries: {} });
    assert.equal(one, other);
    assert.equal(await howMany(store), 3);
    assert.match(said.join(), /events were purged events=7/);
    assert.equal((await retention.run()).purged, 0);
    await retention.stop();
  });

  it('tells without purging what would go, and what stays although it is due', async (t) => {
    const { store, log } = await aStore(t, 0);
    const retention = startRetention(store, rules, log);
    await retention.run();
    for (let n = 0; n < 5; n++) await stored(store, n === 0 ? aQuestion({ action: 'a' }) : aFact({ action: 'a' }));
    assert.deepEqual(await retention.plan(), [{ ...rules[0], due: 1, open_questions: 1, owed_at_priority_1: 0 }]);
    assert.equal(await howMany(store), 5);
    await retention.stop();
  });

  it('does nothing without rules', async (t) => {
    const { store, log } = await aStore(t, 2);
    const retention = startRetention(store, [], log);
    assert.equal((await retention.run()).purged, 0);
    assert.deepEqual(await retention.plan(), []);
    await retention.stop();
    assert.equal((await store.stats()).head, 2);
  });

  it('logs a failure and tries again ten minutes later', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const { store, said, log } = await aStore(t, 5);
    let scans = 0;
    const failing: Pick<Store, 'scanRetention' | 'purge'> = {
      ...store,
      scanRetention: (...args) => (scans++ === 0 ? Promise.reject(new Error('no disk')) : store.scanRetention(...args)),
    };
    const retention = startRetention(failing, rules, log);
    const settle = async () => {
      for (let n = 0; n < 20; n++) await new Promise((go) => setImmediate(go));
    };
    await settle();
    assert.match(said.join(), /could not purge; trying again later reason="no disk"/);
    t.mock.timers.tick(599_000);
    await settle();
    assert.equal(await howMany(store), 5);
    t.mock.timers.tick(1_000);
    await settle();
    assert.equal(await howMany(store), 3);
    await retention.stop();
  });
});
