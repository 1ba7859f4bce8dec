import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { z } from 'zod';
import { maskedSchema, redactorOf, secret, secretMembers } from './secret.ts';

const text = z.string('must be a string').min(3, 'must have 3 characters');
const placeholder = `secret:${'a'.repeat(43)}`;

describe('what is marked as secret', () => {
  it('is a member that is a text, also an optional one or one that is described', () => {
    const shape = z.strictObject({
      ...{ name: text, value: secret(text), old: secret(text).optional(), more: secret(text).describe('More') },
    });
    assert.deepEqual(secretMembers(shape), ['value', 'old', 'more']);
    assert.deepEqual(secretMembers(z.strictObject({ name: text })), []);
    const { properties } = z.toJSONSchema(shape) as {
      properties: Record<string, { format?: string; writeOnly?: true }>;
    };
    assert.deepEqual([properties.value?.format, properties.value?.writeOnly], ['password', true]);
    assert.equal(properties.name?.format, undefined);
  });

  it('is nothing deeper, nothing that may be null, and not the target', () => {
    for (const odd of [
      z.strictObject({ list: z.array(z.strictObject({ value: secret(text) })) }),
      z.strictObject({ list: z.array(secret(text)) }),
      z.strictObject({ value: secret(text).nullable() }),
      z.strictObject({ inner: z.strictObject({ value: secret(text) }) }),
      z.strictObject({ target: secret(text) }),
    ])
      assert.throws(() => secretMembers(odd), /can be secret$/);
  });

  it('is a placeholder in events, where it is there, and nothing else', () => {
    const masked = maskedSchema(z.strictObject({ name: text, value: secret(text), old: secret(text).optional() }));
    const isGood = (given: object) => masked.safeParse(given).success;
    assert.ok(isGood({ name: 'abc', value: placeholder }));
    assert.ok(isGood({ name: 'abc', value: placeholder, old: placeholder }));
    for (const odd of [{ value: 'abcdef' }, { value: `${placeholder}a` }, {}, { value: placeholder, old: 'abc' }])
      assert.ok(!isGood({ name: 'abc', ...odd }), JSON.stringify(odd));
    assert.ok(!isGood({ name: 'abc', value: placeholder, more: 1 }));
  });
});

describe('a secret in what somebody says', () => {
  it('is taken out wherever it stands and however it is written', () => {
    const value = 'a"b c/d\n%&=';
    const redacted = redactorOf([value, '']);
    const said = {
      [`key ${value}`]: [value, JSON.stringify({ value }), encodeURIComponent(value)],
      base64: Buffer.from(value).toString('base64'),
      else: [1, null, true, 'nothing'],
    };
    assert.deepEqual(redacted(said), {
      'key [secret]': ['[secret]', '{"value":"[secret]"}', '[secret]'],
      base64: '[secret]=',
      else: [1, null, true, 'nothing'],
    });
  });

  it('is not found any more, whatever it is, also where one secret is a part of another', () => {
    const any = fc.string({ unit: 'binary', minLength: 4, maxLength: 30 }).filter((value) => value.isWellFormed());
    fc.assert(
      fc.property(any, any, fc.string(), (one, two, around) => {
        fc.pre(!'[secret] [secret]'.includes(one) && !around.includes(one));
        const said = redactorOf([one, one + two])(`${around} ${one} ${one}${two} ${around}`);
        assert.ok(!said.includes(one), said);
      }),
    );
  });

  it('is left alone when it is shorter than four characters, which would be in every other word', () => {
    assert.equal(redactorOf(['a', 'the'])('the bath'), 'the bath');
  });
});
