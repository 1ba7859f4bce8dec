import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { Draft } from '../../../events/draft.ts';
import { statuses } from '../../../events/event.ts';
import { aFact, anAnswer, aQuestion, aSubscription, minute, tempFolder, testClock } from '../store.fixtures.ts';
import type { Store } from '../store.ts';
import { assertFollows } from '../store-chain.contract.ts';
import type { Committed } from './commands.ts';
import { openDatabase } from './database.ts';
import { openSqliteStore } from './open.ts';
import { readerOf } from './reader.ts';
import { writerOf } from './writer.ts';

/** What the bus should know, kept in the plainest way. */
type Known = {
  id: string;
  source: string;
  action: string;
  question: { deadline: number | null; fallback: string | null; end: End | undefined } | undefined;
  acknowledged: Set<string>;
};
type End = { state: 'answered' | 'timed_out' | 'cancelled'; response: string | null };

const actions = ['deploy_started', 'deploy_failed', 'health_ok', 'nothing_special'];
const sources = ['A', 'B'];
const agents = ['HADES', 'ARGUS', 'ATHENA', 'QUEUE', 'stranger'];
/** Who hears which of these actions: agent → [by queue, by tail]. */
const hears: Record<string, (action: string, asks: boolean) => boolean> = {
  HADES: (action) => action.endsWith('_failed'),
  ARGUS: (action) => action.startsWith('health_') || action.endsWith('_started'),
  ATHENA: () => true,
  QUEUE: () => true,
  stranger: () => false,
};
const owed: Record<string, (action: string, asks: boolean) => boolean> = {
  HADES: (action) => action.endsWith('_failed'),
  CHRONOS: (action) => action === 'deploy_started',
  HERMES: (action, asks) => action.endsWith('_failed') || asks,
  ARIA: (_, asks) => asks,
  QUEUE: () => true,
};

const operation = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      op: fc.constant('publish' as const),
      source: fc.constantFrom(...sources),
      action: fc.constantFrom(...actions),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      op: fc.constant('ask' as const),
      source: fc.constantFrom(...sources),
      minutes: fc.constantFrom(null, 0, 1, 3),
      fallback: fc.constantFrom(null, 'no'),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      op: fc.constant('acknowledge' as const),
      nth: fc.nat(30),
      agent: fc.constantFrom(...agents, 'CHRONOS', 'HERMES', 'ARIA'),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      op: fc.constant('answer' as const),
      nth: fc.nat(30),
      response: fc.constantFrom('yes', 'no', 'maybe'),
    }),
  },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('cancel' as const), nth: fc.nat(30) }) },
  {
    weight: 2,
    arbitrary: fc.record({ op: fc.constant('wait' as const), ms: fc.constantFrom(1, minute / 2, minute, 2 * minute) }),
  },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('sweep' as const) }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('restart' as const) }) },
);
type Operation = typeof operation extends fc.Arbitrary<infer T> ? T : never;

describe('a batch with a command that fails', () => {
  it('takes everything but that command, and tells of all it did', async (t) => {
    const clock = testClock();
    const file = join(tempFolder(t), 'events.db');
    const { db, epoch } = await openDatabase(file, clock.read);
    t.after(() => db.close());
    const writer = writerOf(db, clock.read, file);
    const publish = (draft: Draft) => ({ op: 'publish', draft: { ...draft, details: null } }) as const;
    writer.commit([publish(aQuestion({ id: 'asked' }))]);
    const unbindable = { ...aFact(), target: {} } as unknown as Draft;
    const { outcomes, committed } = writer.commit([
      publish(aFact({ id: 'new', source_agent: 'NEW', action: 'never_seen_before' })),
      { op: 'answer', id: 'asked', answer: anAnswer() },
      publish(aQuestion({ human_timeout_minutes: 5 })),
      publish(unbindable),
      publish(aQuestion({ human_timeout_minutes: 3 })),
    ]);
    assert.deepEqual(
      outcomes.map((outcome) => 'value' in outcome && (outcome.value as { kind: string }).kind),
      ['stored', 'answered', 'stored', false, 'stored'],
    );
    const { head, resolved, dueAt, openQuestions } = committed as Committed;
    assert.deepEqual([head, openQuestions, dueAt], [5, 2, clock.now + 3 * minute]);
    assert.deepEqual(resolved, ['asked'], 'who waits for the answer is woken');
    const { events } = readerOf(db, epoch).events({ action: 'never_seen_before' }, { limit: 10 });
    assert.deepEqual(
      events.map((e) => e.id),
      ['new'],
      'an action that was first seen in the batch rolled back is known',
    );
    assertFollows(readerOf(db, epoch).chain(0, 10));
  });
});

describe('the SQLite store against a model', () => {
  it('agrees after any interleaving of publish, acknowledge, answer, cancel, deadline, sweep and restart', async (t) => {
    const folder = tempFolder(t);
    let run = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(operation, { maxLength: 40 }), async (operations) => {
        const file = join(folder, `${run++}.db`);
        const clock = testClock();
        let store = await openSqliteStore({ file, clock: clock.read });
        await store.addSubscription(aSubscription({ agent_name: 'QUEUE', action_pattern: '*' }), 'operator');
        const known: Known[] = [];
        try {
          for (const o of operations) {
            if (o.op === 'restart') {
              await store.close();
              store = await openSqliteStore({ file, clock: clock.read });
            } else await apply(store, known, clock, o);
          }
          await compare(store, known);
        } finally {
          await store.close();
        }
      }),
      { numRuns: 60 },
    );
  });
});

async function apply(store: Store, known: Known[], clock: { now: number }, o: Operation): Promise<void> {
  const at = (nth: number) => known[nth % Math.max(1, known.length)];
  const overdue = (k: Known) => {
    const q = k.question;
    if (q && !q.end && q.deadline !== null && q.deadline <= clock.now)
      q.end = { state: 'timed_out', response: q.fallback };
  };
  if (o.op === 'wait') clock.now += o.ms;
  if (o.op === 'publish') {
    const outcome = await store.publish(aFact({ source_agent: o.source, action: o.action }));
    assert.ok(outcome.kind === 'stored');
    known.push({
      id: outcome.receipt.id,
      source: o.source,
      action: o.action,
      question: undefined,
      acknowledged: new Set(),
    });
  }
  if (o.op === 'ask') {
    const outcome = await store.publish(
      aQuestion({
        source_agent: o.source,
        action: 'ask',
        human_timeout_minutes: o.minutes,
        human_fallback: o.fallback,
      }),
    );
    assert.ok(outcome.kind === 'stored');
    const deadline = o.minutes === null ? null : clock.now + o.minutes * minute;
    const asked: Known = {
      id: outcome.receipt.id,
      source: o.source,
      action: 'ask',
      question: { deadline, fallback: o.fallback, end: undefined },
      acknowledged: new Set(),
    };
    if (o.minutes === 0) overdue(asked);
    known.push(asked);
  }
  if (o.op === 'acknowledge') {
    const k = at(o.nth);
    const outcome = await store.acknowledge(k?.id ?? 'none', o.agent);
    assert.equal(outcome.kind, k ? 'acknowledged' : 'unknown');
    k?.acknowledged.add(o.agent);
  }
  if (o.op === 'answer' || o.op === 'cancel') {
    const k = at(o.nth);
    const outcome =
      o.op === 'answer'
        ? await store.answer(k?.id ?? 'none', anAnswer({ response: o.response }))
        : await store.cancel(k?.id ?? 'none', k?.source ?? 'A', 'http', null);
    if (!k) return assert.equal(outcome.kind, 'unknown');
    if (!k.question) return assert.equal(outcome.kind, 'asks-nothing');
    overdue(k);
    if (k.question.end) return assert.equal(outcome.kind, 'already-resolved');
    if (o.op === 'answer' && o.response === 'maybe') return assert.equal(outcome.kind, 'not-an-option');
    assert.equal(outcome.kind, o.op === 'answer' ? 'answered' : 'cancelled');
    k.question.end =
      o.op === 'answer' ? { state: 'answered', response: o.response } : { state: 'cancelled', response: null };
  }
  if (o.op === 'sweep') {
    const before = known.filter((k) => k.question?.end).length;
    for (const k of known) overdue(k);
    assert.equal((await store.sweep()).timedOut, known.filter((k) => k.question?.end).length - before);
  }
}

async function compare(store: Store, known: readonly Known[]): Promise<void> {
  const whole = { limit: 1000 };
  const { events } = await store.events({}, whole);
  const own = events.filter((e) => e.source_agent !== 'EVENT-BUS');
  assert.deepEqual(
    own.map((e) => e.id).reverse(),
    known.map((k) => k.id),
  );
  const seqs = events.map((e) => Number(e.bookmark.split('.')[1])).reverse();
  assert.deepEqual(
    seqs,
    Array.from({ length: events.length }, (_, i) => i + 1),
    'no gap',
  );
  for (const [i, k] of known.entries()) {
    const e = own.at(-1 - i);
    const end = k.question?.end;
    assert.deepEqual(Object.keys(e?.acknowledged_by ?? {}).sort(), [...k.acknowledged].sort());
    assert.equal(e?.human_state ?? undefined, end?.state ?? (k.question ? 'open' : undefined));
    assert.equal(e?.human_response ?? null, end?.response ?? null);
    const said = events.filter((x) => x.source_agent === 'EVENT-BUS' && x.causation_id === k.id);
    assert.equal(said.length, end ? 1 : 0, 'one resolution, one event');
    const rows = Object.keys(owed).filter((agent) => owed[agent]?.(k.action, k.question !== undefined));
    const settled = rows.every((agent) => k.acknowledged.has(agent));
    const expected = end
      ? { answered: 'completed', timed_out: 'timeout', cancelled: 'failed' }[end.state]
      : !k.question && settled
        ? 'acknowledged'
        : 'pending';
    assert.equal(e?.status, expected);
  }
  const open = known.filter((k) => k.question && !k.question.end).map((k) => k.id);
  assert.deepEqual((await store.pending(whole)).pending.map((q) => q.id).sort(), open.sort());
  for (const agent of agents)
    for (const unacknowledgedOnly of [false, true]) {
      const inbox = (await store.inbox(agent, unacknowledgedOnly, whole)).events.filter(
        (e) => e.source_agent !== 'EVENT-BUS',
      );
      const expected = known.filter(
        (k) => hears[agent]?.(k.action, k.question !== undefined) && !(unacknowledgedOnly && k.acknowledged.has(agent)),
      );
      assert.deepEqual(
        inbox.map((e) => e.id).reverse(),
        expected.map((k) => k.id),
        `${agent} ${unacknowledgedOnly}`,
      );
    }
  await compareFilters(store, events);
}

async function compareFilters(store: Store, events: Awaited<ReturnType<Store['events']>>['events']): Promise<void> {
  for (const source_agent of [undefined, 'A', 'nobody'])
    for (const action of [undefined, 'ask', 'deploy_failed'])
      for (const status of [undefined, ...statuses]) {
        const fits = events.filter(
          (e) =>
            (source_agent === undefined || e.source_agent === source_agent) &&
            (action === undefined || e.action === action) &&
            (status === undefined || e.status === status),
        );
        const listed = await store.events({ source_agent, action, status }, { limit: 3 });
        assert.deepEqual(
          listed.events.map((e) => e.id),
          fits.slice(0, 3).map((e) => e.id),
        );
      }
}
