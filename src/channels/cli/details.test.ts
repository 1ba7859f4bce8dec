import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Fault } from '../../base/fault.ts';
import { parseDetails } from './details.ts';

describe('details on the command line', () => {
  const taken: [json: string | undefined, pairs: string[], details: unknown][] = [
    [undefined, [], undefined],
    [undefined, ['version=1.10', 'empty='], { version: '1.10', empty: '' }],
    [undefined, ['n:=3', 'list:=[1,2]', 'url=http://a/?b=c'], { n: 3, list: [1, 2], url: 'http://a/?b=c' }],
    ['{"a":1,"b":2}', ['b=x'], { a: 1, b: 'x' }],
  ];
  for (const [json, pairs, details] of taken)
    it(`takes ${JSON.stringify([json, pairs])}`, () => assert.deepEqual(parseDetails(json, pairs), details));

  it('takes __proto__ as a key like any other', () => {
    assert.equal(JSON.stringify(parseDetails(undefined, ['__proto__=x'])), '{"__proto__":"x"}');
  });

  const refused: [json: string | undefined, pairs: string[], says: RegExp][] = [
    [undefined, ['nothing'], /"nothing" is no key=value pair/],
    [undefined, ['n:=NaN'], /The value of n: This is not valid JSON/],
    [undefined, ['n:=9007199254740993'], /unchanged: n is 9007199254740993, beyond 2\^53; send it as a string\.$/],
    [undefined, ['n:=[1,{"a":9007199254740993}]'], /unchanged: n\/1\/a is 9007199254740993/],
    ['{"n":9007199254740993}', [], /unchanged: n is 9007199254740993/],
    ['[1]', [], /--details must be a JSON object/],
    ['{', [], /--details: This is not valid JSON/],
  ];
  for (const [json, pairs, says] of refused)
    it(`refuses ${JSON.stringify([json, pairs])}`, () => {
      assert.throws(
        () => parseDetails(json, pairs),
        (error) => error instanceof Fault && error.code === 'usage' && says.test(error.message),
      );
    });
});
