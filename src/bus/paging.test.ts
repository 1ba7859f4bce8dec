import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { cursorOf, isAfter, nextBookmark, placeOf, seqOf, subscriptionCursorOf } from './paging.ts';

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
        assert.deepEqual(placeOf(cursorOf({ deadline, seq }, epoch), epoch), { deadline, seq });
      }),
    );
    assert.equal(placeOf(undefined, epoch), undefined);
  });

  it('refuses any other cursor', () => {
    for (const text of ['x', '', '.', 'bmV2ZXI', btoa('1.1'), btoa(`${epoch}.1.-1`)])
      assert.throws(() => placeOf(text, epoch), { code: 'invalid' }, text);
    const old = cursorOf({ deadline: null, seq: 3 }, 'ffffffff');
    assert.throws(() => placeOf(old, epoch), { code: 'cursor-invalid' });
  });

  it('goes on among subscriptions where the page before ended, in the order of their bytes', () => {
    const anywhere = fc.record({
      agent_name: fc.string({ unit: 'grapheme', maxLength: 3 }),
      priority: fc.integer({ min: 1, max: 10 }),
      action_pattern: fc.string({ unit: 'grapheme', maxLength: 3 }),
    });
    const key = (s: { agent_name: string; priority: number; action_pattern: string }) =>
      Buffer.concat([Buffer.from(`${s.agent_name}\0`), Buffer.of(s.priority), Buffer.from(s.action_pattern)]);
    fc.assert(
      fc.property(anywhere, anywhere, (last, next) => {
        fc.pre(!last.agent_name.includes('\0') && !next.agent_name.includes('\0'));
        assert.equal(isAfter(subscriptionCursorOf(last))(next), Buffer.compare(key(next), key(last)) > 0);
      }),
    );
    for (const text of ['x', '', btoa('[]'), btoa('["A",1]'), btoa('["A","1","b"]')])
      assert.throws(() => isAfter(text), { code: 'invalid' }, text);
  });
});
