import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import fc from 'fast-check';
import { maxPurged, type RetentionPlace, type RetentionRule } from './retention.ts';
import { firstOutside, parseRanges, unionOf } from './seq-ranges.ts';
import { aFact, anAnswer, aQuestion, aSubscription, minute, stored, type TestClock } from './store.fixtures.ts';
import type { Store } from './store.ts';
import { assertFollows } from './store-chain.contract.ts';

type Fresh = (t: TestContext) => Promise<{ store: Store; again: () => Promise<Store>; clock: TestClock }>;

const day = 24 * 60 * minute;
const whole = { limit: 1000 };
const rule = (actions: string, limits: Partial<RetentionRule>): RetentionRule => ({
  ...{ actions, maxAgeDays: null, maxCount: null },
  ...limits,
});

/** All that the rules no longer keep, over as many scans as it takes. */
async function due(store: Store, rules: readonly RetentionRule[]) {
  const seqs: number[] = [];
  const counts = rules.map(() => ({ due: 0, open_questions: 0, owed_at_priority_1: 0 }));
  for (let place: RetentionPlace | undefined; ; ) {
    const scan = await store.scanRetention(rules, place);
    seqs.push(...scan.due);
    for (const [i, count] of scan.counts.entries())
      for (const [name, n] of Object.entries(count)) (counts[i] as Record<string, number>)[name]! += n;
    if (scan.next === null) return { seqs, counts };
    place = scan.next;
  }
}

const seqsOf = async (store: Store) =>
  (await store.events({}, whole)).events.map((e) => Number(e.bookmark.split('.')[1])).toReversed();

/** What every store promises of retention. */
export function testRetention(driver: string, fresh: Fresh): void {
  describe(`${driver} store: retention`, () => {
    it('takes by age and by count what the first rule that matches no longer keeps', async (t) => {
      const { store, clock } = await fresh(t);
      for (const action of ['a_1', 'b', 'a_2', 'kept', 'a_1']) await stored(store, aFact({ action }));
      clock.now += 2 * day;
      for (const action of ['a_1', 'b', 'b', 'kept', 'b']) await stored(store, aFact({ action }));
      const byAge = [rule('a_1', { maxAgeDays: 3 }), rule('a_*', { maxAgeDays: 1 })];
      assert.deepEqual((await due(store, byAge)).seqs, [3], 'a_1 is the first rule’s');
      assert.deepEqual((await due(store, [rule('a_*', { maxAgeDays: 1 })])).seqs, [1, 3, 5]);
      assert.deepEqual((await due(store, [rule('b', { maxCount: 2 })])).seqs, [2, 7]);
      const both = [rule('a_*', { maxAgeDays: 1, maxCount: 1 }), rule('b', { maxCount: 0 })];
      assert.deepEqual((await due(store, both)).seqs, [1, 2, 3, 5, 7, 8, 10]);
      assert.deepEqual((await due(store, [rule('none', { maxCount: 0 })])).seqs, []);
      assert.deepEqual((await due(store, [])).seqs, []);
    });

    it('keeps open questions and what is owed at priority 1, and says how many', async (t) => {
      const { store } = await fresh(t);
      await store.addSubscription(aSubscription({ agent_name: 'FIRST', action_pattern: 'x', priority: 1 }), 'operator');
      const owed = await stored(store, aFact({ action: 'x' }));
      const question = await stored(store, aQuestion({ action: 'x' }));
      await store.acknowledge(question.id, 'FIRST');
      for (const agent of ['ARIA', 'HERMES']) await store.acknowledge(question.id, agent);
      const free = await stored(store, aFact({ action: 'x' }));
      await store.acknowledge(free.id, 'FIRST');
      const rules = [rule('x', { maxCount: 0 })];
      assert.deepEqual(await due(store, rules), {
        seqs: [3],
        counts: [{ due: 1, open_questions: 1, owed_at_priority_1: 1 }],
      });
      assert.equal((await store.purge([1, 2, 3, 99])).purged, 1, 'also where it became so after the scan');
      await store.acknowledge(owed.id, 'FIRST');
      await store.answer(question.id, anAnswer());
      assert.deepEqual((await due(store, rules)).seqs, [1, 2]);
    });

    it('keeps what an open question follows from, until that is answered', async (t) => {
      const { store } = await fresh(t);
      const cause = await stored(store, aFact({ action: 'x', id: 'the-call' }));
      await stored(store, aFact({ action: 'x', causation_id: 'the-call' }));
      const question = await stored(store, aQuestion({ action: 'may_i', causation_id: cause.id }));
      const rules = [rule('x', { maxCount: 0 })];
      assert.deepEqual(await due(store, rules), {
        seqs: [2],
        counts: [{ due: 1, open_questions: 1, owed_at_priority_1: 0 }],
      });
      assert.equal((await store.purge([1])).purged, 0, 'also where it became so after the scan');
      await store.answer(question.id, anAnswer());
      assert.deepEqual((await due(store, rules)).seqs, [1, 2]);
    });

    it('keeps what is delivered later until then', async (t) => {
      const { store, clock } = await fresh(t);
      await store.addSubscription(aSubscription({ agent_name: 'LATER', action_pattern: 'x', priority: 2 }), 'operator');
      const deliver_at = new Date(clock.now + 3 * day).toISOString();
      await stored(store, aFact({ action: 'x', deliver_at }));
      clock.now += 2 * day;
      for (const limits of [{ maxAgeDays: 1 }, { maxCount: 0 }])
        assert.deepEqual(await due(store, [rule('x', limits)]), {
          seqs: [],
          counts: [{ due: 0, open_questions: 0, owed_at_priority_1: 0 }],
        });
      assert.equal((await store.purge([1])).purged, 0);
      clock.now += 1.5 * day;
      assert.deepEqual((await due(store, [rule('x', { maxAgeDays: 1 })])).seqs, [], 'its age counts from then');
      assert.deepEqual((await due(store, [rule('x', { maxCount: 0 })])).seqs, [1]);
      clock.now += day;
      assert.deepEqual((await due(store, [rule('x', { maxAgeDays: 1 })])).seqs, [1]);
      assert.equal((await store.purge([1])).purged, 1);
    });

    it('leaves what somebody works on, and does not count it as due', async (t) => {
      const { store } = await fresh(t);
      await store.addSubscription(aSubscription({ agent_name: 'SLOW', action_pattern: 'x', priority: 2 }), 'operator');
      await stored(store, aFact({ action: 'x' }));
      await stored(store, aFact({ action: 'x' }));
      const [held] = await store.claim('SLOW', { max: 1, leaseMs: minute });
      const rules = [rule('x', { maxCount: 0 })];
      assert.deepEqual((await due(store, rules)).seqs, [2]);
      assert.equal((await store.purge([1, 2])).purged, 1, 'also where it became so after the scan');
      assert.equal((await store.ack('SLOW', held?.id ?? '', held?.lease ?? '')).kind, 'acknowledged');
      assert.deepEqual((await due(store, rules)).seqs, [1]);
    });

    it('says what went, with whom it was dropped, in an event that stays', async (t) => {
      const { store } = await fresh(t);
      await store.addSubscription(aSubscription({ agent_name: 'SLOW', action_pattern: 'x*', priority: 2 }), 'operator');
      for (const action of ['x1', 'x2', 'other', 'x1']) await stored(store, aFact({ action }));
      const before = await store.stats();
      assert.deepEqual(await store.purge([1, 2, 4]), {
        purged: 3,
        by_action: { x1: 2, x2: 1 },
        dropped_deliveries: { SLOW: 3 },
      });
      assert.equal((await store.stats()).openDeliveries, before.openDeliveries - 3);
      const [said] = (await store.events({}, whole)).events;
      assert.deepEqual([said?.source_agent, said?.action], ['EVENT-BUS', 'events_purged']);
      const { follows, ...details } = said?.details ?? {};
      assert.deepEqual(details, {
        ...{ count: 3, seqs: '1-2,4', by_action: { x1: 2, x2: 1 }, dropped_deliveries: { SLOW: 3 } },
      });
      assert.match(String(follows), /^0{32},[0-9a-f]{32}$/, 'the hash before each range, none before the first');
      assert.deepEqual((await due(store, [rule('*', { maxCount: 0 })])).seqs, [3], 'the announcement is not due');
      assert.equal((await store.purge([5])).purged, 0);
      assert.equal((await store.stats()).head, 5, 'a purge of nothing says nothing');
    });

    it('leaves nothing behind that belonged to what went, and lists go on over the gaps', async (t) => {
      const { store, again } = await fresh(t);
      const receipts = [];
      for (let n = 0; n < 30; n++) receipts.push(await stored(store, aFact({ action: n % 3 ? 'a' : 'b' })));
      for (const { id, seq } of receipts) if (seq <= 20 && seq !== 9) await store.acknowledge(id, 'ATHENA');
      const question = await stored(store, aQuestion({ action: 'a' }));
      await store.answer(question.id, anAnswer());
      for (const agent of ['ARIA', 'HERMES']) await store.acknowledge(question.id, agent);
      const gone = [1, 2, 3, 5, 9, 10, 11, 12, 20, 25, 31];
      assert.equal((await store.purge(gone)).purged, gone.length);
      const left = (await seqsOf(store)).filter((seq) => seq <= 32);
      assert.deepEqual(
        left,
        Array.from({ length: 32 }, (_, i) => i + 1).filter((seq) => !gone.includes(seq)),
      );
      assert.equal(await store.event(question.id), undefined);
      assert.deepEqual(await store.answer(question.id, anAnswer()), { kind: 'unknown' });
      assert.deepEqual(await store.acknowledge(receipts[0]?.id as string, 'ATHENA'), { kind: 'unknown' });
      const unread = async (on: Store) =>
        (await on.inbox('ATHENA', true, whole)).events.map((e) => e.bookmark.split('.')[1]);
      const expected = left
        .filter((seq) => seq > 20)
        .concat(33)
        .toReversed()
        .map(String);
      assert.deepEqual(await unread(store), expected);
      await store.acknowledge(receipts[20]?.id as string, 'ATHENA');
      const reopened = await again();
      assert.deepEqual(
        await unread(reopened),
        expected.filter((seq) => seq !== '21'),
      );
      assert.equal((await stored(reopened, aFact())).seq, 34);
      const page = await reopened.events({ action: 'a' }, { limit: 3, before: 13 });
      assert.deepEqual(
        page.events.map((e) => e.bookmark.split('.')[1]),
        ['8', '6'],
      );
    });

    it('keeps the chain whole over runs that touch and do not', async (t) => {
      const { store } = await fresh(t);
      for (let n = 0; n < 20; n++) await stored(store, aFact({ action: 'a' }));
      for (const seqs of [[3, 4], [6], [5], [1], [2, 10], [20]]) await store.purge(seqs);
      const links = await store.chain(0, 100);
      assertFollows(links);
      const runs = links.flatMap((link) => (link.kind === 'purged' ? [[link.from, link.to]] : []));
      assert.deepEqual(runs, [
        [1, 6],
        [10, 10],
        [20, 20],
      ]);
    });

    it('takes a bounded number in one step, and all in several', async (t) => {
      const { store } = await fresh(t);
      const drafts = Array.from({ length: maxPurged * 2 + 7 }, (_, i) => aFact({ action: i % 2 ? 'b' : `a${i % 40}` }));
      await Promise.all(drafts.map((draft) => stored(store, draft)));
      const rules = [rule('*', { maxCount: 5 })];
      let [taken, steps] = [0, 0];
      for (let place: RetentionPlace | undefined; ; steps++) {
        const scan = await store.scanRetention(rules, place);
        assert.ok(scan.due.length <= maxPurged);
        taken += (await store.purge(scan.due)).purged;
        if (scan.next === null) break;
        place = scan.next;
      }
      assert.equal(taken, maxPurged * 2 + 2);
      assert.ok(steps >= 2);
      assertFollows(await store.chain(0, 1000));
    });

    it('survives any order of publishing and purging with a chain that holds, and tells of each that went', async (t) => {
      const { store, again } = await fresh(t);
      let on = store;
      const step = fc.oneof(
        fc.record({ publish: fc.integer({ min: 1, max: 6 }) }),
        fc.record({ purge: fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 10 }) }),
        fc.constant({ reopen: true as const }),
      );
      await fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 8 }), async (steps) => {
          for (const each of steps) {
            if ('publish' in each) for (let n = 0; n < each.publish; n++) await stored(on, aFact({ action: 'p' }));
            else if ('purge' in each) await on.purge([...new Set(each.purge)].toSorted((a, b) => a - b));
            else on = await again();
          }
          const links = await on.chain(0, 100_000);
          assertFollows(links);
          const said = (await on.events({ action: 'events_purged' }, whole)).events.map(
            (e) => e.details?.seqs as string,
          );
          const announced = unionOf(said.flatMap(parseRanges));
          for (const link of links)
            if (link.kind === 'purged') assert.equal(firstOutside(announced, [link.from, link.to]), undefined);
        }),
        { numRuns: 25 },
      );
    });
  });
}
