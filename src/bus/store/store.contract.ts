import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { aFact, aQuestion, aSubscription, stored, type TestClock, testClock } from './store.fixtures.ts';
import type { Store } from './store.ts';
import { testBatches } from './store-batch.contract.ts';
import { testCallSecrets } from './store-call-secrets.contract.ts';
import { testChain } from './store-chain.contract.ts';
import { testDeadLetters } from './store-dead-letters.contract.ts';
import { testDeliveries } from './store-deliveries.contract.ts';
import { testHeartbeats } from './store-heartbeats.contract.ts';
import { testInbox } from './store-inbox.contract.ts';
import { testOnward } from './store-onward.contract.ts';
import { testQuestions } from './store-questions.contract.ts';
import { testResending } from './store-resending.contract.ts';
import { testRetention } from './store-retention.contract.ts';
import { testSubscriptions } from './store-subscriptions.contract.ts';
import { testTokens } from './store-tokens.contract.ts';

const whole = { limit: 1000 };

/** Opens a fresh store on this clock; `again` closes it and opens the same data anew. */
export type OpenStore = (t: TestContext, clock: TestClock) => Promise<{ store: Store; again: () => Promise<Store> }>;

/** What every store promises. */
export function testStore(driver: string, open: OpenStore): void {
  const fresh = async (t: TestContext, clock = testClock()) => {
    const { store, again } = await open(t, clock);
    return { store, again, clock };
  };

  describe(`${driver} store: events`, () => {
    it('numbers events without a gap, in commit order, however many arrive at once', async (t) => {
      const { store } = await fresh(t);
      const receipts = await Promise.all(
        Array.from({ length: 200 }, (_, i) => stored(store, aFact({ target: `${i}` }))),
      );
      assert.deepEqual(
        receipts.map((r) => r.seq),
        Array.from({ length: 200 }, (_, i) => i + 1),
      );
    });

    it('lists newest first also within one millisecond', async (t) => {
      const { store } = await fresh(t);
      for (const target of ['a', 'b', 'c']) await store.publish(aFact({ target }));
      const { events } = await store.events({}, { limit: 2 });
      assert.deepEqual(
        events.map((e) => e.target),
        ['c', 'b'],
      );
    });

    it('gives every field back as it was given', async (t) => {
      const { store } = await fresh(t);
      const given = {
        source_agent: 'a"b%é\\',
        action: '日本_\u{1f600}',
        target: "it's; DROP TABLE events",
        details: { empty: {}, list: [1, 'zwei', null], 'a/b~c': { deep: true }, nul: 'a\u0000b' },
        source_workflow_id: 'w1',
        source_execution_id: 'x1',
        correlation_id: 'c1',
        causation_id: 'c0',
        traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
        tags: ['red', 'blue'],
        id: 'my-own-id',
      };
      await stored(store, given);
      const event = await store.event('my-own-id');
      for (const [field, value] of Object.entries(given)) assert.deepEqual(event?.[field as 'id'], value, field);
    });

    it('keeps empty details apart from none', async (t) => {
      const { store } = await fresh(t);
      const empty = await stored(store, aFact({ details: {} }));
      const none = await stored(store, aFact());
      assert.deepEqual((await store.event(empty.id))?.details, {});
      assert.equal((await store.event(none.id))?.details, null);
    });

    it('keeps a key named __proto__', async (t) => {
      const { store } = await fresh(t);
      const { id } = await stored(store, aFact({ details: JSON.parse('{"__proto__":{"a":1}}') }));
      assert.equal(JSON.stringify((await store.event(id))?.details), '{"__proto__":{"a":1}}');
    });

    it('knows an event again whose details come in another order', async (t) => {
      const { store } = await fresh(t);
      await stored(store, aFact({ id: 'once', details: { a: 1, b: { c: [1, 2], d: null } } }));
      const again = aFact({ id: 'once', details: { b: { d: null, c: [1, 2] }, a: 1 } });
      assert.equal((await store.publish(again)).kind, 'duplicate');
      const other = aFact({ id: 'once', details: { b: { d: null, c: [2, 1] }, a: 1 } });
      assert.equal((await store.publish(other)).kind, 'id-taken');
    });

    it('stores the same event once when it is sent again, also at the same moment', async (t) => {
      const { store } = await fresh(t);
      const sent = aFact({ id: 'once', details: { n: 1 } });
      const outcomes = await Promise.all([store.publish(sent), store.publish(sent), store.publish(sent)]);
      assert.deepEqual(
        outcomes.map((o) => o.kind),
        ['stored', 'duplicate', 'duplicate'],
      );
      assert.deepEqual(outcomes[2]?.kind === 'duplicate' && outcomes[2].receipt.seq, 1);
      assert.equal((await store.events({}, whole)).events.length, 1);
    });

    it('pages through everything without a repeat or a gap', async (t) => {
      const { store } = await fresh(t);
      for (let i = 0; i < 25; i++) await store.publish(aFact({ action: i % 3 ? 'a' : 'b', target: String(i) }));
      for (const filter of [{}, { action: 'a' }, { action: 'b' }, { source_agent: 'HEPHAESTUS' }]) {
        const all = (await store.events(filter, whole)).events.map((e) => e.target);
        const paged: (string | null)[] = [];
        for (let before: number | undefined; ; ) {
          const page = await store.events(filter, { limit: 4, before });
          paged.push(...page.events.map((e) => e.target));
          if (page.next === null) break;
          before = page.next;
        }
        assert.deepEqual(paged, all);
      }
    });

    it('ends a page early when its events are large, and goes on with the next', async (t) => {
      const { store } = await fresh(t);
      const pad = 'x'.repeat(1_500_000);
      for (let n = 0; n < 8; n++) await stored(store, aFact({ target: String(n), details: { pad } }));
      for (const filter of [{}, { action: 'deploy_started' }]) {
        const seen: (string | null)[] = [];
        let pages = 0;
        for (let before: number | undefined; ; pages++) {
          const page = await store.events(filter, { ...whole, before });
          seen.push(...page.events.map((e) => e.target));
          if (page.next === null) break;
          before = page.next;
        }
        assert.deepEqual(seen, ['7', '6', '5', '4', '3', '2', '1', '0']);
        assert.equal(pages, 2);
      }
    });

    it('lists by any filter what a plain search would find, whatever the limit', async (t) => {
      const { store } = await fresh(t);
      let seed = 20260116;
      const draw = (of: number) => {
        seed = (Math.imul(seed ^ (seed >>> 15), 0x2c1b3c6d) + 0x9e3779b9) | 0;
        return ((seed ^ (seed >>> 13)) >>> 0) % of;
      };
      const drafts = Array.from({ length: 400 }, () =>
        aFact({ source_agent: `S${draw(12)}`, action: draw(3) ? `a${draw(6)}_failed` : 'quiet' }),
      );
      const receipts = await Promise.all(drafts.map((draft) => stored(store, draft)));
      for (const { id, seq } of receipts)
        if (seq % 5 === 0) for (const agent of ['HADES', 'HERMES']) await store.acknowledge(id, agent);
      const all = (await store.events({}, whole)).events;
      for (const source_agent of [undefined, 'S3', 'S7'])
        for (const action of [undefined, 'quiet', 'a1_failed'])
          for (const status of [undefined, 'pending', 'acknowledged'] as const)
            for (const [limit, before] of [
              [1, 401],
              [3, 201],
              [17, 401],
              [60, 333],
              [1000, 401],
            ] as const) {
              const fits = all.filter(
                (e) =>
                  (source_agent === undefined || e.source_agent === source_agent) &&
                  (action === undefined || e.action === action) &&
                  (status === undefined || e.status === status) &&
                  Number(e.bookmark.split('.')[1]) < before,
              );
              const { events, next } = await store.events({ source_agent, action, status }, { limit, before });
              assert.deepEqual(
                events.map((e) => e.id),
                fits.slice(0, limit).map((e) => e.id),
              );
              assert.equal(next !== null, fits.length > limit);
            }
    });

    it('is as it was after it is closed and opened again', async (t) => {
      const { store, again } = await fresh(t);
      const { id } = await stored(store, aFact({ details: { a: 1 } }));
      await store.acknowledge(id, 'CHRONOS');
      await stored(store, aQuestion());
      const before = [
        await store.events({}, whole),
        await store.pending(whole),
        await store.subscriptions({ deleted: true }),
      ];
      const stats = await store.stats();
      const reopened = await again();
      const after = [
        await reopened.events({}, whole),
        await reopened.pending(whole),
        await reopened.subscriptions({ deleted: true }),
      ];
      assert.deepEqual(after, before);
      assert.deepEqual({ ...(await reopened.stats()), bytes: 0 }, { ...stats, bytes: 0 });
      assert.equal((await stored(reopened, aFact())).seq, 3);
    });
  });

  describe(`${driver} store: who hears`, () => {
    it('names each hearer once, best priority first, queue and tail', async (t) => {
      const { store } = await fresh(t);
      const { subscribedAgents } = await stored(store, aFact({ action: 'audit_failed' }));
      assert.deepEqual(subscribedAgents, ['HADES', 'HERMES', 'ARIA', 'ATHENA']);
      assert.equal((await store.stats()).openDeliveries, 2, 'tails get no rows');
    });

    it('takes names literally', async (t) => {
      const { store } = await fresh(t);
      for (const agent of ['é', 'a"b', '%', '_'])
        await store.addSubscription(aSubscription({ agent_name: agent }), 'operator');
      await stored(store, aFact({ action: 'hunt_began' }));
      await stored(store, aFact({ action: 'huntXbegan' }));
      for (const agent of ['é', 'a"b', '%', '_'])
        assert.deepEqual(
          (await store.inbox(agent, true, whole)).events.map((e) => e.action),
          ['hunt_began'],
          agent,
        );
      assert.deepEqual((await store.inbox('nobody', false, whole)).events, []);
    });

    it('tells who would hear an action, by which pattern, and who is silent and why', async (t) => {
      const { store } = await fresh(t);
      const hears = { agent_name: 'ARTEMIS', mode: 'queue' } as const;
      await store.addSubscription(aSubscription({ ...hears, action_pattern: 'x_*', priority: 7 }), 'operator');
      await store.addSubscription(
        aSubscription({ ...hears, action_pattern: '*_y', priority: 3, mode: 'tail' }),
        'operator',
      );
      await store.addSubscription(
        aSubscription({ agent_name: 'OFF', action_pattern: 'x_y', enabled: false }),
        'operator',
      );
      await store.addSubscription(
        aSubscription({ agent_name: 'NOT', action_pattern: 'x*', except: ['*y'] }),
        'operator',
      );
      const { hearers, silent } = await store.explain('x_y', false);
      const artemis = hearers.find((h) => h.agent === 'ARTEMIS');
      assert.deepEqual(
        [artemis?.priority, artemis?.mode, artemis?.pattern, artemis?.also],
        [3, 'queue', '*_y', ['x_*']],
      );
      assert.deepEqual(
        silent.map((s) => [s.agent, s.because]),
        [
          ['NOT', 'excepted by *y'],
          ['OFF', 'disabled'],
        ],
      );
      const { subscribedAgents } = await stored(store, aFact({ action: 'x_y' }));
      assert.deepEqual(subscribedAgents, ['ARTEMIS', 'ARIA', 'ATHENA']);
    });

    it('lets those who hear human_input_required hear every question, as one event', async (t) => {
      const { store } = await fresh(t);
      const { subscribedAgents } = await stored(store, aQuestion());
      assert.deepEqual(subscribedAgents, ['ARIA', 'HERMES', 'ATHENA']);
      assert.equal((await store.events({}, whole)).events.length, 1);
    });

    it('brings nothing back that was deleted, neither at a restart nor from an agent’s own list', async (t) => {
      const { store, again } = await fresh(t);
      const [athena] = await store.subscriptions({ agent: 'ATHENA', deleted: false });
      await store.deleteSubscription(athena?.id as string);
      const mine = aSubscription({ agent_name: 'ATHENA', action_pattern: '*', only_if_new: true });
      assert.equal((await store.addSubscription(mine, 'agent')).kind, 'exists');
      const reopened = await again();
      assert.deepEqual(await reopened.subscriptions({ agent: 'ATHENA', deleted: false }), []);
      assert.equal((await reopened.subscriptions({ agent: 'ATHENA', deleted: true }))[0]?.deleted_at !== null, true);
      const revived = await reopened.addSubscription({ ...mine, only_if_new: false }, 'operator');
      assert.equal(revived.kind, 'added');
      assert.equal((await reopened.subscriptions({ agent: 'ATHENA', deleted: false })).length, 1);
    });

    it('keeps an operator’s change over a restart and creates no default twice', async (t) => {
      const { store, again } = await fresh(t);
      const all = await store.subscriptions({ deleted: true });
      const chosen = all.find((s) => s.agent_name === 'AEGIS' && s.action_pattern === 'config_changed');
      await store.changeSubscription(chosen?.id as string, {
        priority: 9,
        enabled: false,
        except: ['x'],
        mode: 'tail',
      });
      const reopened = await again();
      const after = await reopened.subscriptions({ deleted: true });
      assert.equal(after.length, all.length);
      const { priority, enabled, except, mode } = after.find((s) => s.id === chosen?.id) as (typeof after)[number];
      assert.deepEqual(
        { priority, enabled, except, mode },
        { priority: 9, enabled: false, except: ['x'], mode: 'tail' },
      );
    });

    it('knows no subscription that does not exist', async (t) => {
      const { store } = await fresh(t);
      assert.equal(await store.changeSubscription('none', { priority: 1 }), undefined);
      assert.equal(await store.deleteSubscription('none'), undefined);
    });
  });

  testResending(driver, fresh);
  testBatches(driver, fresh);
  testSubscriptions(driver, fresh);
  testOnward(driver, fresh);
  testCallSecrets(driver, fresh);
  testHeartbeats(driver, fresh);
  testTokens(driver, fresh);
  testInbox(driver, fresh);
  testQuestions(driver, fresh);
  testDeliveries(driver, fresh);
  testDeadLetters(driver, fresh);
  testChain(driver, fresh);
  testRetention(driver, fresh);

  describe(`${driver} store: its end`, () => {
    it('finishes what it accepted before it closes, and refuses what comes after', async (t) => {
      const { store, again } = await fresh(t);
      const publishing = Array.from({ length: 50 }, () => store.publish(aFact()));
      const reopened = again();
      assert.equal((await Promise.all(publishing)).length, 50);
      assert.equal((await (await reopened).stats()).head, 50);
      await assert.rejects(store.publish(aFact()), /stopping/);
    });
  });
}
