import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { Fault, type FaultCode } from './fault.ts';
import { parseJson, parseJsonElements } from './json.ts';

describe('parsing JSON', () => {
  const refused: [name: string, text: string, code: FaultCode, says: RegExp][] = [
    ['broken text', '{"a":', 'malformed', /not valid JSON/],
    ['NaN', '{"a":NaN}', 'malformed', /not valid JSON/],
    ['a number of 1e400', '{"a":1e400}', 'invalid', /\/a is a number too large/],
    [
      'an integer a double would change',
      '{"a":{"b":9007199254740993}}',
      'invalid',
      /^[^…]*\/a\/b is 9007199254740993, beyond 2\^53/,
    ],
    [
      'such an integer deep inside',
      '{"k":[1,{"z/":-9007199254740993}]}',
      'invalid',
      /: \/k\/1\/z~1 is -9007199254740993/,
    ],
    ['an integer of 300 digits', `{"a":${'9'.repeat(300)}}`, 'invalid', /\/a is 9{40}…, beyond/],
    ['a lone surrogate', '{"a":"\\ud800"}', 'invalid', /\/a has half of a surrogate/],
    ['a lone surrogate in a key', '{"\\udc00":1}', 'invalid', /key with half/],
    ['10,000 levels of nesting', `${'['.repeat(10_000)}${']'.repeat(10_000)}`, 'invalid', /deeper than 64/],
  ];
  for (const [name, text, code, says] of refused)
    it(`refuses ${name}`, () => {
      assert.throws(
        () => parseJson(text),
        (error) => error instanceof Fault && error.code === code && says.test(error.message),
      );
    });

  it('tells of each element of a list what it is, also beside a number that no double holds', () => {
    const [lossy, huge, fine] = parseJsonElements(`[[9007199254740993], [${'9'.repeat(400)}], [1]]`) as unknown[];
    assert.match((lossy as Fault).message, /\/0\/0 is 9007199254740993, beyond 2\^53/);
    assert.match((huge as Fault).message, /\/1\/0 is a number too large/);
    assert.deepEqual(fine, [1]);
  });

  it('looks at no element of a list that is too long anyway', () => {
    const text = '[9007199254740993, 1e400, 1]';
    assert.equal((parseJsonElements(text, 2) as unknown[]).length, 3);
    assert.ok((parseJsonElements(text, 3) as unknown[])[0] instanceof Fault);
    assert.ok(!((parseJsonElements(text, 2) as unknown[])[0] instanceof Fault));
  });

  it('lets large numbers through that a double holds exactly', () => {
    assert.deepEqual(parseJson('[1e20, 1152921504606846976, 9007199254740991]'), [1e20, 2 ** 60, 2 ** 53 - 1]);
    assert.deepEqual(parseJson('[123456789012345670000]'), [123456789012345670000]);
  });

  it('keeps any JSON value as it was', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 8 }), (value) => {
        const text = JSON.stringify(value);
        if (!text.isWellFormed() || /\\ud[89a-f]/i.test(text)) return;
        assert.equal(JSON.stringify(parseJson(text)), text);
      }),
    );
  });
});
