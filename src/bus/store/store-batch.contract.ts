import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { aFact, aQuestion, minute, stored } from './store.fixtures.ts';
import { type BatchPublished, keptOutcomeMs, maxSweep, type Published, type Store } from './store.ts';
import type { Fresh } from './store-questions.contract.ts';

const whole = { limit: 1000 };

function outcomesOf(done: BatchPublished): readonly (Published | null)[] {
  assert.equal(done.kind, 'published');
  return (done as Extract<BatchPublished, { kind: 'published' }>).outcomes;
}

const kinds = (done: BatchPublished) => outcomesOf(done).map((outcome) => outcome?.kind);
const once = (key = 'k1', request = 'r1', owner = 'anonymous') => ({ owner, key, request });
const head = async (store: Store) => (await store.stats()).head;

/** What every store promises of batches and of requests that come with a key. */
export function testBatches(driver: string, fresh: Fresh): void {
  describe(`${driver} store: batches`, () => {
    it('store all of them in their order, without a gap, and wake whom they concern', async (t) => {
      const { store, clock } = await fresh(t);
      const commits: { head: number; dueAt: number | null }[] = [];
      store.onCommitted(({ head, dueAt }) => commits.push({ head, dueAt }));
      const drafts = Array.from({ length: 100 }, (_, i) => aFact({ target: `${i}` }));
      const done = await store.publishBatch([...drafts, aQuestion({ human_timeout_minutes: 5 })]);
      assert.deepEqual(
        outcomesOf(done).map((outcome) => (outcome?.kind === 'stored' ? outcome.receipt.seq : outcome)),
        Array.from({ length: 101 }, (_, i) => i + 1),
      );
      assert.deepEqual(commits, [{ head: 101, dueAt: clock.now + 5 * minute }]);
      const { events } = await store.events({}, whole);
      assert.deepEqual(events.map(({ target }) => target).slice(1), drafts.map(({ target }) => target).toReversed());
      assert.equal((await store.stats()).openQuestions, 1);
      assert.ok((await store.inbox('CHRONOS', true, whole)).events.length >= 100);
    });

    it('know an event again that was sent before, also in the same batch, and tell another one by its id', async (t) => {
      const { store } = await fresh(t);
      const receipt = await stored(store, aFact({ id: 'before' }));
      const done = await store.publishBatch([
        aFact({ id: 'before' }),
        aFact({ id: 'new' }),
        aFact({ id: 'new' }),
        aFact({ id: 'new', target: 'other' }),
        aFact({ id: 'before', source_agent: 'HADES' }),
      ]);
      assert.deepEqual(kinds(done), ['duplicate', 'stored', 'duplicate', 'id-taken', 'id-taken']);
      assert.deepEqual(outcomesOf(done)[0], { kind: 'duplicate', receipt });
      assert.equal(await head(store), 2);
    });

    it('keep the place of what the caller has refused', async (t) => {
      const { store } = await fresh(t);
      assert.deepEqual(kinds(await store.publishBatch([null, aFact(), null])), [undefined, 'stored', undefined]);
      assert.equal(await head(store), 1);
    });

    it('mix with what others publish at the same time', async (t) => {
      const { store } = await fresh(t);
      const singles = Array.from({ length: 50 }, () => store.publish(aFact()));
      const batches = Array.from({ length: 20 }, () => store.publishBatch(Array.from({ length: 100 }, () => aFact())));
      const seqs = [...(await Promise.all(singles)), ...(await Promise.all(batches)).flatMap(outcomesOf)].map(
        (outcome) => (outcome?.kind === 'stored' ? outcome.receipt.seq : 0),
      );
      assert.deepEqual(
        seqs.sort((a, b) => a - b),
        Array.from({ length: 2050 }, (_, i) => i + 1),
      );
    });
  });

  describe(`${driver} store: requests with a key`, () => {
    it('store once, and the same request gets the same outcomes, also after a restart', async (t) => {
      const { store, again } = await fresh(t);
      const drafts = [aFact(), null, aQuestion({ human_timeout_minutes: 5 })];
      const first = await store.publishBatch(drafts, once());
      assert.deepEqual(await store.publishBatch(drafts, once()), { ...first, replayed: true });
      assert.equal(await head(store), 2);
      const reopened = await again();
      assert.deepEqual(await reopened.publishBatch(drafts, once()), { ...first, replayed: true });
      assert.equal(await head(reopened), 2);
    });

    it('refuse another request with the same key, and store nothing of it', async (t) => {
      const { store } = await fresh(t);
      await store.publishBatch([aFact()], once());
      assert.deepEqual(await store.publishBatch([aFact()], once('k1', 'r2')), { kind: 'key-taken' });
      assert.equal(await head(store), 1);
    });

    it('tell keys apart by their owner, and case counts', async (t) => {
      const { store } = await fresh(t);
      for (const each of [once(), once('K1'), once('k1', 'r1', 'agent:A'), once('k2')]) {
        const done = await store.publishBatch([aFact()], each);
        assert.ok(done.kind === 'published' && !done.replayed, JSON.stringify(each));
      }
      assert.equal(await head(store), 4);
    });

    it('store one when the same comes many times at once', async (t) => {
      const { store } = await fresh(t);
      const all = await Promise.all(Array.from({ length: 50 }, () => store.publishBatch([aFact()], once())));
      assert.equal(all.filter((done) => done.kind === 'published' && !done.replayed).length, 1);
      assert.equal(new Set(all.map((done) => JSON.stringify(outcomesOf(done)))).size, 1);
      assert.equal(await head(store), 1);
    });

    it('are remembered for their time, then the key is free, and the sweep forgets them in steps', async (t) => {
      const { store, clock } = await fresh(t);
      for (let i = 0; i < maxSweep + 5; i++) await store.publishBatch([aFact()], once(`k${i}`));
      clock.now += keptOutcomeMs - 1;
      assert.equal((await store.sweep()).forgotten, 0);
      const before = await store.publishBatch([aFact()], once('k0'));
      assert.ok('replayed' in before && before.replayed);
      clock.now += 1;
      assert.deepEqual(kinds(await store.publishBatch([aFact()], once('k0', 'other'))), ['stored']);
      assert.equal((await store.sweep()).forgotten, maxSweep);
      assert.equal((await store.sweep()).forgotten, 4);
      assert.equal((await store.sweep()).forgotten, 0);
      assert.deepEqual(await store.publishBatch([aFact()], once('k0')), { kind: 'key-taken' });
    });
  });
}
