import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Fault } from '../../base/fault.ts';
import { describe as describeMistakes } from '../../base/json.ts';
import { draftSchema } from '../../events/draft.ts';
import { flagOf, withFlags } from './flag-names.ts';
import { inOwnWords } from './in-own-words.ts';

describe('fields of the API on the command line', () => {
  const cases: [pointer: string, flag: string][] = [
    ['/human_fallback', '--fallback'],
    ['/human_options', '--option'],
    ['/human_options/0', 'the 1st --option'],
    ['/tags/11', 'the 12th --tag'],
    ['/answerers/21', 'the 22nd --answerer'],
    ['/details/a/b', 'a/b in --details'],
    ['limit', '--limit'],
    ['/constructor', '/constructor'],
    ['', ''],
  ];
  for (const [pointer, flag] of cases)
    it(`${pointer || 'nothing'} is ${flag || 'nothing'}`, () => assert.equal(flagOf(pointer), flag));

  it('have a name there, all that a publish can carry from a shell', () => {
    const elsewhere = ['escalation', 'payload_hash', 'requires_human'];
    for (const field of Object.keys(draftSchema.shape))
      if (!elsewhere.includes(field)) assert.notEqual(flagOf(`/${field}`), `/${field}`);
  });

  it('are renamed within a detail too', () => {
    assert.equal(
      withFlags({ pointer: '/human_fallback', detail: 'is none of human_options, so what' }).detail,
      'is none of --option, so what',
    );
  });
});

describe('a failure of the bus on the command line', () => {
  const own = (fault: Fault) => inOwnWords(fault) as Fault;

  it('names options in its sentence and its mistakes', () => {
    const mistakes = [
      { pointer: '/human_options/1', detail: 'must not be empty' },
      { pointer: '/human_fallback', detail: 'must have at most 4000 characters' },
    ];
    const { message, mistakes: told } = own(
      new Fault('invalid', `The event makes no sense: ${describeMistakes(mistakes)}.`, { mistakes }),
    );
    assert.equal(
      message,
      'The event makes no sense: the 2nd --option must not be empty; --fallback must have at most 4000 characters.',
    );
    assert.deepEqual(
      told.map(({ pointer }) => pointer),
      ['the 2nd --option', '--fallback'],
    );
  });

  it('keeps what it was caused by, its further members, and a text that only looks like a field', () => {
    const cause = new Error('x');
    const fault = own(new Fault('conflict', 'The id "human_options" is taken.', { extra: { a: 1 }, cause }));
    assert.deepEqual([fault.message, fault.extra, fault.cause], ['The id "human_options" is taken.', { a: 1 }, cause]);
    assert.equal(fault.hint, undefined);
  });
});
