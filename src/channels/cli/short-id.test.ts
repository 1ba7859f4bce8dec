import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Fault } from '../../base/fault.ts';
import { pickByPrefix, shortIds } from './short-id.ts';

describe('short ids', () => {
  it('are as long as it takes to tell them apart, and at least the milliseconds of a UUIDv7', () => {
    const ids = ['0193e8c2-7b1f-7000-8abc', '0193e8c2-7b1f-7001-8abc', '0193e8c2-9999-7000-8abc', 'mine'];
    assert.deepEqual(
      ids.map((id) => shortIds(ids).get(id)),
      ['0193e8c2-7b1f-7000', '0193e8c2-7b1f-7001', '0193e8c2-9999', 'mine'],
    );
  });
});

describe('picking by a prefix', () => {
  const ids = ['abc-1', 'abc-2', 'abcd', 'ab'];
  const cases: [prefix: string, picked: string | RegExp][] = [
    ['abc-1', 'abc-1'],
    ['abcd', 'abcd'],
    ['ab', 'ab'],
    ['abc-', /beginning of 2 ids: abc-1, abc-2/],
    ['x', /No event has the id x/],
    ['', /No event has the id/],
  ];
  for (const [prefix, picked] of cases)
    it(`${JSON.stringify(prefix)} gives ${picked}`, () => {
      const pick = () => pickByPrefix(prefix, ids, 'event', 'See: leveredge events');
      if (typeof picked === 'string') assert.equal(pick(), picked);
      else assert.throws(pick, (error) => error instanceof Fault && picked.test(error.message));
    });
});
