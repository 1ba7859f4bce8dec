import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { aFact, aQuestion, aSubscription, minute, stored } from './store.fixtures.ts';
import type { Store } from './store.ts';
import { backOff, claimed, hunt, hunting } from './store-deliveries.contract.ts';
import type { Fresh } from './store-questions.contract.ts';

const whole = { limit: 1000 };
const agent = 'ARTEMIS';
const day = 24 * 60 * minute;

async function reject(store: Store, by = agent, reason: string | null = 'cannot be read'): Promise<string> {
  const { id, lease } = await claimed(store, minute, by);
  const nacked = await store.nack(by, id, lease, { delayMs: null, reason, dead: true });
  assert.deepEqual(nacked, { kind: 'dead', reason: 'rejected' });
  return id;
}

const said = async (store: Store, action: string) => (await store.events({ action }, whole)).events;

/** What every store promises about what cannot be delivered, and about what is delivered later. */
export function testDeadLetters(driver: string, plain: Fresh): void {
  const fresh = hunting(plain);

  describe(`${driver} store: dead letters`, () => {
    it('finds the dead letter of an event, or the newest of one that followed from another', async (t) => {
      const { store } = await fresh(t);
      const event = await hunt(store, { causation_id: 'why' });
      assert.equal(await store.deadLetterOf(agent, event, 'why'), undefined);
      const id = await reject(store);
      const found = await store.deadLetterOf(agent, event);
      assert.deepEqual(
        [found?.id, found?.reason, found?.error, found?.event.id],
        [id, 'rejected', 'cannot be read', event],
      );
      assert.deepEqual(await store.deadLetterOf(agent, 'another', 'why'), found);
      for (const [who, which, because] of [
        ['ADA', event, 'why'],
        [agent, 'another', 'never'],
        [agent, 'another', undefined],
      ] as const)
        assert.equal(await store.deadLetterOf(who, which, because), undefined);
      await store.redrive(agent, id);
      assert.equal(await store.deadLetterOf(agent, event, 'why'), undefined);
    });

    it('gives up after five attempts, however they end, and says so as an event', async (t) => {
      const { store, clock } = await fresh(t);
      const id = await hunt(store, { target: 'dev', correlation_id: 'hunt-7' });
      for (let attempt = 1; attempt <= 4; attempt++) {
        const { id: delivery, lease } = await claimed(store);
        if (attempt % 2) await store.release(agent, lease);
        else await store.nack(agent, delivery, lease, { ...backOff, delayMs: 0, reason: 'later' });
        assert.equal((await store.event(id))?.status, 'pending', `after ${attempt}`);
      }
      const last = await claimed(store);
      assert.equal(last.attempt, 5);
      clock.now += minute;
      assert.equal((await store.sweep()).leasesEnded, 1);
      assert.deepEqual(await store.claim(agent, { max: 9, leaseMs: 1 }), []);
      assert.deepEqual(await store.ack(agent, last.id, last.lease), { kind: 'lease-lost', to: 'dead' });
      const event = await store.event(id);
      assert.equal(event?.status, 'failed');
      const error = 'The lease ended without an acknowledgement.';
      const { deadLetters } = await store.deadLetters({}, whole);
      assert.deepEqual(deadLetters, [
        {
          ...{ id: last.id, agent, priority: 5, attempts: 5, reason: 'attempts', error },
          ...{ diedAt: new Date(clock.now).toISOString(), event },
        },
      ]);
      const [told] = await said(store, 'delivery_failed');
      assert.deepEqual(
        [told?.source_agent, told?.causation_id, told?.correlation_id, told?.target],
        ['EVENT-BUS', id, 'hunt-7', 'dev'],
      );
      assert.deepEqual(told?.details, {
        ...{ event_id: id, agent, delivery_id: last.id, reason: 'attempts', attempts: 5, error, action: 'hunt_began' },
      });
      assert.deepEqual(told?.subscribed_agents.slice(0, 2), ['HADES', 'HERMES']);
    });

    it('gives up on the last nack with the reason that came with it', async (t) => {
      const { store } = await fresh(t);
      await hunt(store);
      for (let n = 1; n < 5; n++) await store.release(agent, (await claimed(store)).lease);
      const { id, lease } = await claimed(store);
      const nacked = await store.nack(agent, id, lease, { ...backOff, reason: 'no such host' });
      assert.deepEqual(nacked, { kind: 'dead', reason: 'attempts' });
      const [dead] = (await store.deadLetters({}, whole)).deadLetters;
      assert.deepEqual([dead?.reason, dead?.error, dead?.attempts], ['attempts', 'no such host', 5]);
    });

    it('gives up at once what its agent rejects', async (t) => {
      const { store } = await fresh(t);
      const id = await hunt(store);
      await reject(store);
      assert.equal((await store.event(id))?.status, 'failed');
      const [dead] = (await store.deadLetters({}, whole)).deadLetters;
      assert.deepEqual([dead?.reason, dead?.error, dead?.attempts], ['rejected', 'cannot be read', 1]);
      const { openDeliveries, deadLetters } = await store.stats();
      assert.deepEqual([openDeliveries, deadLetters], [2, 1], 'HADES and HERMES are told');
    });

    it('says nothing of what it could not say: a failure to hear of a failure ends there', async (t) => {
      const { store } = await fresh(t);
      await hunt(store);
      await reject(store);
      await reject(store, 'HERMES');
      assert.equal((await said(store, 'delivery_failed')).length, 1);
      assert.equal((await store.stats()).deadLetters, 2);
    });

    it('moves a question only by its resolution', async (t) => {
      const { store } = await fresh(t);
      const { id } = await stored(store, aQuestion());
      await reject(store, 'HERMES');
      assert.equal((await store.event(id))?.status, 'pending');
    });

    it('makes one ready again as if never tried, and its event pending', async (t) => {
      const { store, again } = await fresh(t);
      const id = await hunt(store);
      const delivery = await reject(store);
      const reopened = await again();
      for (const [by, other] of [
        ['HADES', delivery],
        [agent, '7-5'],
        [agent, 'rubbish'],
      ] as const)
        assert.deepEqual(await reopened.redrive(by, other), { kind: 'unknown' });
      assert.deepEqual(await reopened.redrive(agent, delivery), { kind: 'redriven' });
      assert.deepEqual(await reopened.redrive(agent, delivery), { kind: 'unknown' }, 'it is there no more');
      assert.equal((await reopened.event(id))?.status, 'pending');
      const held = await claimed(reopened);
      assert.deepEqual([held.id, held.attempt], [delivery, 1]);
      await reopened.ack(agent, held.id, held.lease);
      assert.equal((await reopened.event(id))?.status, 'acknowledged');
      assert.deepEqual((await reopened.deadLetters({}, whole)).deadLetters, []);
    });

    it('keeps an event failed until none of its dead letters is left, whatever its other hearers do', async (t) => {
      const { store } = await fresh(t);
      await store.addSubscription(aSubscription({ agent_name: 'ORION' }), 'operator');
      await store.addSubscription(aSubscription({ agent_name: 'LETO' }), 'operator');
      const id = await hunt(store);
      const status = async () => (await store.event(id))?.status;
      const mine = await reject(store);
      const orions = await reject(store, 'ORION');
      const letos = await claimed(store, minute, 'LETO');
      await store.ack('LETO', letos.id, letos.lease);
      assert.equal(await status(), 'failed');
      await store.redrive(agent, mine);
      assert.equal(await status(), 'failed');
      await store.acknowledge(id, 'ORION');
      assert.equal(await status(), 'pending');
      assert.deepEqual(await store.redrive('ORION', orions), { kind: 'unknown' });
      const held = await claimed(store);
      await store.ack(agent, held.id, held.lease);
      assert.equal(await status(), 'acknowledged');
    });

    it('drops one that is discarded: acknowledged by nobody, its event failed', async (t) => {
      const { store } = await fresh(t);
      const id = await hunt(store);
      const delivery = await reject(store);
      assert.deepEqual(await store.discard('HADES', delivery), { kind: 'unknown' });
      assert.deepEqual(await store.discard(agent, delivery), { kind: 'discarded' });
      assert.deepEqual(await store.discard(agent, delivery), { kind: 'unknown' });
      const event = await store.event(id);
      assert.deepEqual([event?.status, event?.acknowledged_by], ['failed', {}]);
      assert.deepEqual((await store.inbox(agent, true, whole)).events, []);
      assert.equal((await store.stats()).deadLetters, 0);
      assert.deepEqual(await store.redrive(agent, delivery), { kind: 'unknown' });
      assert.deepEqual(await store.ack(agent, delivery, '1'), { kind: 'lease-lost', to: 'gone' });
    });

    it('makes all ready again, or all of one agent, however many there are', async (t) => {
      const { store } = await fresh(t);
      await store.addSubscription(aSubscription({ agent_name: 'ORION' }), 'operator');
      const hunts = 1100;
      await Promise.all(Array.from({ length: hunts }, () => hunt(store)));
      await reject(store, 'ORION');
      for (let left = hunts; left > 0; ) {
        const held = await store.claim(agent, { max: 100, leaseMs: minute });
        left -= held.length;
        await Promise.all(held.map((d) => store.nack(agent, d.id, d.lease, { ...backOff, dead: true })));
      }
      assert.equal(await store.redriveAll({ agent: 'ORION' }), 1);
      assert.equal((await store.stats()).deadLetters, hunts);
      assert.equal(await store.redriveAll({}), hunts);
      assert.equal(await store.redriveAll({}), 0);
      assert.equal((await store.stats()).deadLetters, 0);
      assert.equal((await store.events({ status: 'failed' }, whole)).events.length, 0);
    });

    it('redrives all of them also after the clock was set back', async (t) => {
      const { store, clock } = await fresh(t);
      await hunt(store);
      await reject(store);
      clock.now -= 60 * minute;
      assert.equal(await store.redriveAll({ agent }), 1);
      assert.equal((await claimed(store)).attempt, 1);
    });

    it('lists newest first, by agent or all, in pages without a repeat or a gap', async (t) => {
      const { store, clock } = await fresh(t);
      await store.addSubscription(aSubscription({ agent_name: 'ORION' }), 'operator');
      for (let i = 0; i < 9; i++) {
        await hunt(store, { target: `${i}` });
        await reject(store);
        if (i % 2) await reject(store, 'ORION');
        if (i % 3 === 0) clock.now += 1000;
      }
      for (const filter of [{}, { agent }, { agent: 'ORION' }, { agent: 'nobody' }]) {
        const all = (await store.deadLetters(filter, whole)).deadLetters;
        const times = all.map((d) => d.diedAt);
        assert.deepEqual(times, times.toSorted().reverse());
        assert.equal(all.length, filter.agent === undefined ? 13 : ({ ARTEMIS: 9, ORION: 4 }[filter.agent] ?? 0));
        const paged: typeof all = [];
        let page = await store.deadLetters(filter, { limit: 2 });
        for (; page.next; page = await store.deadLetters(filter, { limit: 2, after: page.next }))
          paged.push(...page.deadLetters);
        assert.deepEqual([...paged, ...page.deadLetters], all);
      }
    });
  });

  describe(`${driver} store: what nobody claims`, () => {
    it('expires thirty days after a sweep has seen it, counted by agent in one event, and its event stays pending', async (t) => {
      const { store, clock } = await fresh(t);
      await store.addSubscription(aSubscription({ agent_name: 'ORION', priority: 9 }), 'operator');
      const id = await hunt(store);
      await hunt(store);
      await store.claim('ORION', { max: 1, leaseMs: minute });
      await store.sweep();
      clock.now += 30 * day - 1;
      await store.sweep();
      assert.equal((await store.stats()).openDeliveries, 4);
      const young = await hunt(store);
      clock.now += minute;
      assert.equal((await store.sweep()).expired, 3);
      const [told, more] = await said(store, 'deliveries_expired');
      assert.deepEqual(told?.details, { count: 3, older_than_days: 30, agents: { ARTEMIS: 2, ORION: 1 } });
      assert.equal(more, undefined);
      assert.equal((await store.event(id))?.status, 'pending');
      assert.deepEqual(
        (await store.claim(agent, { max: 9, leaseMs: 1 })).map((d) => d.event.id),
        [young],
      );
      const orions = await store.claim('ORION', { max: 9, leaseMs: 1 });
      assert.equal(orions.length, 2, 'what was tried counts from when it was ready again');
    });

    it('is a dead letter when its priority is 1', async (t) => {
      const { store, clock } = await fresh(t);
      const { id } = await stored(store, aFact());
      await store.sweep();
      clock.now += 31 * day;
      assert.equal((await store.sweep()).expired, 1);
      assert.equal((await store.event(id))?.status, 'failed');
      const { deadLetters } = await store.deadLetters({ agent: 'CHRONOS' }, whole);
      assert.deepEqual(
        deadLetters.map((d) => [d.reason, d.attempts, d.error]),
        [['expired', 0, 'Nobody claimed it in time.']],
      );
      assert.deepEqual(await said(store, 'deliveries_expired'), []);
      assert.equal((await said(store, 'delivery_failed'))[0]?.details?.reason, 'expired');
      await store.redrive('CHRONOS', deadLetters[0]?.id as string);
      clock.now += 29 * day;
      await store.sweep();
      assert.equal(
        (await store.deadLetters({ agent: 'CHRONOS' }, whole)).deadLetters.length,
        0,
        'its time begins anew',
      );
    });

    it('goes in bounded steps, and leaves nothing out', async (t) => {
      const { store, clock } = await fresh(t);
      const hunts = 2500;
      await Promise.all(Array.from({ length: hunts }, () => hunt(store)));
      await store.sweep();
      clock.now += 31 * day;
      const steps: number[] = [];
      for (let expired = -1; expired !== 0; steps.push(expired)) ({ expired } = await store.sweep());
      assert.ok(steps.every((n) => n <= 1000) && steps.length >= 4, `${steps}`);
      assert.equal(
        steps.reduce((sum, n) => sum + n),
        hunts,
      );
      assert.deepEqual(await store.claim(agent, { max: 1, leaseMs: 1 }), []);
    });
  });

  describe(`${driver} store: deliver_at`, () => {
    it('delivers when it is due, and shows the event at once', async (t) => {
      const { store, again, clock } = await fresh(t);
      const deliver_at = new Date(clock.now + 5 * minute).toISOString();
      const id = await hunt(store, { deliver_at });
      assert.equal((await store.event(id))?.deliver_at, deliver_at);
      assert.equal((await store.inbox(agent, true, whole)).events.length, 1);
      assert.equal((await store.stats()).openDeliveries, 1);
      clock.now += 5 * minute - 1;
      assert.equal((await store.sweep()).nextDueAt, clock.now + 1);
      assert.deepEqual(await store.claim(agent, { max: 1, leaseMs: 1 }), []);
      const reopened = await again();
      const heard: string[] = [];
      reopened.onCommitted(({ readyFor }) => heard.push(...readyFor));
      clock.now += 1;
      assert.equal((await reopened.sweep()).becameReady, 1);
      assert.deepEqual(heard, [agent]);
      const held = await claimed(reopened);
      assert.deepEqual([held.event.id, held.attempt], [id, 1]);
    });

    it('reaches no further than 366 days, but knows an event again that came with such a time', async (t) => {
      const { store, clock } = await fresh(t);
      const at = (ms: number) => aFact({ action: 'hunt_began', deliver_at: new Date(ms).toISOString() });
      assert.deepEqual(await store.publish(at(clock.now + 366 * day + 1)), { kind: 'too-far-ahead' });
      assert.equal((await store.stats()).head, 0);
      const sent = { ...at(clock.now + 366 * day), id: 'mine' };
      assert.equal((await store.publish(sent)).kind, 'stored');
      clock.now -= 1000;
      assert.equal((await store.publish(sent)).kind, 'duplicate');
    });

    it('is at once when it is past, in whatever offset it was given', async (t) => {
      const { store, clock } = await fresh(t);
      const id = await hunt(store, { deliver_at: '2026-01-16T12:30:00.000+02:00' });
      assert.equal(clock.now, Date.parse('2026-01-16T10:30:00Z'));
      assert.equal((await claimed(store)).event.id, id);
      assert.equal((await store.event(id))?.deliver_at, '2026-01-16T10:30:00.000Z');
      const again = await store.publish(
        aFact({ action: 'hunt_began', id: 'x', deliver_at: '2026-01-17T12:30:00+02:00' }),
      );
      assert.equal(again.kind, 'stored');
      const same = aFact({ action: 'hunt_began', id: 'x', deliver_at: '2026-01-17T10:30:00Z' });
      assert.equal((await store.publish(same)).kind, 'duplicate');
    });
  });
}
