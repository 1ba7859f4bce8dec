import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Fault, type FaultCode } from '../base/fault.ts';
import type { Draft } from '../events/draft.ts';
import type { Event, QuestionState } from '../events/event.ts';
import { type AskOptions, ask } from './ask.ts';
import type { Client, PublishReceipt } from './client.ts';

const question: Draft = { source_agent: 'ME', action: 'may_i', human_question: 'May I?' };
const fault = (code: FaultCode, extra = {}) => new Fault(code, code, { extra });
const inState = (human_state: QuestionState) => ({ human_state }) as Event;

/** A bus that answers in the given order; a Fault is thrown. Time passes only while `ask` sleeps. */
function bus(publishes: (Fault | 'ok')[], waits: (Fault | QuestionState)[]) {
  const ids: unknown[] = [];
  const slept: number[] = [];
  let now = 0;
  const client = {
    async publish({ id }: Draft) {
      ids.push(id);
      const next = publishes.shift() ?? 'ok';
      if (next !== 'ok') throw next;
      return { id } as PublishReceipt;
    },
    async event() {
      const next = waits.shift() ?? 'answered';
      if (next instanceof Fault) throw next;
      return inState(next);
    },
  } as unknown as Client;
  const options: AskOptions = {
    clock: () => now,
    async sleep(ms) {
      slept.push(ms);
      now += ms;
    },
  };
  return { client, options, ids, slept };
}

describe('asking and waiting', () => {
  it('waits again until the question is resolved', async () => {
    const { client, options } = bus(['ok'], ['open', 'open', 'timed_out']);
    assert.equal((await ask(client, question, options)).human_state, 'timed_out');
  });

  it('sends the same id again when the connection broke, so the question is stored once', async () => {
    const { client, options, ids } = bus([fault('unreachable'), fault('unavailable'), 'ok'], []);
    await ask(client, question, options);
    assert.equal(ids.length, 3);
    assert.equal(new Set(ids).size, 1);
    assert.match(String(ids[0]), /^[\w-]{36}$/);
  });

  it('keeps the id it was given', async () => {
    const { client, options, ids } = bus(['ok'], []);
    await ask(client, { ...question, id: 'mine' }, options);
    assert.deepEqual(ids, ['mine']);
  });

  it('goes on waiting while the bus restarts, with growing pauses', async () => {
    const away = Array.from({ length: 20 }, () => fault('unreachable'));
    const { client, options, slept } = bus(['ok'], ['open', ...away, 'open', 'answered']);
    assert.equal((await ask(client, question, options)).human_state, 'answered');
    assert.ok(Math.max(...slept) <= 10_100, 'a pause has an upper limit');
  });

  it('waits as long as a full queue asks it to', async () => {
    const { client, options, slept } = bus([fault('queue-full', { retry_after_seconds: 2 }), 'ok'], []);
    await ask(client, question, options);
    assert.ok((slept[0] as number) >= 2000);
  });

  it('gives up when its patience is over', async () => {
    const away = Array.from({ length: 1000 }, () => fault('unreachable'));
    const { client, options } = bus(away, []);
    await assert.rejects(ask(client, question, options), { code: 'unreachable' });
  });

  for (const code of ['invalid', 'not-found', 'conflict', 'storage-full', 'forbidden', 'internal'] as const)
    it(`does not try again after ${code}`, async () => {
      const { client, options, ids } = bus([fault(code)], []);
      await assert.rejects(ask(client, question, options), { code });
      assert.equal(ids.length, 1);
    });

  it('ends at once when it is aborted', async () => {
    const controller = new AbortController();
    const client = {
      publish: async () => ({}) as PublishReceipt,
      event: async () => {
        controller.abort(new Error('Ctrl-C'));
        return inState('open');
      },
    } as unknown as Client;
    await assert.rejects(ask(client, question, { signal: controller.signal }), /Ctrl-C/);
  });
});
