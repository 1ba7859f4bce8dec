import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { promisify } from 'node:util';
import { lookUp } from './look-up.ts';

const ask = (name: string, signal = new AbortController().signal) => promisify(lookUp(signal))(name, { all: true });

describe('looking a name up', () => {
  it('knows this machine without asking anybody', async () => {
    assert.deepEqual(await ask('localhost'), [
      { address: '127.0.0.1', family: 4 },
      { address: '::1', family: 6 },
    ]);
  });

  it('is given up at once', async () => {
    const began = performance.now();
    const stop = AbortSignal.timeout(20);
    await assert.rejects(ask('nobody.invalid', stop));
    await assert.rejects(ask('nobody.invalid', AbortSignal.abort()));
    assert.ok(performance.now() - began < 1000);
  });
});
