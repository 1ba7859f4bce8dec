import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Fault } from '../base/fault.ts';
import { parseBusConfig } from './config.ts';

const parse = (text: string) =>
  parseBusConfig({ flags: {}, env: {}, home: '/home', yaml: { path: 'leveredge.yaml', text } }).retention;

function mistakesIn(rules: string): string[] {
  try {
    parse(`bus:\n  retention:\n${rules}`);
  } catch (error) {
    assert.ok(error instanceof Fault && error.code === 'usage');
    return error.mistakes.map(({ pointer, detail }) => `${pointer} ${detail}`);
  }
  return [];
}

describe('the settings of retention', () => {
  it('are rules, in their order', () => {
    const rules = `
bus:
  retention:
    - { actions: 'health_*', max_age_days: 7, max_count: 100000 }
    - actions: '*_started'
      max_age_days: 0.5
    - { actions: '*', max_count: 0 }`;
    assert.deepEqual(parse(rules), [
      { actions: 'health_*', maxAgeDays: 7, maxCount: 100_000 },
      { actions: '*_started', maxAgeDays: 0.5, maxCount: null },
      { actions: '*', maxAgeDays: null, maxCount: 0 },
    ]);
    assert.deepEqual(parse('bus: { port: 1 }'), [], 'none keeps everything');
    assert.deepEqual(parse('bus: { retention: }'), []);
    assert.deepEqual(parse('bus: { retention: [] }'), []);
  });

  it('tell each mistake with its line', () => {
    const cases: [rules: string, mistake: RegExp][] = [
      ['    actions: x', /^leveredge\.yaml:2 bus\.retention must be a list of rules/],
      ['    - x', /:3 bus\.retention: a rule is a map/],
      ['    - { max_count: 1 }', /:3 bus\.retention: actions must be a pattern/],
      ["    - { actions: '', max_count: 1 }", /actions must be a pattern/],
      ["    - { actions: '*' }", /needs max_age_days or max_count/],
      ["    - { actions: '*', max_age_day: 1 }", /max_age_day is no part of a rule; did you mean max_age_days\?/],
      ["    - { actions: '*', max_age_days: -1 }", /max_age_days must be a number from 0 to 36500/],
      ["    - { actions: '*', max_age_days: '7' }", /max_age_days must be a number/],
      ["    - { actions: '*', max_count: 1.5 }", /max_count must be a whole number/],
    ];
    for (const [rules, mistake] of cases) assert.match(mistakesIn(rules).join('\n'), mistake, rules);
    assert.match(mistakesIn("    - { actions: '*', max_count: 1 }\n".repeat(101)).join(), /at most 100 rules/);
  });
});
