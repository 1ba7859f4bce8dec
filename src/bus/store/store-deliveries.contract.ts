import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Delivery } from './deliveries.ts';
import { newLease } from './deliveries.ts';
import { aFact, aQuestion, aSubscription, minute, stored } from './store.fixtures.ts';
import type { Commit, Store } from './store.ts';
import type { Fresh } from './store-questions.contract.ts';

const whole = { limit: 1000 };
const agent = 'ARTEMIS';
export const backOff = { delayMs: null, reason: null, dead: false };

/** A store in which ARTEMIS hears `hunt_*` by queue, at priority 5. */
export function hunting(fresh: Fresh): Fresh {
  return async (t) => {
    const made = await fresh(t);
    await made.store.addSubscription(aSubscription(), 'operator');
    return made;
  };
}

export async function hunt(store: Store, fields: Parameters<typeof aFact>[0] = {}): Promise<string> {
  return (await stored(store, aFact({ action: 'hunt_began', ...fields }))).id;
}

/** Claims one and insists that there is one. */
export async function claimed(store: Store, leaseMs = minute, by = agent): Promise<Delivery> {
  const [delivery] = await store.claim(by, { max: 1, leaseMs });
  assert.ok(delivery, 'something is ready');
  return delivery;
}

const nothingFor = async (store: Store, by = agent) =>
  assert.deepEqual(await store.claim(by, { max: 100, leaseMs: 1 }), []);

/** What every store promises to those who claim. */
export function testDeliveries(driver: string, plain: Fresh): void {
  const fresh = hunting(plain);

  describe(`${driver} store: deliveries under a lease`, () => {
    it('gives what was published, with the lease and the attempt, and the event as anybody reads it', async (t) => {
      const { store, clock } = await fresh(t);
      const id = await hunt(store, { details: { n: 1 } });
      const { lease, ...delivery } = await claimed(store);
      assert.match(lease, /^\d+$/);
      assert.deepEqual(delivery, {
        id: delivery.id,
        leasedUntil: new Date(clock.now + minute).toISOString(),
        attempt: 1,
        priority: 5,
        event: await store.event(id),
      });
      assert.equal(delivery.event.id, id);
    });

    it('gives best priority first, then oldest, and no more than asked for', async (t) => {
      const { store } = await fresh(t);
      for (const [action_pattern, priority] of [
        ['urgent', 1],
        ['late', 10],
      ] as const)
        await store.addSubscription(aSubscription({ action_pattern, priority }), 'operator');
      for (const [i, action] of ['late', 'hunt_x', 'urgent', 'hunt_x', 'urgent', 'late'].entries())
        await stored(store, aFact({ action, target: `${i}` }));
      const first = await store.claim(agent, { max: 4, leaseMs: minute });
      assert.deepEqual(
        first.map((d) => [d.event.target, d.priority]),
        [
          ['2', 1],
          ['4', 1],
          ['1', 5],
          ['3', 5],
        ],
      );
      assert.equal(new Set(first.map((d) => d.lease)).size, 1, 'one lease for a claim');
      const rest = await store.claim(agent, { max: 100, leaseMs: minute });
      assert.deepEqual(
        rest.map((d) => d.event.target),
        ['0', '5'],
      );
      assert.notEqual(rest[0]?.lease, first[0]?.lease);
    });

    it('gives fewer than asked for when the events are large, and always one', async (t) => {
      const { store } = await fresh(t);
      for (let n = 0; n < 4; n++) await hunt(store, { details: { pad: 'x'.repeat(2_500_000) } });
      const counts: number[] = [];
      for (let n = 0; n < 3; n++) counts.push((await store.claim(agent, { max: 100, leaseMs: minute })).length);
      assert.deepEqual(counts, [2, 2, 0]);
      await hunt(store, { details: { pad: 'x'.repeat(5_000_000) } });
      await hunt(store);
      assert.equal((await store.claim(agent, { max: 100, leaseMs: minute })).length, 1);
    });

    it('gives each agent its own, and a tail nothing', async (t) => {
      const { store } = await fresh(t);
      await stored(store, aFact({ action: 'audit_failed' }));
      assert.equal((await store.claim('HADES', { max: 10, leaseMs: minute })).length, 1);
      assert.equal((await store.claim('HERMES', { max: 10, leaseMs: minute })).length, 1);
      await nothingFor(store, 'ATHENA');
      await nothingFor(store, 'nobody');
      await nothingFor(store);
    });

    it('gives a delivery to one holder at a time, however many claim at once', async (t) => {
      const { store } = await fresh(t);
      for (let i = 0; i < 20; i++) await hunt(store);
      const claims = await Promise.all(
        Array.from({ length: 30 }, () => store.claim(agent, { max: 1, leaseMs: minute })),
      );
      const ids = claims.flat().map((d) => d.id);
      assert.equal(ids.length, 20);
      assert.equal(new Set(ids).size, 20);
    });

    it('notes who acknowledged, moves the event, and says the same to a repeat', async (t) => {
      const { store, clock } = await fresh(t);
      const id = await hunt(store);
      const { id: delivery, lease } = await claimed(store);
      assert.equal((await store.stats()).openDeliveries, 1);
      const first = await store.ack(agent, delivery, lease);
      assert.deepEqual(first, { kind: 'acknowledged', at: new Date(clock.now).toISOString() });
      clock.now += 10 * minute;
      assert.deepEqual(await store.ack(agent, delivery, lease), first);
      const event = await store.event(id);
      assert.equal(event?.status, 'acknowledged');
      assert.deepEqual(Object.keys(event?.acknowledged_by ?? {}), [agent]);
      assert.equal((await store.stats()).openDeliveries, 0);
      assert.deepEqual((await store.inbox(agent, true, whole)).events, []);
      await nothingFor(store);
    });

    it('leaves the event pending while another hearer has not acknowledged, and a question always', async (t) => {
      const { store } = await fresh(t);
      const { id } = await stored(store, aFact({ action: 'audit_failed' }));
      const settle = async (by: string) => {
        const held = await claimed(store, minute, by);
        await store.ack(by, held.id, held.lease);
      };
      await settle('HADES');
      assert.equal((await store.event(id))?.status, 'pending');
      await settle('HERMES');
      assert.equal((await store.event(id))?.status, 'acknowledged');
      const question = await stored(store, aQuestion());
      await settle('HERMES');
      await settle('ARIA');
      assert.equal((await store.event(question.id))?.status, 'pending');
    });

    it('refuses a wrong lease, a lease that is over by the clock, and what was never owed', async (t) => {
      const { store, clock } = await fresh(t);
      await hunt(store);
      const { id, lease } = await claimed(store);
      for (const other of [newLease(), '0', 'rubbish', '', `${lease}0`, ` ${lease}`])
        assert.deepEqual(await store.ack(agent, id, other), { kind: 'lease-lost', to: 'leased' }, other);
      clock.now += minute - 1;
      const refused = { kind: 'lease-lost', to: 'expired' };
      assert.equal((await store.extend(agent, id, lease, minute)).kind, 'extended');
      clock.now += minute;
      assert.deepEqual(await store.ack(agent, id, lease), refused);
      assert.deepEqual(await store.nack(agent, id, lease, backOff), refused);
      assert.deepEqual(await store.extend(agent, id, lease, minute), refused);
      for (const [by, other] of [
        ['HADES', id],
        ['nobody', id],
        [agent, '999-5'],
        [agent, '1-6'],
        [agent, 'rubbish'],
        [agent, ''],
      ] as const)
        assert.deepEqual(await store.ack(by, other, lease), { kind: 'unknown' }, `${by} ${other}`);
    });

    it('gives a delivery again when its lease is over, and keeps the late holder out', async (t) => {
      const { store, clock } = await fresh(t);
      const id = await hunt(store);
      const late = await claimed(store);
      await nothingFor(store);
      clock.now += minute;
      const second = await claimed(store);
      assert.deepEqual([second.id, second.attempt], [late.id, 2]);
      assert.notEqual(second.lease, late.lease);
      assert.deepEqual(await store.ack(agent, late.id, late.lease), { kind: 'lease-lost', to: 'leased' });
      assert.equal((await store.ack(agent, second.id, second.lease)).kind, 'acknowledged');
      assert.deepEqual(await store.ack(agent, late.id, late.lease), { kind: 'lease-lost', to: 'acknowledged' });
      assert.equal((await store.event(id))?.status, 'acknowledged');
      clock.now += 10 * minute;
      await store.sweep();
      await nothingFor(store);
    });

    it('holds a lease for as long as it is extended', async (t) => {
      const { store, clock } = await fresh(t);
      await hunt(store);
      const { id, lease } = await claimed(store);
      for (let i = 0; i < 5; i++) {
        clock.now += minute - 1;
        const extended = await store.extend(agent, id, lease, minute);
        assert.deepEqual(extended, { kind: 'extended', leasedUntil: new Date(clock.now + minute).toISOString() });
        assert.deepEqual((await store.sweep()).nextDueAt, clock.now + minute);
        await nothingFor(store);
      }
      assert.equal((await store.ack(agent, id, lease)).kind, 'acknowledged');
    });

    it('gives back later what is nacked, doubling from a second to five minutes, or after the delay that is said', async (t) => {
      const { store, clock } = await fresh(t);
      await hunt(store);
      const waits: number[] = [];
      for (let n = 0; n < 4; n++) {
        const { id, lease, attempt } = await claimed(store);
        assert.equal(attempt, n + 1);
        const nacked = await store.nack(agent, id, lease, n < 3 ? backOff : { ...backOff, delayMs: 7 * minute });
        assert.ok(nacked.kind === 'deferred');
        assert.deepEqual(await store.nack(agent, id, lease, backOff), { kind: 'lease-lost', to: 'deferred' });
        waits.push(Date.parse(nacked.until) - clock.now);
        clock.now = Date.parse(nacked.until) - 1;
        await nothingFor(store);
        assert.equal((await store.inbox(agent, true, whole)).events.length, 1, 'it is owed all the same');
        clock.now += 1;
      }
      assert.deepEqual(waits, [1000, 2000, 4000, 7 * minute]);
    });

    it('gives back at once what is nacked without delay', async (t) => {
      const { store } = await fresh(t);
      await hunt(store);
      await hunt(store, { target: 'second' });
      const { id, lease } = await claimed(store);
      assert.deepEqual(await store.nack(agent, id, lease, { ...backOff, delayMs: 0 }), { kind: 'ready' });
      assert.deepEqual(await store.ack(agent, id, lease), { kind: 'lease-lost', to: 'ready' });
      assert.equal((await claimed(store)).id, id, 'the oldest first, as before');
    });

    it('ends everything that is held under a lease that is released, and nothing else', async (t) => {
      const { store } = await fresh(t);
      for (let i = 0; i < 4; i++) await hunt(store);
      const lease = newLease();
      const mine = await store.claim(agent, { max: 2, leaseMs: minute, lease });
      const [third] = await store.claim(agent, { max: 1, leaseMs: minute, lease });
      const other = await claimed(store);
      assert.deepEqual(
        [...mine, third].map((d) => d?.lease),
        [lease, lease, lease],
      );
      await store.ack(agent, mine[0]?.id as string, lease);
      assert.equal(await store.release('HADES', lease), 0);
      assert.equal(await store.release(agent, lease), 2);
      assert.equal(await store.release(agent, lease), 0);
      const again = await store.claim(agent, { max: 10, leaseMs: minute });
      assert.deepEqual(
        again.map((d) => [d.id, d.attempt]),
        [
          [mine[1]?.id, 2],
          [third?.id, 2],
        ],
      );
      assert.equal((await store.ack(agent, other.id, other.lease)).kind, 'acknowledged');
    });

    it('lets the compatible acknowledgement settle a delivery in any state, and its holder then lose the lease', async (t) => {
      const { store } = await fresh(t);
      const ids = [await hunt(store), await hunt(store), await hunt(store), await hunt(store)];
      const [dead, deferred, leased] = await store.claim(agent, { max: 3, leaseMs: minute });
      const lease = leased?.lease as string;
      await store.nack(agent, dead?.id as string, lease, { ...backOff, dead: true });
      await store.nack(agent, deferred?.id as string, lease, backOff);
      assert.equal((await store.event(ids[0] as string))?.status, 'failed');
      for (const id of ids) {
        assert.equal((await store.acknowledge(id, agent)).kind, 'acknowledged');
        assert.equal((await store.event(id))?.status, 'acknowledged');
      }
      assert.deepEqual(await store.ack(agent, leased?.id as string, lease), { kind: 'lease-lost', to: 'acknowledged' });
      const { openDeliveries, deadLetters } = await store.stats();
      assert.deepEqual([openDeliveries, deadLetters], [2, 0], 'HADES and HERMES were told of the dead one');
    });

    it('keeps leases, delays and attempts when it is opened again', async (t) => {
      const { store, again, clock } = await fresh(t);
      for (let i = 0; i < 3; i++) await hunt(store);
      const [held, put] = await store.claim(agent, { max: 2, leaseMs: minute });
      await store.nack(agent, put?.id as string, put?.lease as string, { ...backOff, delayMs: 1000 });
      const stats = await store.stats();
      const reopened = await again();
      assert.deepEqual({ ...(await reopened.stats()), bytes: 0 }, { ...stats, bytes: 0 });
      assert.equal((await reopened.sweep()).nextDueAt, clock.now + 1000);
      assert.equal((await claimed(reopened, 1)).attempt, 1);
      assert.equal((await reopened.ack(agent, held?.id as string, held?.lease as string)).kind, 'acknowledged');
      clock.now += 1000;
      assert.deepEqual(
        (await reopened.claim(agent, { max: 9, leaseMs: 1 })).map((d) => d.attempt),
        [2, 2],
      );
    });

    it('tells after each commit for whom something became ready, which leases ended, and when to sweep', async (t) => {
      const { store, clock } = await fresh(t);
      const heard: Pick<Commit, 'readyFor' | 'endedLeases' | 'dueAt'>[] = [];
      store.onCommitted(({ readyFor, endedLeases, dueAt }) => heard.push({ readyFor, endedLeases, dueAt }));
      const last = () => heard.at(-1);
      await stored(store, aFact({ action: 'audit_failed' }));
      assert.deepEqual(last()?.readyFor.toSorted(), ['HADES', 'HERMES']);
      await hunt(store);
      assert.deepEqual(last(), { readyFor: [agent], endedLeases: [], dueAt: null });
      const first = await claimed(store);
      assert.deepEqual(last(), { readyFor: [], endedLeases: [], dueAt: clock.now + minute });
      await store.nack(agent, first.id, first.lease, { ...backOff, delayMs: 500 });
      assert.deepEqual(last(), { readyFor: [], endedLeases: [first.lease], dueAt: clock.now + 500 });
      clock.now += 500;
      await store.sweep();
      assert.deepEqual(last(), { readyFor: [agent], endedLeases: [], dueAt: null });
      const second = await claimed(store);
      await store.release(agent, second.lease);
      assert.deepEqual(last(), { readyFor: [agent], endedLeases: [second.lease], dueAt: null });
      const third = await claimed(store);
      clock.now += minute;
      assert.equal((await store.sweep()).leasesEnded, 1);
      assert.deepEqual(last(), { readyFor: [agent], endedLeases: [third.lease], dueAt: null });
      const fourth = await claimed(store);
      await store.ack(agent, fourth.id, fourth.lease);
      assert.deepEqual(last(), { readyFor: [], endedLeases: [fourth.lease], dueAt: null });
    });
  });
}
