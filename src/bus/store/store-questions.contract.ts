import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { aFact, anAnswer, aQuestion, minute, resolutionIn, stored, type TestClock } from './store.fixtures.ts';
import type { Store } from './store.ts';

const whole = { limit: 1000 };

/** A store with nothing in it, on a clock the test moves. */
export type Fresh = (t: TestContext) => Promise<{ store: Store; again: () => Promise<Store>; clock: TestClock }>;

async function swept(store: Store): Promise<unknown[]> {
  const { timedOut, escalated, nextDueAt } = await store.sweep();
  return [timedOut, escalated, nextDueAt];
}

/** What every store promises about the life of a question. */
export function testQuestions(driver: string, fresh: Fresh): void {
  describe(`${driver} store: questions`, () => {
    it('takes an answer, says it as an event, and shows it in the event', async (t) => {
      const { store, clock } = await fresh(t);
      const { id } = await stored(
        store,
        aQuestion({ human_timeout_minutes: 5, target: 'dev', correlation_id: 'deploy-7' }),
      );
      clock.now += minute;
      const outcome = await store.answer(id, anAnswer());
      assert.equal(outcome.kind, 'answered');
      const event = await store.event(id);
      assert.equal(event?.status, 'completed');
      assert.equal(event?.human_response, 'yes');
      assert.equal(event?.human_responded_by, 'damon');
      assert.equal(event?.human_responded_via, 'cli');
      assert.equal(event?.human_responded_at, '2026-01-16T10:31:00.000Z');
      const [said] = (await store.events({ action: 'human_responded' }, whole)).events;
      assert.equal(said?.source_agent, 'EVENT-BUS');
      assert.equal(said?.causation_id, id);
      assert.equal(said?.correlation_id, 'deploy-7');
      assert.equal(said?.target, 'dev');
      assert.equal(said?.details?.response, 'yes');
      assert.deepEqual((await store.pending(whole)).pending, []);
    });

    it('lets exactly one of 16 simultaneous answers win and tells the others who did', async (t) => {
      const { store } = await fresh(t);
      const { id } = await stored(store, aQuestion());
      const outcomes = await Promise.all(
        Array.from({ length: 16 }, (_, i) =>
          store.answer(id, anAnswer({ responder: `p${i}`, response: i % 2 ? 'yes' : 'no' })),
        ),
      );
      assert.equal(outcomes.filter((o) => o.kind === 'answered').length, 1);
      const winners = new Set(outcomes.map((o) => resolutionIn(o).responded_by));
      assert.equal(winners.size, 1);
      assert.equal((await store.events({ action: 'human_responded' }, whole)).events.length, 1);
    });

    for (const [at, kind] of [
      [5 * minute - 1, 'answered'],
      [5 * minute, 'already-resolved'],
    ] as const)
      it(`finds an answer ${at} ms after the question with 5 minutes ${kind}, although no sweep came`, async (t) => {
        const { store, clock } = await fresh(t);
        const { id } = await stored(store, aQuestion({ human_timeout_minutes: 5, human_fallback: 'no' }));
        clock.now += at;
        const outcome = await store.answer(id, anAnswer());
        assert.equal(outcome.kind, kind);
        const { state, response } = resolutionIn(outcome);
        assert.deepEqual([state, response], kind === 'answered' ? ['answered', 'yes'] : ['timed_out', 'no']);
        assert.equal((await store.sweep()).timedOut, 0, 'nothing is left to do');
      });

    it('gives no answer the time after the deadline, even when the clock passes it while the answer is looked at', async (t) => {
      for (let early = 0; early < 8; early++) {
        const { store, clock } = await fresh(t);
        const { id } = await stored(store, aQuestion({ human_timeout_minutes: 5, human_fallback: 'no' }));
        clock.now += 5 * minute - early;
        clock.tick = 1;
        const { state, response, resolved_at } = resolutionIn(await store.answer(id, anAnswer()));
        const isLate = Date.parse(resolved_at) >= Date.parse((await store.event(id))?.timeout_at ?? '');
        assert.deepEqual([state, response], isLate ? ['timed_out', 'no'] : ['answered', 'yes'], `${early} ms early`);
        await store.sweep();
        const said = (await store.events({ source_agent: 'EVENT-BUS' }, whole)).events;
        assert.equal(said.length, 1, 'one resolution');
      }
    });

    it('ends once when 16 answers, a cancellation and sweeps race each other and the deadline', async (t) => {
      const ends = new Set<string>();
      for (let early = 0; early < 60; early += 3) {
        const { store, clock } = await fresh(t);
        const { id } = await stored(store, aQuestion({ human_timeout_minutes: 5, human_fallback: 'no' }));
        clock.now += 5 * minute - early;
        clock.tick = 1;
        const race = Array.from({ length: 16 }, (_, n) => store.answer(id, anAnswer({ responder: `p${n}` })));
        const cancelling = store.cancel(id, 'HADES', 'http', null);
        const [answers, cancelled] = [await Promise.all([store.sweep(), ...race, store.sweep()]), await cancelling];
        const outcomes = [...answers.filter((o) => 'kind' in o), cancelled];
        const event = await store.event(id);
        const state = event?.human_state as string;
        const won = outcomes.filter((o) => o.kind === 'answered' || o.kind === 'cancelled');
        assert.equal(won.length, state === 'timed_out' ? 0 : 1);
        for (const outcome of outcomes) assert.equal(resolutionIn(outcome).state, state);
        assert.equal((await store.events({ source_agent: 'EVENT-BUS' }, whole)).events.length, 1);
        ends.add(state);
      }
      assert.ok(ends.has('answered') && ends.has('timed_out'), `both ends were reached: ${[...ends]}`);
    });

    it('applies the fallback at the deadline, also when nobody was there', async (t) => {
      const { store, again, clock } = await fresh(t);
      const { id } = await stored(store, aQuestion({ human_timeout_minutes: 5, human_fallback: 'no' }));
      await stored(store, aQuestion({ human_timeout_minutes: 90 }));
      assert.deepEqual(await swept(store), [0, 0, clock.now + 5 * minute]);
      clock.now += 60 * minute;
      const reopened = await again();
      assert.deepEqual(await swept(reopened), [1, 0, clock.now + 30 * minute]);
      const event = await reopened.event(id);
      assert.deepEqual([event?.status, event?.human_state, event?.human_response], ['timeout', 'timed_out', 'no']);
      assert.equal((await reopened.events({ action: 'human_timed_out' }, whole)).events[0]?.causation_id, id);
    });

    it('times out without an answer when there is no fallback', async (t) => {
      const { store, clock } = await fresh(t);
      const { id } = await stored(store, aQuestion({ human_timeout_minutes: 1 }));
      clock.now += minute;
      await store.sweep();
      const event = await store.event(id);
      assert.deepEqual([event?.status, event?.human_response, event?.human_responded_at], ['timeout', null, null]);
    });

    it('is due at once with a timeout of 0, and never without one', async (t) => {
      const { store, clock } = await fresh(t);
      const now = await stored(store, aQuestion({ human_timeout_minutes: 0, human_fallback: 'no' }));
      assert.equal((await store.event(now.id))?.human_response, 'no');
      const never = await stored(store, aQuestion());
      assert.equal(never.timeoutAt, null);
      clock.now += 1000 * 365 * 24 * 60 * minute;
      await store.sweep();
      assert.equal((await store.answer(never.id, anAnswer())).kind, 'answered');
    });

    const refused: [
      what: string,
      question: Parameters<typeof aQuestion>[0],
      answer: Parameters<typeof anAnswer>[0],
      kind: string,
    ][] = [
      ['what is no option', {}, { response: 'maybe' }, 'not-an-option'],
      ['the asker itself', {}, { responder: 'HADES' }, 'self-answer'],
      ['the asker in small letters', {}, { responder: 'hades' }, 'self-answer'],
      ['the asker with a blank in front', {}, { responder: ' HADES' }, 'self-answer'],
      ['somebody not named', { answerers: ['ann'] }, {}, 'not-an-answerer'],
      ['an answer to other contents', { payload_hash: 'sha256:1' }, { payloadHash: 'sha256:2' }, 'payload-changed'],
      [
        'an approval by who may approve nothing',
        { payload_hash: 'sha256:1' },
        { payloadHash: 'sha256:1', mayApprove: false },
        'needs-approval',
      ],
      ['an approval that says nothing of what was shown', { payload_hash: 'sha256:1' }, {}, 'payload-missing'],
      ['a hash where none was shown', {}, { payloadHash: 'sha256:2' }, 'payload-changed'],
    ];
    for (const [what, question, answer, kind] of refused)
      it(`refuses ${what}, and the question stays open`, async (t) => {
        const { store } = await fresh(t);
        const { id } = await stored(store, aQuestion(question));
        assert.equal((await store.answer(id, anAnswer(answer))).kind, kind);
        assert.equal((await store.event(id))?.human_state, 'open');
      });

    const taken: [what: string, question: Parameters<typeof aQuestion>[0], answer: Parameters<typeof anAnswer>[0]][] = [
      ['free text where it is allowed', { free_text: true }, { response: 'maybe' }],
      ['any text where there are no options', { human_options: null }, { response: 'maybe' }],
      ['any text where the list of options is empty', { human_options: [] }, { response: 'maybe' }],
      ['a named answerer', { answerers: ['ann'] }, { responder: 'ann' }],
      ['a plain answer of who may approve nothing', {}, { mayApprove: false }],
      ['the hash of what was shown', { payload_hash: 'sha256:1' }, { payloadHash: 'sha256:1' }],
    ];
    for (const [what, question, answer] of taken)
      it(`takes ${what}`, async (t) => {
        const { store } = await fresh(t);
        const { id } = await stored(store, aQuestion(question));
        assert.equal((await store.answer(id, anAnswer(answer))).kind, 'answered');
      });

    it('knows no question that does not exist, and none where nothing was asked', async (t) => {
      const { store } = await fresh(t);
      const { id } = await stored(store, aFact({ human_question: 'kept, but nobody is asked' }));
      assert.equal((await store.answer('none', anAnswer())).kind, 'unknown');
      assert.equal((await store.answer(id, anAnswer())).kind, 'asks-nothing');
      assert.equal((await store.cancel('none', 'HADES', 'http', null)).kind, 'unknown');
      assert.equal((await store.noteShown('none', 'telegram')).kind, 'unknown');
      const event = await store.event(id);
      assert.deepEqual([event?.requires_human, event?.human_question], [false, 'kept, but nobody is asked']);
      assert.deepEqual((await store.pending(whole)).pending, []);
    });

    it('lets only the asker take a question back, and no answer afterwards', async (t) => {
      const { store } = await fresh(t);
      const { id } = await stored(store, aQuestion());
      assert.deepEqual(await store.cancel(id, 'AEGIS', 'http', null), { kind: 'not-the-asker', asker: 'HADES' });
      assert.equal((await store.cancel(id, 'HADES', 'http', 'settled by itself')).kind, 'cancelled');
      assert.equal((await store.answer(id, anAnswer())).kind, 'already-resolved');
      assert.equal((await store.cancel(id, 'HADES', 'http', null)).kind, 'already-resolved');
      assert.equal((await store.event(id))?.status, 'failed');
      const [said] = (await store.events({ action: 'human_cancelled' }, whole)).events;
      assert.equal(said?.details?.reason, 'settled by itself');
    });

    it('notes that a channel has shown it, and keeps the first time', async (t) => {
      const { store, clock } = await fresh(t);
      const { id } = await stored(store, aQuestion());
      assert.equal((await store.event(id))?.human_notified, false);
      for (const via of ['telegram', 'cli']) {
        clock.now += minute;
        await store.noteShown(id, via);
        const event = await store.event(id);
        assert.deepEqual([event?.human_notified, event?.updated_at], [true, '2026-01-16T10:31:00.000Z']);
        assert.equal((await store.pending(whole)).pending[0]?.human_notified, true);
      }
    });

    it('counts what is open, down to nothing, however a question ends', async (t) => {
      const { store, again, clock } = await fresh(t);
      const open = async () => (await store.stats()).openQuestions;
      const answered = await stored(store, aQuestion());
      const cancelled = await stored(store, aQuestion());
      await stored(store, aQuestion({ human_timeout_minutes: 5 }));
      const late = await stored(store, aQuestion({ human_timeout_minutes: 10 }));
      await stored(store, aQuestion({ human_timeout_minutes: 0 }));
      await stored(store, aFact({ human_question: 'kept, but nobody is asked' }));
      assert.equal(await open(), 4, 'one was due at once, one asks nobody');
      await store.answer(answered.id, anAnswer());
      await store.answer(answered.id, anAnswer());
      assert.equal(await open(), 3);
      await store.cancel(cancelled.id, 'HADES', 'http', null);
      assert.equal(await open(), 2);
      clock.now += 5 * minute;
      await store.sweep();
      assert.equal(await open(), 1);
      clock.now += 5 * minute;
      assert.equal((await store.answer(late.id, anAnswer())).kind, 'already-resolved');
      assert.equal(await open(), 0);
      assert.equal((await (await again()).stats()).openQuestions, 0);
    });

    it('says in the resolution what was asked and with which hash it was answered', async (t) => {
      const { store, clock } = await fresh(t);
      const hashed = { payload_hash: 'sha256:1', human_timeout_minutes: 5 };
      const shown = await stored(store, aQuestion(hashed));
      const dropped = await stored(store, aQuestion(hashed));
      const late = await stored(store, aQuestion(hashed));
      const plain = await stored(store, aQuestion());
      await store.answer(shown.id, anAnswer({ payloadHash: 'sha256:1' }));
      await store.answer(plain.id, anAnswer());
      await store.cancel(dropped.id, 'HADES', 'http', null);
      clock.now += 5 * minute;
      await store.sweep();
      const said = (await store.events({ source_agent: 'EVENT-BUS' }, whole)).events;
      const detailsFor = (id: string) => said.find((e) => e.causation_id === id)?.details ?? {};
      const { asked_by, action, question, deadline, event_id } = detailsFor(shown.id);
      assert.deepEqual(
        { asked_by, action, question, deadline, event_id },
        {
          asked_by: 'HADES',
          action: 'rollback_proposed',
          question: 'Roll dev back?',
          deadline: shown.timeoutAt,
          event_id: shown.id,
        },
      );
      for (const [{ id }, expected] of [
        [shown, ['sha256:1', 'sha256:1']],
        [dropped, ['sha256:1', undefined]],
        [late, ['sha256:1', undefined]],
        [plain, [undefined, undefined]],
      ] as const)
        assert.deepEqual([detailsFor(id).payload_hash, detailsFor(id).answered_payload_hash], expected);
    });

    it('lists the soonest deadline first, those without one last, and pages through them', async (t) => {
      const { store } = await fresh(t);
      for (const minutes of [null, 30, 10, null, 20])
        await stored(store, aQuestion({ human_timeout_minutes: minutes, target: String(minutes) }));
      const order = ['10', '20', '30', 'null', 'null'];
      assert.deepEqual(
        (await store.pending(whole)).pending.map((q) => q.target),
        order,
      );
      const first = await store.pending({ limit: 3 });
      const second = await store.pending({ limit: 3, after: first.next ?? undefined });
      const third = first.next && (await store.pending({ limit: 1, after: first.next }));
      assert.deepEqual(
        [...first.pending, ...second.pending].map((q) => q.target),
        order,
      );
      assert.equal(second.next, null);
      assert.notEqual(third?.next, null);
    });

    it('tells each rung once, to the people it names, who may then answer', async (t) => {
      const { store, again, clock } = await fresh(t);
      const escalation = [
        { after_minutes: 10, notify: ['boss'] },
        { after_minutes: 5, notify: ['bob', 'ann'] },
      ];
      const { id } = await stored(store, aQuestion({ answerers: ['ann'], escalation, human_timeout_minutes: 60 }));
      assert.equal((await store.sweep()).nextDueAt, clock.now + 5 * minute);
      clock.now += 5 * minute;
      assert.deepEqual(await swept(store), [0, 1, clock.now + 5 * minute]);
      assert.equal((await store.sweep()).escalated, 0);
      const [told] = (await store.inbox('bob', true, whole)).events;
      assert.deepEqual(
        [told?.action, told?.causation_id, told?.details?.notify],
        ['human_escalated', id, ['bob', 'ann']],
      );
      assert.equal((await store.answer(id, anAnswer({ responder: 'boss' }))).kind, 'not-an-answerer');
      clock.now += 30 * minute;
      const reopened = await again();
      assert.equal((await reopened.sweep()).escalated, 1);
      assert.deepEqual(
        (await reopened.event(id))?.escalation?.map((r) => r.fired_at),
        ['2026-01-16T10:35:00.000Z', '2026-01-16T11:05:00.000Z'],
      );
      assert.equal((await reopened.answer(id, anAnswer({ responder: 'boss' }))).kind, 'answered');
    });

    it('knows a question that is sent again, also after it was escalated and answered', async (t) => {
      const { store, clock } = await fresh(t);
      const escalation = [
        { after_minutes: 9, notify: ['boss'] },
        { after_minutes: 5, notify: ['bob'] },
      ];
      const sent = aQuestion({ id: 'q', answerers: ['ann'], escalation, free_text: true, human_timeout_minutes: 60 });
      await stored(store, sent);
      clock.now += 6 * minute;
      await store.sweep();
      await store.answer('q', anAnswer({ responder: 'ann' }));
      assert.equal((await store.publish(sent)).kind, 'duplicate');
      const other = { ...sent, escalation: escalation.slice(1) };
      assert.equal((await store.publish(other)).kind, 'id-taken');
    });

    it('tells its listeners after each commit which questions ended and when the next is due', async (t) => {
      const { store, clock } = await fresh(t);
      const heard: unknown[] = [];
      const stop = store.onCommitted(({ head, resolved, dueAt }) => heard.push([head, [...resolved], dueAt]));
      const { id } = await stored(store, aQuestion({ human_timeout_minutes: 1 }));
      await store.answer(id, anAnswer());
      stop();
      await stored(store, aFact());
      assert.deepEqual(heard, [
        [1, [], clock.now + minute],
        [2, [id], null],
      ]);
    });
  });
}
