import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Fault } from './fault.ts';
import { pickByPrefix } from './pick-by-prefix.ts';

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
