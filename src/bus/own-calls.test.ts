import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { z } from 'zod';
import { Fault } from '../base/fault.ts';
import type { JsonObject } from '../base/json.ts';
import { type Capability, returnedId } from '../events/capability.ts';
import type { Draft } from '../events/draft.ts';
import type { Event } from '../events/event.ts';
import { cutOffSince, ownWorkOf } from './own-calls.ts';

const capability: Capability = {
  ...{ name: 'tea.answer', summary: 'Answer', risk: 'write', doneBy: 'bus', example: {} },
  ...{ input: z.strictObject({}), output: z.object({}) },
};

/** As much of a store as this needs; the call is there. */
function stand() {
  const stored = new Map<string, Partial<Event>>([['call', { id: 'call', correlation_id: 'matter', target: 'dev' }]]);
  const store = {
    event: async (id: string) => stored.get(id) as Event | undefined,
    async publish(draft: Draft) {
      stored.set(draft.id as string, draft as Partial<Event>);
      return { kind: 'stored' } as never;
    },
  };
  return { work: ownWorkOf(store), told: () => stored.get(returnedId('tea.answer', 'call')) };
}

describe('a call that the bus does itself', () => {
  it('is done once however often it is asked for at the same time or later, and what came of it is told', async () => {
    const { work, told } = stand();
    let times = 0;
    const go = Promise.withResolvers<void>();
    const act = async (): Promise<JsonObject> => {
      times++;
      await go.promise;
      return { cups: 1 };
    };
    const both = [work(capability, 'call', act), work(capability, 'call', act)];
    go.resolve();
    await Promise.all(both);
    await work(capability, 'call', act);
    assert.equal(times, 1);
    const { took_ms, ...details } = (told()?.details ?? {}) as JsonObject;
    assert.equal(typeof took_ms, 'number');
    assert.deepEqual(details, { capability: 'tea.answer', ok: true, result: { cups: 1 } });
    assert.deepEqual([told()?.causation_id, told()?.correlation_id, told()?.target], ['call', 'matter', 'dev']);
  });

  it('that fails tells why, both to whoever called and to the log; a mistake of ours too', async () => {
    for (const [thrown, error] of [
      [
        new Fault('conflict', 'The pot is broken.', { hint: 'Buy one.' }),
        ['conflict', 'The pot is broken.', 'Buy one.'],
      ],
      [new Error('oh'), ['internal', 'oh', undefined]],
    ] as const) {
      const { work, told } = stand();
      await assert.rejects(
        work(capability, 'call', () => Promise.reject(thrown)),
        thrown,
      );
      const said = told()?.details as { ok: boolean; error: { code: string; message: string; hint?: string } };
      assert.deepEqual([said.ok, said.error.code, said.error.message, said.error.hint], [false, ...error]);
    }
  });

  it('has failed when an earlier run of the bus began it and did not end it', () => {
    const cutOff = cutOffSince({ head: () => 7, epoch: '0a0b0c0d' });
    const at = (seq: number) => ({ bookmark: `0a0b0c0d.${seq}` }) as Event;
    assert.equal(cutOff(capability, at(8)), undefined);
    assert.deepEqual(cutOff(capability, at(7))?.ok, false);
    const { doneBy, ...byAgent } = capability;
    assert.equal(cutOff(byAgent, at(7)), undefined);
  });
});
