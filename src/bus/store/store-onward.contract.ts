import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { aFact, aSubscription, stored } from './store.fixtures.ts';
import type { Passes, Store } from './store.ts';
import type { Fresh } from './store-questions.contract.ts';

/** Reads on until the end of the log, as a stream does. */
async function onward(store: Store, after: number, limit: number, passes?: Passes) {
  const targets: (string | null)[] = [];
  let at = after;
  let calls = 0;
  for (; at < store.head(); calls++) {
    const { events, upTo } = await store.readAfter(at, limit, passes);
    assert.ok(upTo > at, 'each call gets on');
    assert.ok(events.length <= limit);
    targets.push(...events.map(({ target }) => target));
    at = upTo;
  }
  return { targets, at, calls };
}

/** Where to begin in order to read the last `count` that pass. */
async function placeOfLast(store: Store, count: number, passes?: Passes) {
  let at = store.head();
  for (let left = count; left > 0 && at > 0; ) {
    const back = await store.lookBack(at + 1, left, passes);
    left -= back.passed;
    at = back.at;
  }
  return at;
}

/** What every store promises to those who read the log in its own order. */
export function testOnward(driver: string, fresh: Fresh): void {
  describe(`${driver} store: reading on`, () => {
    const ofB: Passes = ({ action }) => action === 'b';

    it('gives everything after a seq in order, page by page, and nothing at the end', async (t) => {
      const { store } = await fresh(t);
      assert.deepEqual(await store.readAfter(0, 10), { events: [], upTo: 0 });
      assert.equal(store.head(), 0);
      const all = Array.from({ length: 50 }, (_, i) => String(i + 1));
      await Promise.all(all.map((target) => stored(store, aFact({ target }))));
      assert.equal(store.head(), 50);
      for (const limit of [1, 7, 16, 17, 50, 100]) assert.deepEqual((await onward(store, 0, limit)).targets, all);
      assert.deepEqual((await onward(store, 47, 2)).targets, ['48', '49', '50']);
      assert.deepEqual(await store.readAfter(50, 10), { events: [], upTo: 50 });
    });

    it('gives only what passes, and gets on where nothing does', async (t) => {
      const { store } = await fresh(t);
      const drafts = Array.from({ length: 2500 }, (_, i) =>
        aFact({ target: String(i), action: i % 1200 ? 'a' : 'b', source_agent: i % 2 ? 'X' : 'Y' }),
      );
      await Promise.all(drafts.map((draft) => stored(store, draft)));
      for (const limit of [1, 2, 3, 100])
        assert.deepEqual((await onward(store, 0, limit, ofB)).targets, ['0', '1200', '2400']);
      const none = await onward(store, 0, 100, () => false);
      assert.deepEqual([none.targets, none.at], [[], 2500]);
      assert.ok(none.calls > 1, 'a long log is not looked through in one go');
      assert.equal((await onward(store, 2490, 100, ({ source_agent }) => source_agent === 'X')).targets.length, 5);
    });

    it('judges an event by all who hear it, in whatever status it is', async (t) => {
      const { store } = await fresh(t);
      await store.addSubscription(aSubscription({ agent_name: 'QUEUE', action_pattern: 'b' }), 'operator');
      await store.addSubscription(aSubscription({ agent_name: 'TAIL', action_pattern: 'b', mode: 'tail' }), 'operator');
      await stored(store, aFact({ action: 'a' }));
      const { id } = await stored(store, aFact({ action: 'b', target: 'heard' }));
      const heardBy = (agent: string) =>
        onward(store, 0, 10, ({ subscribed_agents }) => subscribed_agents.includes(agent));
      for (const agent of ['QUEUE', 'TAIL']) assert.deepEqual((await heardBy(agent)).targets, ['heard']);
      await store.acknowledge(id, 'QUEUE');
      for (const agent of ['QUEUE', 'TAIL']) assert.deepEqual((await heardBy(agent)).targets, ['heard']);
      assert.deepEqual((await heardBy('NOBODY')).targets, []);
    });

    it('ends a page early when its events are large', async (t) => {
      const { store } = await fresh(t);
      const pad = 'x'.repeat(150_000);
      for (let n = 0; n < 6; n++) await stored(store, aFact({ target: String(n), action: 'b', details: { pad } }));
      for (const passes of [undefined, ofB]) {
        assert.equal((await store.readAfter(0, 100, passes)).events.length, 2);
        assert.deepEqual((await onward(store, 0, 100, passes)).targets, ['0', '1', '2', '3', '4', '5']);
      }
    });

    it('finds where the last so many begin', async (t) => {
      const { store } = await fresh(t);
      const drafts = Array.from({ length: 4500 }, (_, i) => aFact({ target: String(i), action: i % 1500 ? 'a' : 'b' }));
      await Promise.all(drafts.map((draft) => stored(store, draft)));
      for (const [count, targets] of [
        [1, ['3000']],
        [2, ['1500', '3000']],
        [3, ['0', '1500', '3000']],
        [9, ['0', '1500', '3000']],
      ] as const)
        assert.deepEqual((await onward(store, await placeOfLast(store, count, ofB), 50, ofB)).targets, targets);
      assert.equal(await placeOfLast(store, 3, () => true), 4497);
      assert.equal(await placeOfLast(store, 1, () => false), 0);
    });

    it('counts what is there, not what was purged, among the last so many', async (t) => {
      const { store } = await fresh(t);
      const actions: string[] = ['b', 'b', ...Array(3000).fill('a')];
      await Promise.all(actions.map((action) => stored(store, aFact({ action }))));
      const seqs = Array.from({ length: 3000 }, (_, i) => i + 3);
      while (seqs.length > 0) await store.purge(seqs.splice(0, 250));
      assert.equal(await placeOfLast(store, 13), 1, 'the 12 that tell of the purge, and one before');
      assert.equal(await placeOfLast(store, 13, ({ action }) => action !== 'a'), 1);
      assert.equal(await placeOfLast(store, 1000), 0);
    });
  });
}
