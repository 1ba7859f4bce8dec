import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { z } from 'zod';
import { Fault } from '../base/fault.ts';
import type { Client } from '../client/client.ts';
import type { Capability } from '../events/capability.ts';
import type { Event } from '../events/event.ts';
import { anEvent } from './agent.fixtures.ts';
import { type Conclusion, done, type Handler } from './agent.ts';
import { callsOf } from './calls.ts';

const never = new AbortController().signal;
const shape = { summary: 'Tea', input: z.strictObject({}), output: z.object({}), example: {} };
const capabilities: readonly Capability[] = [{ ...shape, name: 'tea.brew', risk: 'write' }];
const asked_by = { kind: 'person' as const, name: 'anna' };

/** TEA's calls on a bus that has these events. */
function stand(brew: Handler['run'], events: readonly Event[] = []) {
  const client: Pick<Client, 'event'> = {
    async event(id) {
      const found = events.find((each) => each.id === id);
      if (found === undefined) throw new Fault('not-found', 'There is no such event.');
      return found;
    },
  };
  const offers = { 'tea.brew': { run: brew } };
  const agent = { name: 'TEA', port: 0, hears: {}, longestMs: 1, react: async () => done(), offers };
  return callsOf(agent, capabilities, client as Client, { letGoMs: 5 }) ?? assert.fail('it offers something');
}

const called = (id: string) =>
  anEvent({
    ...{ id, source_agent: 'EVENT-BUS', action: 'tea_brew_called' },
    details: { capability: 'tea.brew', arguments: {}, asked_by, via: 'http' },
  });

describe('the calls of an agent', () => {
  it('are not begun any more when they were given back while they waited for their turn', async () => {
    const did: string[] = [];
    const go = Promise.withResolvers<void>();
    const calls = stand(async (_, { id }) => {
      did.push(id);
      await go.promise;
      return {};
    });
    const lost = new AbortController();
    const [first, second] = [calls.react(called('c1'), never), calls.react(called('c2'), lost.signal)];
    lost.abort(new Error('lost'));
    go.resolve();
    assert.equal((await first).end.kind, 'done');
    await assert.rejects(second, /lost/);
    assert.equal((await calls.react(called('c2'), never)).end.kind, 'done');
    assert.deepEqual(did, ['c1', 'c2']);
  });

  const overTime = () => new DOMException('late', 'TimeoutError');
  const errorOf = ({ says: [said] }: Conclusion) =>
    (said?.details as { error?: { message: string } } | undefined)?.error;

  it('go on after one whose handler does not end when its time is over, and say that it may be going on', async () => {
    const did: string[] = [];
    const late = new AbortController();
    const calls = stand(async (_, { id }) => {
      did.push(id);
      if (id === 'c1') await new Promise(() => undefined);
      return {};
    });
    const [first, second] = [calls.react(called('c1'), late.signal), calls.react(called('c2'), never)];
    late.abort(overTime());
    assert.match(errorOf(await first)?.message ?? '', /^tea\.brew was to end and did not; it may still be going on/);
    assert.equal(errorOf(await second), undefined);
    assert.deepEqual(did, ['c1', 'c2']);
  });

  it('are not begun beside themselves when they come again after their handler did not end', async () => {
    const did: string[] = [];
    const end = Promise.withResolvers<void>();
    const calls = stand(async (_, { id }) => {
      did.push(id);
      if (did.length === 1) await end.promise;
      return {};
    });
    const lost = new AbortController();
    const first = calls.react(called('c1'), lost.signal);
    await new Promise((resolve) => setImmediate(resolve));
    lost.abort(new Fault('lease-lost', 'lost'));
    await assert.rejects(first, { code: 'lease-lost' });
    assert.match(errorOf(await calls.react(called('c1'), never))?.message ?? '', /may still be going on/);
    assert.deepEqual(did, ['c1']);
    end.resolve();
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(errorOf(await calls.react(called('c1'), never)), undefined);
    assert.deepEqual(did, ['c1', 'c1']);
  });

  it('fail, and are not tried again, when their time is over', async () => {
    const late = new AbortController();
    const calls = stand(async (_, { signal }) => {
      await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
      return {};
    });
    const first = calls.react(called('c1'), late.signal);
    await new Promise((resolve) => setImmediate(resolve));
    late.abort(overTime());
    assert.equal(errorOf(await first)?.message, 'tea.brew took longer than it may, and was ended.');
  });

  it('are a dead letter, and not forgotten, when the question is gone that a person said yes to', async () => {
    const calls = stand(async () => assert.fail('nobody knows what was approved'));
    const answer = { asked_by: 'EVENT-BUS', action: 'tea_brew_approval', response: 'yes' };
    const answered = (more: object = {}) =>
      anEvent({
        ...{ source_agent: 'EVENT-BUS', action: 'human_responded', causation_id: 'gone' },
        details: { ...answer, ...more },
      });
    assert.equal((await calls.react(answered(), never)).end.kind, 'never');
    for (const other of [{ response: 'no' }, { asked_by: 'EVE' }, { action: 'may_i' }])
      assert.equal((await calls.react(answered(other), never)).end.kind, 'done');
  });
});
