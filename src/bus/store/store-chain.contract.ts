import assert from 'node:assert/strict';
import { createHash, generateKeyPairSync } from 'node:crypto';
import { describe, it, type TestContext } from 'node:test';
import { signCheckpoint } from './signed-checkpoint.ts';
import { aFact, anAnswer, aQuestion, minute, stored, type TestClock } from './store.fixtures.ts';
import type { Store } from './store.ts';
import type { ChainLink } from './verify-chain.ts';

type Fresh = (t: TestContext) => Promise<{ store: Store; again: () => Promise<Store>; clock: TestClock }>;

/** The chain, computed anew from its envelopes by the definition in docs/audit.md. */
export function assertFollows(links: readonly ChainLink[]): void {
  let previous = '0'.repeat(64);
  let through = 0;
  for (const link of links) {
    if (link.kind === 'purged') {
      assert.equal(link.from, through + 1);
      [previous, through] = [link.hash, link.to];
      continue;
    }
    assert.equal(link.seq, through + 1);
    previous = createHash('sha256').update(`${previous}${link.envelope}`, 'utf8').digest('hex');
    assert.equal(link.hash, previous, `event ${link.seq}`);
    through = link.seq;
  }
}

/** What every store promises of the audit chain. */
export function testChain(driver: string, fresh: Fresh): void {
  describe(`${driver} store: the chain`, () => {
    it('links every event to the one before, its own announcements too, over restarts', async (t) => {
      const { store, again, clock } = await fresh(t);
      await stored(store, aFact({ details: { a: [1, 'é'] }, tags: ['x'], correlation_id: 'c' }));
      const asked = aQuestion({ human_timeout_minutes: 1, escalation: [{ after_minutes: 0.5, notify: ['b', 'a'] }] });
      const first = await stored(store, asked);
      await stored(store, aQuestion({ human_timeout_minutes: 0, human_fallback: 'no' }));
      clock.now += minute / 2;
      await store.sweep();
      await store.answer(first.id, anAnswer());
      const reopened = await again();
      await stored(reopened, aFact());
      const links = await reopened.chain(0, 100);
      assert.equal(links.length, 7, 'a fact, two questions, a fallback, a rung, an answer, a fact');
      assertFollows(links);
    });

    it('speaks for all that was published, in an envelope that can be read', async (t) => {
      const { store, clock } = await fresh(t);
      const draft = aQuestion({
        ...{ id: 'mine', target: 'dev "1"', details: { n: 1.5 }, source_workflow_id: 'w', source_execution_id: 'x' },
        ...{ correlation_id: 'c1', causation_id: 'c0', traceparent: 'tp', tags: ['b', 'a'], human_fallback: 'no' },
        ...{ human_timeout_minutes: 2.5, free_text: true, answerers: ['Zoë'], payload_hash: 'ph' },
        escalation: [{ after_minutes: 1, notify: ['boss'] }],
      });
      await stored(store, draft);
      const [link] = await store.chain(0, 1);
      assert.ok(link?.kind === 'event' && link.envelope !== null);
      const envelope = JSON.parse(link.envelope);
      assert.deepEqual(Object.keys(envelope), Object.keys(envelope).toSorted());
      const { hearers, ...rest } = envelope;
      assert.deepEqual(hearers[0], ['ARIA', 'queue', 1]);
      assert.deepEqual(rest, {
        ...{ seq: 1, id: 'mine', at: clock.now, source_agent: 'HADES', action: 'rollback_proposed' },
        ...{ target: 'dev "1"', source_workflow_id: 'w', source_execution_id: 'x', correlation_id: 'c1' },
        ...{
          causation_id: 'c0',
          traceparent: 'tp',
          tags: ['b', 'a'],
          requires_human: true,
          question: 'Roll dev back?',
        },
        ...{ options: ['yes', 'no'], timeout_minutes: 2.5, deadline: clock.now + 2.5 * minute, fallback: 'no' },
        ...{ free_text: true, answerers: ['Zoë'], payload_hash: 'ph' },
        escalation: [{ after_minutes: 1, notify: ['boss'] }],
        details_sha256: createHash('sha256').update('{"n":1.5}').digest('hex'),
      });
    });

    it('is read in parts, and what is published meanwhile is seen', async (t) => {
      const { store } = await fresh(t);
      for (let n = 0; n < 5; n++) await stored(store, aFact());
      const seqs = async (after: number, limit: number) =>
        (await store.chain(after, limit)).map((link) => (link.kind === 'event' ? link.seq : 0));
      assert.deepEqual(await seqs(0, 2), [1, 2]);
      await stored(store, aFact());
      assert.deepEqual(await seqs(2, 100), [3, 4, 5, 6]);
      assert.equal((await store.events({}, { limit: 10 })).events.length, 6);
    });

    it('keeps one checkpoint for an event, and none of another chain', async (t) => {
      const { store, again } = await fresh(t);
      assert.deepEqual(await store.chainEnd(), { seq: 0, hash: null, checkpoint: null });
      await stored(store, aFact());
      const { seq, hash } = await store.chainEnd();
      assert.equal(seq, 1);
      const { privateKey } = generateKeyPairSync('ed25519');
      const unsigned = { seq, hash: hash as string, at: 5, epoch: store.epoch, key_id: 'k' };
      const checkpoint = signCheckpoint(unsigned, privateKey);
      assert.equal(await store.addCheckpoint({ ...checkpoint, hash: '0'.repeat(64) }), false);
      assert.equal(await store.addCheckpoint({ ...checkpoint, seq: 2 }), false);
      assert.equal(await store.addCheckpoint(checkpoint), true);
      assert.equal(await store.addCheckpoint(checkpoint), false);
      const reopened = await again();
      assert.deepEqual(await reopened.checkpoints(0, 10), [checkpoint]);
      assert.deepEqual(await reopened.checkpoints(1, 10), []);
      assert.deepEqual((await reopened.chainEnd()).checkpoint, checkpoint);
    });

    it('says in an event when another key signs, and only then', async (t) => {
      const { store, again } = await fresh(t);
      const [one, two] = [
        { key_id: '1', public_key: 'one' },
        { key_id: '2', public_key: 'two' },
      ] as const;
      assert.equal(await store.noteAuditKey(one), 'first');
      assert.equal(await store.noteAuditKey(one), 'same');
      assert.equal((await store.stats()).head, 0);
      const reopened = await again();
      assert.equal(await reopened.noteAuditKey(two), 'changed');
      const [said] = (await reopened.events({}, { limit: 5 })).events;
      assert.deepEqual([said?.source_agent, said?.action], ['EVENT-BUS', 'audit_key_changed']);
      assert.deepEqual(said?.details, { ...two, previous_key_id: '1', previous_public_key: 'one' });
    });
  });
}
