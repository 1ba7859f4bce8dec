import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { cursorOf, nextBookmark, placeOf, seqOf } from './paging.ts';

const epoch = '0123abcd';

describe('paging', () => {
  it('finds the seq of a bookmark it gave out', () => {
    assert.equal(seqOf(nextBookmark(epoch, 17) ?? undefined, epoch), 17);
    assert.equal(seqOf(undefined, epoch), undefined);
    assert.equal(nextBookmark(epoch, null), null);
  });

  it('refuses what was never a bookmark, and one of another life of the log', () => {
    for (const text of ['x', '1', `${epoch}.`, `${epoch}.-1`, `${epoch}.1e3`, `${epoch.toUpperCase()}.1`])
      assert.throws(() => seqOf(text, epoch), { code: 'invalid' }, text);
    assert.throws(() => seqOf('ffffffff.17', epoch), { code: 'cursor-invalid' });
  });

  it('finds the place of a cursor it gave out', () => {
    fc.assert(
      fc.property(fc.option(fc.integer({ min: 0, max: 8e15 })), fc.nat(), (deadline, seq) => {
        assert.deepEqual(placeOf(cursorOf({ deadline, seq })), { deadline, seq });
      }),
    );
    assert.equal(placeOf(undefined), undefined);
  });

  it('refuses any other cursor', () => {
    for (const text of ['x', '', '.', 'bmV2ZXI', btoa('1.-1')])
      assert.throws(() => placeOf(text), { code: 'invalid' }, text);
  });
});
