import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { z } from 'zod';
import { Fault } from '../base/fault.ts';
import { flag, limit, parseQuery, splitQuery } from './query.ts';

const schema = z.object({ limit: limit(50), deep: flag('Look deep'), name: z.string().optional() });
const parse = (text: string) => parseQuery(schema, splitQuery(text));

describe('a query', () => {
  it('has defaults, and an empty value is none', () => {
    for (const text of ['', 'limit=', 'limit=&deep=&name='])
      assert.deepEqual(parse(text), { value: { limit: 50, deep: false }, warnings: [] });
  });

  it('takes yes and no in any usual writing', () => {
    for (const yes of ['true', 'True', '1', 'YES', 'on']) assert.equal(parse(`deep=${yes}`).value.deep, true, yes);
    for (const no of ['false', 'FALSE', '0', 'no', 'Off']) assert.equal(parse(`deep=${no}`).value.deep, false, no);
  });

  it('is decoded, with + as a blank', () => {
    assert.equal(parse('name=a+b%2Bc%C3%A9%22').value.name, 'a b+cé"');
  });

  it('tells all mistakes at once', () => {
    assert.throws(
      () => parse('limit=0&deep=perhaps&name=a&name=b'),
      (error) =>
        error instanceof Fault &&
        error.mistakes.map(({ pointer, detail }) => `${pointer} ${detail}`).join('; ') ===
          'name is given more than once; limit must be 1 to 1000; deep must be true or false',
    );
  });

  it('is not confused by names that objects have of their own', () => {
    const { value, warnings } = parse('__proto__=1&constructor=2&toString=3&hasOwnProperty=4');
    assert.deepEqual(value, { limit: 50, deep: false });
    assert.equal(warnings.length, 4);
  });

  it('guesses what a typing mistake meant', () => {
    assert.match(parse('limti=1').warnings[0]?.detail ?? '', /did you mean limit\?/);
  });
});
