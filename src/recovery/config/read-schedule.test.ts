import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { Fault } from '../../base/fault.ts';
import { days, jobs, type Rule, ruleText } from '../schedule.ts';
import { parseConfig } from './read-config.ts';

const home = '/srv/leveredge';
const parse = (text: string) => parseConfig(`${home}/gaia/config.yaml`, text, home).schedule;

/** Of `dev`, which has these keys, with these at the top of the file; each rule in short. */
function ofDev(keys: string, top = ''): Record<string, string> {
  const { targets } = parse(`restore_targets: { data-plane: { dev: { root: /d, ${keys} } } }\n${top}`);
  return Object.fromEntries(Object.entries(targets.dev ?? {}).map(([job, rule]) => [job, ruleText(rule)]));
}

const databases = 'databases: [ { name: e, engine: sqlite, path: e.db } ]';
const whole = { whole: 'daily 03:00', verify: 'sat 05:00', drill: 'sun 05:00', prune: 'daily 04:00' };

describe('The schedule', () => {
  it('is usable where nothing is said, with databases where the target names some', () => {
    assert.deepEqual(ofDev(''), whole);
    assert.deepEqual(ofDev(databases), { ...whole, databases: 'hourly' });
    assert.deepEqual(parse('restore_targets: { control-plane: {} }').eventBus, { every: 'hours', hours: 1 });
  });

  it('can be off for a target, for all, and for one thing, also as JSON and older YAML say it', () => {
    for (const off of ['off', 'false', '"off"']) {
      assert.deepEqual(ofDev(`schedule: ${off}`), {}, off);
      assert.deepEqual(ofDev('', `schedule: ${off}`), {}, off);
      assert.equal(parse(`schedule: ${off}\nrestore_targets: { control-plane: {} }`).eventBus, undefined);
      const { drill, ...others } = whole;
      assert.deepEqual(ofDev(`schedule: { drill: ${off} }`), others, drill);
    }
  });

  it('says for one target what it says otherwise for all', () => {
    const all = 'schedule: { whole: weekly, drill: off, event_bus: daily }';
    assert.deepEqual(ofDev('', all), { whole: 'sun 03:00', verify: 'sat 05:00', prune: 'daily 04:00' });
    const own = ofDev('schedule: { whole: daily 23:30, databases: every 6 hours }', all);
    assert.deepEqual(own, { whole: 'daily 23:30', databases: 'every 6 h', verify: 'sat 05:00', prune: 'daily 04:00' });
    assert.deepEqual(ofDev('schedule: { whole: daily }', 'schedule: off'), { whole: 'daily 03:00' });
    assert.deepEqual(parse(`${all}\nrestore_targets: { control-plane: {} }`).eventBus, { every: 'day', at: 180 });
  });

  it('does not fetch a repository each week that its owner calls too dear to fetch', () => {
    const restic = (readBack: string) => `engine: restic, restic: { repository: /r, read_back: ${readBack} }`;
    assert.deepEqual(ofDev(restic('added')), whole);
    assert.deepEqual(ofDev(restic('none')), { whole: whole.whole, prune: whole.prune });
  });

  const forms: [text: string, means: string][] = [
    ['hourly', 'hourly'],
    ['every 1 hour', 'hourly'],
    ['every 12 h', 'every 12 h'],
    ['daily at 3:05', 'daily 03:05'],
    ['Daily 23:59', 'daily 23:59'],
    ['weekly', 'sun 03:00'],
    ['weekly on monday', 'mon 03:00'],
    ['weekly friday at 00:00', 'fri 00:00'],
    ['weekly 07:30', 'sun 07:30'],
  ];
  for (const [text, means] of forms)
    it(`understands ${text}`, () => assert.equal(ofDev(`schedule: { whole: ${text} }`).whole, means));

  it('tells every mistake with its line', () => {
    const wrong = [
      ['sometimes', /must be off, hourly, every N hours/],
      ['every 5 hours', /1, 2, 3, 4, 6, 8, 12 or 24/],
      ['every 0 hours', /1, 2, 3, 4, 6, 8, 12 or 24/],
      ['daily 24:00', /a time that no day has/],
      ['weekly sonday', /did you mean sunday\?/],
      ['daily sunday', /must be off/],
      ['7', /must be off/],
      ['[daily]', /must be off/],
    ] as const;
    const lines = wrong.map(([text], n) => `    t${n}: { root: /t${n}, schedule: { whole: ${text} } }\n`).join('');
    assert.throws(
      () => parse(`restore_targets:\n  data-plane:\n${lines}schedule: 3\n`),
      ({ code, hint = '', mistakes }: Fault) => {
        assert.deepEqual([code, mistakes.length], ['usage', wrong.length + 1]);
        const told = hint.split('\n').slice(1);
        for (const [n, [, says]] of wrong.entries()) {
          assert.match(told[n] ?? '', new RegExp(`^ {2}line ${n + 3}: `));
          assert.match(told[n] ?? '', says);
        }
        assert.match(told.at(-1) ?? '', /line 11: schedule must be off, or have some of whole, .*event_bus/);
        return true;
      },
    );
  });

  it('never throws anything but a mistake, whatever stands there', () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.string(), fc.constantFrom('daily 03:00', 'off', 'weekly x')),
        fc.constantFrom(...jobs),
        (text, job) => {
          try {
            ofDev(`schedule: { ${job}: ${JSON.stringify(text)} }`);
          } catch (error) {
            assert.equal((error as Fault).code, 'usage', String(error));
          }
        },
      ),
    );
  });

  it('is read as it is written', () => {
    const times = fc.integer({ min: 0, max: 1439 });
    const rules: fc.Arbitrary<Rule> = fc.oneof(
      fc.record({ every: fc.constant('day' as const), at: times }),
      fc.record({ every: fc.constant('week' as const), day: fc.integer({ min: 0, max: 6 }), at: times }),
    );
    fc.assert(
      fc.property(rules, (rule) => {
        const text = ruleText(rule);
        const long = rule.every === 'week' ? `weekly ${days[rule.day]} ${text.slice(4)}` : text;
        assert.equal(ofDev(`schedule: { whole: ${long} }`).whole, text);
      }),
    );
  });
});
