import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { failureOf, type GaiaEnd, inItsTurn, lastDocument, listBackups, resultOf } from './gaia-end.ts';

const never = new AbortController().signal;
const end = (fields: Partial<GaiaEnd>): GaiaEnd => ({ exit: 0, stdout: '', stderr: '', ...fields });
const locked = end({ exit: 6, stderr: '{"error":{"code":"locked","message":"Another run."}}' });

describe('how GAIA ended', () => {
  it('is the last document that it printed', () => {
    assert.deepEqual(lastDocument('{"a":1}\n{"b":2}\n'), { b: 2 });
    assert.deepEqual(lastDocument('a note\n{"b":2}'), { b: 2 });
    for (const none of ['', '\n', 'a note', '{"cut', '7', 'null']) assert.equal(lastDocument(none), undefined, none);
  });

  it('is its result where it is one of the ends that are fine', () => {
    const done = end({ exit: 9, stdout: '{"n":1}\n' });
    assert.deepEqual(resultOf(done, [0, 9]), { n: 1 });
    assert.throws(() => resultOf(done), { code: 'internal' });
    assert.throws(() => resultOf(end({ stdout: 'no document' })), { code: 'internal' });
    assert.throws(() => resultOf(end({ exit: null, stdout: '{"n":1}' })), { code: 'internal' });
  });

  it('is told in its words: the error, else what the result says, else how it ended', () => {
    const error = { code: 'not-found', message: 'There is no target.', hint: 'There are: dev' };
    assert.deepEqual(failureOf(end({ exit: 5, stderr: `a note\n${JSON.stringify({ error })}\n` })), {
      ...{ code: 'not-found', says: 'There is no target.', hint: 'There are: dev' },
    });
    assert.deepEqual(failureOf(end({ exit: 10, stdout: '{"says":"Rolled back."}' })).says, 'Rolled back.');
    assert.deepEqual(failureOf(end({ exit: 1 })), {
      ...{ code: 'internal', says: 'GAIA ended with 1 and did not say why.', hint: undefined },
    });
    assert.equal(failureOf(end({ exit: null })).says, 'GAIA was ended by a signal.');
    const odd = failureOf(end({ exit: 1, stderr: '{"error":{"code":7,"message":{},"hint":[]}}' }));
    assert.deepEqual([odd.code, odd.hint], ['internal', undefined]);
  });

  it('is waited for after every other run, but not for ever', async () => {
    let runs = 0;
    const effects = {
      gaia: async () => {
        runs++;
        return runs < 4 ? locked : end({ stdout: '{}' });
      },
      sleep: async () => undefined,
    };
    assert.equal((await inItsTurn(effects, ['undo'], never)).exit, 0);
    assert.equal(runs, 4);
    let slept = 0;
    const forEver = {
      gaia: async () => locked,
      async sleep(ms: number) {
        slept += ms;
      },
    };
    assert.equal((await inItsTurn(forEver, ['undo'], never)).exit, 6);
    assert.ok(slept > 10 * 60_000 && slept < 12 * 3_600_000, `${slept} ms`);
    let failed = 0;
    const failing = {
      gaia: async () => {
        failed++;
        return end({ exit: 1 });
      },
      sleep: effects.sleep,
    };
    await inItsTurn(failing, ['undo'], never);
    assert.equal(failed, 1);
  });

  it('lists backups, all or those of a target, also when some are damaged', async () => {
    const asked: string[][] = [];
    const effects = {
      gaia: async (words: readonly string[]) => {
        asked.push([...words]);
        return end({ exit: 9, stdout: '{"backups":[]}' });
      },
      sleep: async () => undefined,
    };
    assert.deepEqual(await listBackups(effects, {}, never), { backups: [] });
    await listBackups(effects, { target: 'dev' }, never);
    assert.deepEqual(asked, [
      ['list', '--json', '--quiet'],
      ['list', '--target', 'dev', '--json', '--quiet'],
    ]);
  });
});
