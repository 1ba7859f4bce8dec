import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Draft } from '../../events/draft.ts';
import { aFact, stored } from './store.fixtures.ts';
import type { Fresh } from './store-questions.contract.ts';

/** Every field of a publish with a value and another. The type demands each: a new field is compared, or said not to be. */
const fields: Record<Exclude<keyof Draft, 'id'>, [value: unknown, other: unknown]> = {
  source_agent: ['HADES', 'AEGIS'],
  action: ['rollback_proposed', 'rollback_needed'],
  target: ['dev', 'prod'],
  details: [{ n: 1 }, { n: 2 }],
  source_workflow_id: ['w1', 'w2'],
  source_execution_id: ['x1', 'x2'],
  correlation_id: ['c1', 'c2'],
  causation_id: ['e1', 'e2'],
  traceparent: ['00-1-2-03', '00-1-3-03'],
  tags: [
    ['red', 'blue'],
    ['blue', 'red'],
  ],
  requires_human: [true, false],
  human_question: ['Roll dev back?', 'Roll it back?'],
  human_options: [
    ['yes', 'no'],
    ['no', 'yes'],
  ],
  human_timeout_minutes: [30, 31],
  human_fallback: ['no', 'yes'],
  free_text: [true, false],
  answerers: [['ann'], ['ann', 'bob']],
  deliver_at: ['2026-02-01T08:00:00Z', '2026-02-01T08:00:01Z'],
  payload_hash: ['sha256:1', 'sha256:2'],
  escalation: [[{ after_minutes: 5, notify: ['ann'] }], [{ after_minutes: 6, notify: ['ann'] }]],
};
const full = Object.fromEntries(Object.entries(fields).map(([field, [value]]) => [field, value])) as Draft;
/** A sender always says these; without them it is no publish. */
const needed = ['source_agent', 'action'];

/** What every store promises to a sender that got no answer and sends again. */
export function testResending(driver: string, fresh: Fresh): void {
  describe(`${driver} store: the same id again`, () => {
    it('is the same event when every field is the same', async (t) => {
      const { store } = await fresh(t);
      const receipt = await stored(store, { ...full, id: 'mine' });
      assert.deepEqual(await store.publish({ ...full, id: 'mine' }), { kind: 'duplicate', receipt });
      assert.equal((await store.stats()).head, 1);
    });

    it('is stored once however many send it at once, and known after a restart', async (t) => {
      const { store, again } = await fresh(t);
      const sent = await Promise.all(Array.from({ length: 30 }, () => store.publish({ ...full, id: 'mine' })));
      assert.deepEqual(sent.map(({ kind }) => kind).sort(), [...Array(29).fill('duplicate'), 'stored']);
      const receipts = sent.map((each) => 'receipt' in each && each.receipt);
      assert.equal(new Set(receipts.map((receipt) => JSON.stringify(receipt))).size, 1);
      const reopened = await again();
      assert.deepEqual(await reopened.publish({ ...full, id: 'mine' }), { kind: 'duplicate', receipt: receipts[0] });
      assert.deepEqual(await reopened.publish({ ...full, id: 'mine', source_agent: 'AEGIS' }), {
        kind: 'id-taken',
        by: 'HADES',
      });
      assert.equal((await reopened.stats()).head, 1);
    });

    for (const [field, [, other]] of Object.entries(fields))
      it(`is another event when ${field} is different or missing`, async (t) => {
        const { store } = await fresh(t);
        await stored(store, { ...full, id: 'mine' });
        for (const value of needed.includes(field) ? [other] : [other, null, undefined])
          assert.deepEqual(
            await store.publish({ ...full, id: 'mine', [field]: value }),
            { kind: 'id-taken', by: 'HADES' },
            `${field}: ${JSON.stringify(value)}`,
          );
        assert.equal((await store.stats()).head, 1);
      });

    for (const [field, [value]] of Object.entries(fields).filter(([name]) => !needed.includes(name)))
      it(`is another event when ${field} was not there before`, async (t) => {
        const { store } = await fresh(t);
        await stored(store, aFact({ id: 'mine', target: null }));
        const outcome = await store.publish(aFact({ id: 'mine', target: null, [field]: value }));
        assert.deepEqual(outcome, { kind: 'id-taken', by: 'HEPHAESTUS' });
      });

    it('is the same event whether a field is left out, null or at what that means', async (t) => {
      const { store } = await fresh(t);
      const bare = { source_agent: 'HADES', action: 'a', id: 'mine' };
      await stored(store, bare);
      const nulls = Object.fromEntries(Object.keys(fields).map((field) => [field, null]));
      for (const said of [nulls, { requires_human: false, free_text: false, tags: [] }])
        assert.equal((await store.publish({ ...said, ...bare })).kind, 'duplicate');
    });
  });
}
