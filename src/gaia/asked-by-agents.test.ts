import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { requireAsked } from './asked-by-agents.ts';

const asked = (line: string) => requireAsked(line === '' ? [] : line.split(' '));

describe('what agents may ask of GAIA', () => {
  for (const line of [
    'list --json --quiet',
    'list --target dev --json --quiet',
    'status --json --quiet',
    'plan dev --backup dev-2026-11-29-085739.tar.zst --json',
    'verify latest --target dev --json',
    'backup dev --reason pre-change --cause 01a22686-3487-7000-b052-b2bfbbe3953d --json --quiet',
    'backup full',
    'drill dev --backup dev-1.tar.zst.age --json',
    'prune --target dev --yes --json',
    'restore dev --backup dev-1 --plan 0f3a --yes --cause c1 --json --quiet',
    'undo dev --run 20261129-1 --yes --cause c1',
  ])
    it(`lets pass: gaia ${line}`, () => assert.deepEqual(asked(line), line.split(' ')));

  for (const line of [
    '',
    'key new x',
    'kit --out x',
    '__run folder --how begin',
    '__asked',
    'bootstrap',
    'constructor',
    'list --config other.yaml',
    'restore dev --identity key.txt --yes',
    'restore dev --skip-health --yes',
    'restore dev --backup ../../x',
    'restore dev --backup --config',
    'restore dev prod',
    'restore full --yes',
    'restore full --plan 0f3a --yes',
    'restore',
    'restore --yes',
    'backup dev --reason because',
    'backup dev --cause',
    'backup -q dev',
    'backup dev --cause=x',
    'verify /etc/shadow --target dev',
    'prune dev',
    '--config x list',
  ])
    it(`refuses: gaia ${line}`, () => assert.throws(() => asked(line), { name: 'Fault', code: 'forbidden' }));

  it('takes an id of an event that is any text, but no option', () => {
    const of = (cause: string) => requireAsked(['backup', 'dev', '--cause', cause]);
    assert.equal(of('Bestellung 7: "größer"').at(-1), 'Bestellung 7: "größer"');
    for (const bad of ['--config', '-x', '', 'a\nb', 'x'.repeat(257)]) assert.throws(() => of(bad), /does not do this/);
  });

  it('lets no option pass that it does not know, whatever comes', () => {
    const word = fc.oneof(
      fc.constantFrom(
        'restore',
        'backup',
        'list',
        'dev',
        '--yes',
        '--json',
        '--config',
        '--identity',
        '--backup',
        '-q',
      ),
      fc.string(),
    );
    fc.assert(
      fc.property(fc.anything(), fc.array(word, { maxLength: 8 }), (thing, words) => {
        for (const each of [thing, words])
          try {
            const passed = requireAsked(each);
            for (const bad of ['--config', '--identity', '-q']) assert.ok(!passed.includes(bad));
          } catch (error) {
            assert.equal((error as { code?: string }).code, 'forbidden');
          }
      }),
    );
  });
});
