import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { z } from 'zod';
import { type Capability, consequenceId, returnedId } from '../events/capability.ts';
import type { Event } from '../events/event.ts';
import { makeCalls } from './calls.ts';

const never = new AbortController().signal;
const capability: Capability = {
  ...{ name: 'tea.spill', summary: 'Spill', risk: 'destructive', example: {} },
  ...{ input: z.strictObject({}), output: z.object({}), question: () => 'Spill?' },
};

/** As much of a store as calls need: what is published is an event, and whoever follows is told. */
function stand() {
  const stored = new Map<string, Event>();
  const followers = new Set<(commit: never) => void>();
  const looks = { n: 0 };
  let n = 0;
  const store = {
    async publish(draft: Partial<Event>) {
      const id = draft.id ?? `c${n++}`;
      const event = { correlation_id: null, human_response: null, human_state: null, ...draft, id } as Event;
      stored.set(id, event);
      for (const each of followers) each(undefined as never);
      return { kind: 'stored', receipt: { id } };
    },
    async event(id: string) {
      looks.n++;
      return stored.get(id);
    },
    deadLetterOf: async () => undefined,
    head: () => 0,
    epoch: '00000000',
    explain: async () => ({ hearers: [{ agent: 'TEA.calls', mode: 'queue' }] }),
    onCommitted(follower: (commit: never) => void) {
      followers.add(follower);
      return () => followers.delete(follower);
    },
  };
  const secrets = { seal: () => [], noteKept: () => undefined };
  const calls = makeCalls({ store: store as never, capabilities: [capability], secrets });
  const from = { askedBy: { kind: 'person', name: 'anna' } as const, via: 'http', cause: undefined, key: undefined };
  return { calls, stored, store, looks, begin: () => calls.begin(capability, {}, from) };
}

describe('the calls that a bus keeps', () => {
  it('lets so many wait at the same time and no more, and all of them go when one is over', async () => {
    const { calls, begin, store } = stand();
    const id = await begin();
    const waiting = Array.from({ length: 500 }, () => calls.after(['running'], id, 60_000, never));
    while (calls.waiting < 500) await new Promise((resolve) => setImmediate(resolve));
    await assert.rejects(calls.after(['running'], id, 60_000, never), { code: 'queue-full' });
    assert.deepEqual([calls.isFull, (await calls.after(['running'], id, 0, never)).status], [true, 'running']);
    const returned = returnedId('tea.spill', id);
    const details = { capability: 'tea.spill', ok: true, result: {}, took_ms: 1 };
    await store.publish({ id: returned, source_agent: 'TEA', details });
    for (const { status } of await Promise.all(waiting)) assert.equal(status, 'done');
    assert.equal(calls.waiting, 0);
  });

  it('lets go of whoever waits when the time is over, the caller is gone or the bus stops', async () => {
    const { calls, begin } = stand();
    const id = await begin();
    assert.equal((await calls.after(['running'], id, 0, never)).status, 'running');
    assert.equal((await calls.after(['running'], id, 20, never)).status, 'running');
    const gone = new AbortController();
    const left = calls.after(['running'], id, 60_000, gone.signal);
    gone.abort();
    assert.equal((await left).status, 'running');
    const held = calls.after(['running'], id, 60_000, never);
    while (calls.waiting === 0) await new Promise((resolve) => setImmediate(resolve));
    calls.release();
    assert.equal((await held).status, 'running');
    assert.equal((await calls.after(['running'], id, 60_000, never)).status, 'running');
    assert.equal(calls.waiting, 0);
  });

  it('asks a question that is not longer than a question may be', async () => {
    const { calls, begin } = stand();
    const id = await begin();
    const { approval } = await calls.ask(id, {}, ['x'.repeat(10_000)]);
    assert.equal(approval?.question.length, 4000);
    assert.ok(approval?.question.startsWith('Spill?\nxxx'));
    const again = await calls.ask(id, { cups: 9 }, ['something else']);
    assert.deepEqual([again.approval, again.arguments], [approval, {}]);
  });

  it('knows no call but its own', async () => {
    const { calls, store } = stand();
    await assert.rejects(calls.call('never-was'), { code: 'not-found' });
    const details = { capability: 'tea.spill', arguments: {}, asked_by: { kind: 'person', name: 'anna' }, via: 'x' };
    await store.publish({ id: 'forged', source_agent: 'EVE', action: 'tea_spill_called', details });
    await assert.rejects(calls.ask('forged', {}, []), { code: 'not-found' });
    await store.publish({ id: 'odd', source_agent: 'EVENT-BUS', action: 'tea_brew_called', details });
    await assert.rejects(calls.after(['running'], 'odd', 1000, never), { code: 'not-found' });
    assert.equal(calls.waiting, 0);
  });

  it('shows no question but its own, and says so when another has taken the id of the question', async () => {
    const { calls, begin, store } = stand();
    const call = await begin();
    const forged = { human_question: 'All is well?', human_state: 'open' as const, payload_hash: 'x', details: {} };
    const id = consequenceId('EVENT-BUS', call, 'tea_spill_approval', null);
    await store.publish({ id, source_agent: 'EVE', action: 'tea_spill_approval', ...forged });
    const { status, approval } = await calls.call(call);
    assert.deepEqual([status, approval], ['running', null]);
    await assert.rejects(calls.ask(call, {}, []), { code: 'conflict', message: /"EVE" has taken the id/ });
  });

  it('fails, and breaks nothing, when its agent says what makes no sense', async () => {
    const { calls, begin, store } = stand();
    const error = { code: 'conflict', message: 'No.' };
    const odd = [null, {}, { ok: true }, { ok: true, result: [] }, { ok: false }, { ok: false, error: { code: 1 } }];
    for (const details of odd) {
      const id = await begin();
      await store.publish({ id: returnedId('tea.spill', id), source_agent: 'TEA', details });
      const call = await calls.call(id);
      assert.deepEqual([call.status, call.error?.code], ['failed', 'internal'], JSON.stringify(details));
    }
    const id = await begin();
    await store.publish({ id: returnedId('tea.spill', id), source_agent: 'TEA', details: { ok: false, error } });
    assert.deepEqual((await calls.call(id)).error, error);
  });

  it('asks nobody about arguments that the capability does not take', async () => {
    const { calls, begin } = stand();
    const id = await begin();
    await assert.rejects(calls.ask(id, { cups: 9 }, []), { code: 'invalid', message: /cups/ });
    assert.equal((await calls.call(id)).approval, null);
  });

  it('look together when they are many, and not each at every commit', async () => {
    const { calls, begin, store, looks } = stand();
    const id = await begin();
    const waiting = Array.from({ length: 200 }, () => calls.after(['running'], id, 60_000, never));
    await new Promise((resolve) => setImmediate(resolve));
    looks.n = 0;
    for (let n = 0; n < 100; n++) {
      await store.publish({ source_agent: 'ME', action: 'other' });
      await new Promise((resolve) => setImmediate(resolve));
    }
    const details = { ok: true, result: {}, took_ms: 1 };
    await store.publish({ id: returnedId('tea.spill', id), source_agent: 'TEA', details });
    for (const { status } of await Promise.all(waiting)) assert.equal(status, 'done');
    assert.ok(looks.n < 200 * 3 * 10, `${looks.n} looks`);
  });
});
