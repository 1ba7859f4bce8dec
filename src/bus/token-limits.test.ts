import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Fault } from '../base/fault.ts';
import { makeTokenLimits } from './token-limits.ts';

const token = { id: 't1', name: 'ADA', perMinute: 60 };

/** How many of so many requests at this time are let through, and what the last refusal asks for. */
function take(limits: ReturnType<typeof makeTokenLimits>, times: number, now: number, of = token) {
  let taken = 0;
  let retryAfter: unknown;
  for (let i = 0; i < times; i++)
    try {
      limits.take(of, now);
      taken++;
    } catch (error) {
      assert.ok(error instanceof Fault && error.code === 'rate-limited');
      retryAfter = error.extra.retry_after_seconds;
    }
  return [taken, retryAfter];
}

describe('the limit of a token', () => {
  it('is a minute’s worth at once, and then evenly', () => {
    const limits = makeTokenLimits();
    assert.deepEqual(take(limits, 100, 0), [60, 1]);
    assert.deepEqual(take(limits, 100, 999), [0, 1]);
    assert.deepEqual(take(limits, 100, 1000), [1, 1]);
    assert.deepEqual(take(limits, 100, 11_000), [10, 1]);
    assert.deepEqual(take(limits, 100, 10_000_000), [60, 1], 'never more than a minute’s worth');
  });

  it('says how long to wait, and that is enough', () => {
    const limits = makeTokenLimits();
    const slow = { ...token, perMinute: 1 };
    assert.deepEqual(take(limits, 2, 500, slow), [1, 60]);
    assert.deepEqual(take(limits, 1, 30_500, slow), [0, 30]);
    assert.deepEqual(take(limits, 1, 60_500, slow), [1, undefined]);
  });

  it('is its own, and none where none was given', () => {
    const limits = makeTokenLimits();
    take(limits, 100, 0);
    assert.deepEqual(take(limits, 10, 0, { ...token, id: 't2' }), [10, undefined]);
    limits.take({ ...token, id: 't3', perMinute: null }, 0);
  });

  it('survives a clock that is set back', () => {
    const limits = makeTokenLimits();
    take(limits, 60, 1_000_000);
    assert.deepEqual(take(limits, 1, 0), [0, 1]);
    assert.deepEqual(take(limits, 1, 1000), [1, undefined]);
  });
});
