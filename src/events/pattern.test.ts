import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { compilePattern } from './pattern.ts';

/** The definition, written for clarity: exponential, so only for short texts. */
function reference(pattern: string, action: string): boolean {
  if (pattern === '') return action === '';
  if (pattern[0] !== '*') return pattern[0] === action[0] && reference(pattern.slice(1), action.slice(1));
  for (let taken = 0; taken <= action.length; taken++)
    if (reference(pattern.slice(1), action.slice(taken))) return true;
  return false;
}

describe('patterns', () => {
  const cases: [pattern: string, action: string, heard: boolean][] = [
    ['*_failed', 'backup_failed', true],
    ['*_failed', 'unfailed', false],
    ['*_failed', 'BACKUP_FAILED', false],
    ['a_*_z', 'a_b_z', true],
    ['a_*_z', 'a_z', false],
    ['*', '', true],
    ['*', 'anything', true],
    ['%', 'anything', false],
    ['_', 'x', false],
    ['credential_*', 'credential_', true],
    ['a*a', 'a', false],
    ['**a**', 'bab', true],
    ['*ab*b', 'xab', false],
    ['*ab*b', 'xabb', true],
    ['aba*aba', 'aba_aba', true],
    ['aba*aba', 'ababa', false],
    ['.*', 'a', false],
    ['[a]', 'a', false],
    ['é', 'é', true],
  ];
  for (const [pattern, action, heard] of cases)
    it(`${JSON.stringify(pattern)} ${heard ? 'hears' : 'does not hear'} ${JSON.stringify(action)}`, () => {
      assert.equal(compilePattern(pattern)(action), heard);
    });

  it('agree with the definition on texts where stars and letters meet', () => {
    const letters = fc.string({ unit: fc.constantFrom('a', 'b', '_', '*', '%', '\\', '.'), maxLength: 9 });
    fc.assert(
      fc.property(letters, letters, (pattern, action) => {
        assert.equal(compilePattern(pattern)(action), reference(pattern, action));
      }),
      { numRuns: 3000 },
    );
  });

  it('agree with the definition on actions that just fit or just miss', () => {
    const letter = fc.constantFrom('a', 'b');
    const pattern = fc.string({ unit: fc.constantFrom('a', 'b', '*', '*'), maxLength: 8 });
    const fillings = fc.array(fc.string({ unit: letter, maxLength: 2 }), { minLength: 8, maxLength: 8 });
    const edit = fc.constantFrom('none', 'drop', 'double');
    fc.assert(
      fc.property(pattern, fillings, edit, fc.nat(20), (pattern, fillings, edit, place) => {
        let star = 0;
        const fitting = pattern.replaceAll('*', () => fillings[star++] as string);
        assert.equal(compilePattern(pattern)(fitting), true);
        const at = place % Math.max(1, fitting.length);
        const kept = edit === 'drop' ? '' : fitting.charAt(at).repeat(edit === 'double' ? 2 : 1);
        const action = fitting.slice(0, at) + kept + fitting.slice(at + 1);
        assert.equal(compilePattern(pattern)(action), reference(pattern, action));
      }),
      { numRuns: 3000 },
    );
  });

  it('agree with the definition on any text', () => {
    const any = fc.string({ unit: 'binary', maxLength: 8 });
    fc.assert(
      fc.property(any, any, (pattern, action) => {
        assert.equal(compilePattern(pattern)(action), reference(pattern, action));
        assert.equal(compilePattern(pattern)(pattern), true);
      }),
      { numRuns: 1000 },
    );
  });

  it('stay linear on a pattern that makes regular expressions explode', () => {
    const action = `${'a'.repeat(10_000)}b`;
    assert.equal(compilePattern(`${'*a'.repeat(90)}*c`)(action), false);
  });
});
