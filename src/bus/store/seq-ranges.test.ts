import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { firstOutside, parseRanges, rangesOf, type SeqRange, unionOf, writeRanges } from './seq-ranges.ts';

describe('ranges of events', () => {
  it('are written and read as people write them', () => {
    const cases: [seqs: number[], text: string][] = [
      [[], ''],
      [[7], '7'],
      [[1, 2, 3, 12, 14, 15], '1-3,12,14-15'],
    ];
    for (const [seqs, text] of cases) {
      assert.equal(writeRanges(rangesOf(seqs)), text);
      assert.deepEqual(parseRanges(text), rangesOf(seqs));
    }
    assert.deepEqual(parseRanges('x,5-3,-1,4,1e3, 7'), [[4, 4]], 'what is no range is left out');
  });

  it('hold what any of them holds, and tell the first part that none does', () => {
    const range = fc.tuple(fc.nat(40), fc.nat(6)).map(([from, more]): SeqRange => [from, from + more]);
    fc.assert(
      fc.property(fc.array(range, { maxLength: 8 }), range, (ranges, [from, to]) => {
        const isIn = (n: number) => ranges.some(([a, b]) => a <= n && n <= b);
        const all = Array.from({ length: to - from + 1 }, (_, i) => from + i);
        const first = all.find((n) => !isIn(n));
        const outside = firstOutside(unionOf(ranges), [from, to]);
        assert.equal(outside?.[0], first);
        if (outside === undefined || first === undefined) return;
        const end = all.find((n) => n > first && isIn(n)) ?? to + 1;
        assert.equal(outside[1], end - 1);
      }),
    );
  });
});
