import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { rfc3339 } from './clock.ts';

const farthestMs = 8.64e15;

describe('a time on the wire', () => {
  it('is what Date writes, for any time it can hold', () => {
    const anyTime = fc.oneof(
      fc.integer({ min: -farthestMs, max: farthestMs }),
      fc.integer({ min: 0, max: 4e12 }),
      fc.constantFrom(
        0,
        -1,
        -86_400_000,
        86_399_999,
        farthestMs,
        -farthestMs,
        253_402_300_799_999,
        253_402_300_800_000,
      ),
      fc.double({ min: -1e12, max: 4e12, noNaN: true }),
    );
    fc.assert(
      fc.property(anyTime, anyTime, (a, b) => {
        for (const ms of [a, b, a]) assert.equal(rfc3339(ms), new Date(ms).toISOString());
      }),
      { numRuns: 1000 },
    );
  });

  it('is refused for what is no time', () => {
    rfc3339(farthestMs);
    for (const ms of [Number.NaN, Number.POSITIVE_INFINITY, farthestMs + 1, -farthestMs - 1])
      assert.throws(() => rfc3339(ms), RangeError);
  });
});
