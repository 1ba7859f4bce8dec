import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { aFact, anAnswer, aQuestion, aSubscription, minute, stored } from './store.fixtures.ts';
import type { Fresh } from './store-questions.contract.ts';

const whole = { limit: 1000 };

/** What every store promises about who has taken note of what. */
export function testInbox(driver: string, fresh: Fresh): void {
  describe(`${driver} store: acknowledgement and inbox`, () => {
    it('keeps both of two simultaneous acknowledgements', async (t) => {
      const { store } = await fresh(t);
      const { id } = await stored(store, aFact({ action: 'audit_failed' }));
      await Promise.all([store.acknowledge(id, 'HADES'), store.acknowledge(id, 'HERMES')]);
      const event = await store.event(id);
      assert.deepEqual(Object.keys(event?.acknowledged_by ?? {}).sort(), ['HADES', 'HERMES']);
      assert.equal(event?.status, 'acknowledged');
      assert.equal((await store.stats()).openDeliveries, 0);
    });

    it('stays pending until the last delivery is acknowledged, and the first time stands', async (t) => {
      const { store, clock } = await fresh(t);
      const { id } = await stored(store, aFact({ action: 'audit_failed' }));
      const first = await store.acknowledge(id, 'HADES');
      clock.now += minute;
      assert.deepEqual(await store.acknowledge(id, 'HADES'), first);
      await store.acknowledge(id, 'A stranger');
      assert.equal((await store.event(id))?.status, 'pending');
      assert.equal((await store.event(id))?.updated_at, '2026-01-16T10:31:00.000Z');
      await store.acknowledge(id, 'HERMES');
      assert.equal((await store.event(id))?.status, 'acknowledged');
      assert.deepEqual(await store.acknowledge('none', 'HADES'), { kind: 'unknown' });
    });

    it('moves a question only by its resolution', async (t) => {
      const { store } = await fresh(t);
      const { id } = await stored(store, aQuestion());
      for (const agent of ['ARIA', 'HERMES', 'ATHENA']) await store.acknowledge(id, agent);
      assert.equal((await store.event(id))?.status, 'pending');
      await store.answer(id, anAnswer());
      assert.equal((await store.event(id))?.status, 'completed');
    });

    it('notes strangers only up to a limit, and stays readable', async (t) => {
      const { store } = await fresh(t);
      const { id } = await stored(store, aFact({ action: 'audit_failed' }));
      const strangers = Array.from({ length: 1000 }, (_, i) => store.acknowledge(id, `stranger ${i}`));
      await Promise.all(strangers);
      assert.deepEqual(await store.acknowledge(id, 'one more'), { kind: 'noted-by-too-many', limit: 1000 });
      assert.equal((await store.acknowledge(id, 'HADES')).kind, 'acknowledged', 'its hearers are not kept out');
      assert.equal(Object.keys((await store.event(id))?.acknowledged_by ?? {}).length, 1001);
    });

    for (const mode of ['queue', 'tail'] as const)
      it(`shows an inbox newest first and skips what is acknowledged, in any order (${mode})`, async (t) => {
        const { store } = await fresh(t);
        await store.addSubscription(aSubscription({ mode, priority: 1 }), 'operator');
        const ids: string[] = [];
        for (let i = 0; i < 30; i++) {
          const { id } = await stored(
            store,
            aFact({ action: i % 3 ? 'hunt_x' : 'other', source_agent: i % 2 ? 'A' : 'B' }),
          );
          if (i % 3) ids.unshift(id);
        }
        const unseen = async () => (await store.inbox('ARTEMIS', true, whole)).events.map((e) => e.id);
        assert.deepEqual(await unseen(), ids);
        const order = [3, 4, 5, 0, 19, 18, 10, 12, 11, 1, 2, 6, 7, 8, 9, 13, 14, 15, 16];
        for (const [n, at] of order.entries()) {
          await store.acknowledge(ids[at] as string, 'ARTEMIS');
          const done = new Set(order.slice(0, n + 1).map((i) => ids[i]));
          assert.deepEqual(
            await unseen(),
            ids.filter((id) => !done.has(id)),
            `after ${n + 1}`,
          );
          const two = await store.inbox('ARTEMIS', true, { limit: 2 });
          assert.deepEqual(
            two.events.map((e) => e.id),
            ids.filter((id) => !done.has(id)).slice(0, 2),
          );
        }
        assert.deepEqual(
          (await store.inbox('ARTEMIS', false, whole)).events.map((e) => e.id),
          ids,
        );
      });

    it('keeps what is unacknowledged between far neighbours, whatever else lies there and in any order', async (t) => {
      const { store } = await fresh(t);
      const places = [1, 17, 34, 120];
      const orders = permutations(places);
      for (const i of orders.keys())
        await store.addSubscription(aSubscription({ agent_name: `TAIL-${i}`, mode: 'tail' }), 'operator');
      const seqs = Array.from({ length: 140 }, (_, i) => i + 1);
      const receipts = await Promise.all(
        seqs.map((seq) => stored(store, aFact({ action: places.includes(seq) ? 'hunt_x' : 'other' }))),
      );
      const idAt = (seq: number) => receipts[seq - 1]?.id as string;
      for (const [i, order] of orders.entries())
        for (const [n, seq] of order.entries()) {
          await store.acknowledge(idAt(seq), `TAIL-${i}`);
          const left = places.filter((place) => !order.slice(0, n + 1).includes(place)).toReversed();
          const { events } = await store.inbox(`TAIL-${i}`, true, whole);
          assert.deepEqual(
            events.map((e) => e.id),
            left.map(idAt),
            `acknowledged ${order.slice(0, n + 1)}`,
          );
        }
    });

    it('counts what is owed, down to nothing, also after it is opened again', async (t) => {
      const { store, again } = await fresh(t);
      const owed = async () => (await store.stats()).openDeliveries;
      const { id } = await stored(store, aFact({ action: 'audit_failed' }));
      await stored(store, aFact({ action: 'build_failed' }));
      assert.equal(await owed(), 4);
      await store.acknowledge(id, 'HADES');
      await store.acknowledge(id, 'HADES');
      await store.acknowledge(id, 'ATHENA');
      assert.equal(await owed(), 3, 'once, and not for who hears by tail');
      await store.acknowledge(id, 'HERMES');
      assert.equal(await owed(), 2);
      assert.equal((await (await again()).stats()).openDeliveries, 2);
    });

    it('keeps what was heard in the inbox when the subscription goes', async (t) => {
      const { store } = await fresh(t);
      const added = await store.addSubscription(aSubscription({ mode: 'tail' }), 'operator');
      const { id } = await stored(store, aFact({ action: 'hunt_x' }));
      await store.deleteSubscription(added.subscription.id);
      await stored(store, aFact({ action: 'hunt_y' }));
      assert.deepEqual(
        (await store.inbox('ARTEMIS', true, whole)).events.map((e) => e.id),
        [id],
      );
    });
  });
}

function permutations<T>(items: readonly T[]): T[][] {
  if (items.length === 0) return [[]];
  return items.flatMap((first, i) => permutations(items.toSpliced(i, 1)).map((rest) => [first, ...rest]));
}
