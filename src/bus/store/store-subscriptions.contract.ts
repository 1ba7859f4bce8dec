import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { aFact, aQuestion, aSubscription, minute, stored } from './store.fixtures.ts';
import type { Fresh } from './store-questions.contract.ts';

/** What every store promises about a subscription’s life. */
export function testSubscriptions(driver: string, fresh: Fresh): void {
  describe(`${driver} store: subscriptions`, () => {
    it('leaves what is deleted as it was at its deletion', async (t) => {
      const { store, clock } = await fresh(t);
      const { subscription } = await store.addSubscription(aSubscription(), 'operator');
      clock.now += minute;
      const deleted = await store.deleteSubscription(subscription.id);
      assert.equal(deleted?.deleted_at, '2026-01-16T10:31:00.000Z');
      clock.now += minute;
      assert.deepEqual(await store.deleteSubscription(subscription.id), deleted, 'deleting again changes nothing');
      assert.equal(await store.changeSubscription(subscription.id, { enabled: true, priority: 1 }), undefined);
      const [tombstone] = await store.subscriptions({ agent: 'ARTEMIS', deleted: true });
      assert.deepEqual(tombstone, deleted);
      const { subscribedAgents } = await stored(store, aFact({ action: 'hunt_began' }));
      assert.ok(!subscribedAgents.includes('ARTEMIS'));
    });

    it('revives what was deleted under the id and the birthday it had', async (t) => {
      const { store, clock } = await fresh(t);
      const { subscription: first } = await store.addSubscription(aSubscription(), 'operator');
      await store.deleteSubscription(first.id);
      clock.now += minute;
      const revived = await store.addSubscription(aSubscription({ priority: 2 }), 'agent');
      assert.equal(revived.kind, 'added');
      assert.deepEqual(revived.subscription, {
        ...first,
        priority: 2,
        origin: 'agent',
        updated_at: '2026-01-16T10:31:00.000Z',
      });
      assert.deepEqual(await store.subscriptions({ agent: 'ARTEMIS', deleted: true }), [revived.subscription]);
      assert.equal((await store.changeSubscription(revived.subscription.id, { priority: 3 }))?.priority, 3);
    });

    it('keeps questions from who hears everything except human_input_required', async (t) => {
      const { store } = await fresh(t);
      const wanted = aSubscription({ action_pattern: '*', except: ['human_input_required'] });
      await store.addSubscription(wanted, 'operator');
      const asked = await stored(store, aQuestion());
      assert.ok(!asked.subscribedAgents.includes('ARTEMIS'));
      const told = await stored(store, aFact({ action: 'rollback_proposed' }));
      assert.ok(told.subscribedAgents.includes('ARTEMIS'));
      const { silent } = await store.explain('rollback_proposed', true);
      assert.deepEqual(
        silent.map(({ agent, because }) => [agent, because]),
        [['ARTEMIS', 'excepted by human_input_required']],
      );
      assert.deepEqual((await store.explain('rollback_proposed', false)).silent, []);
    });
  });
}
