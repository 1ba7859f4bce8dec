import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Fault } from '../base/fault.ts';
import { jsonOf } from './body.ts';

/** A body in which these bytes stand inside a string, where JSON itself finds nothing wrong with them. */
const bodyWith = (...bytes: number[]) => ({
  kind: 'bytes' as const,
  bytes: Buffer.concat([Buffer.from('{"target":"'), Buffer.from(bytes), Buffer.from('"}')]),
});

describe('a body', () => {
  const broken: [what: string, bytes: number[]][] = [
    ['a byte that starts nothing', [0xff]],
    ['a character that is cut off', [0xe2, 0x82]],
    ['an overlong slash', [0xc0, 0xaf]],
    ['half of a surrogate pair', [0xed, 0xa0, 0x80]],
    ['Latin-1', [0x66, 0xfc, 0x72]],
  ];
  for (const [what, bytes] of broken)
    it(`with ${what} in a string is refused rather than stored as something else`, () => {
      assert.throws(
        () => jsonOf(bodyWith(...bytes), undefined),
        (error) => error instanceof Fault && error.code === 'malformed' && /not valid UTF-8/.test(error.message),
      );
    });

  it('in UTF-8 is taken as it is', () => {
    assert.deepEqual(jsonOf(bodyWith(0xe2, 0x82, 0xac), undefined), { target: '€' });
  });
});
