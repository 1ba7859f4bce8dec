import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { draftSchema } from './draft.ts';
import { parseAs } from './parse.ts';
import { isPlainDraft } from './plain-draft.ts';

const usual = {
  source_agent: 'HEPHAESTUS',
  action: 'deploy_started',
  target: 'dev',
  details: { commit: '9f2c1e7', list: [1, null] },
  source_workflow_id: 'w',
  source_execution_id: 'x',
  id: 'mine',
  correlation_id: 'c',
  causation_id: 'd',
  traceparent: '00-1-2-03',
};

/** What stands on the edge of each rule. */
const edges = [
  ...[
    '',
    'a',
    'a'.repeat(200),
    'a'.repeat(201),
    'a'.repeat(4000),
    'a'.repeat(4001),
    'EVENT-BUS',
    'stream',
    '..',
    'a b',
  ],
  ...['a\u0000', 'a\nb', '\u0085', '\ud800', '\u{1f600}', null, undefined, 1, true, [], ['a'], {}, { a: 1 }],
];

describe('a plain publish', () => {
  it('is what most publishes are', () => {
    assert.ok(isPlainDraft(usual));
    assert.ok(isPlainDraft({ source_agent: 'A', action: 'b' }));
  });

  it('has a source and an action, and nothing that the schema must look at', () => {
    for (const field of ['source_agent', 'action']) assert.ok(!isPlainDraft({ ...usual, [field]: undefined }), field);
    for (const [field, value] of [
      ['source_agent', 'EVENT-BUS'],
      ['requires_human', true],
      ['tags', ['a']],
      ['taget', 'x'],
      ['deliver_at', 'x'],
    ] as const)
      assert.ok(!isPlainDraft({ ...usual, [field]: value }), field);
    assert.ok(!isPlainDraft(JSON.parse('{"source_agent":"A","action":"b","__proto__":{}}')));
    for (const other of [null, undefined, 'text', 3, []]) assert.ok(!isPlainDraft(other));
  });

  it('is what the schema takes as it is, and without a warning', () => {
    const field = fc.constantFrom(...Object.keys(usual), 'tags', 'free_text', 'unknown');
    const value = fc.oneof(fc.constantFrom(...edges), fc.string(), fc.jsonValue());
    const changes = fc.array(fc.tuple(field, value), { maxLength: 3 });
    let plain = 0;
    fc.assert(
      fc.property(changes, fc.subarray(Object.keys(usual)), (changed, left) => {
        const kept = Object.entries(usual).filter(([name]) => !left.includes(name) || name === 'action');
        const input = { ...Object.fromEntries(kept), ...Object.fromEntries(changed) };
        if (!isPlainDraft(input)) return;
        plain++;
        assert.deepEqual(parseAs(draftSchema, input), { value: input, warnings: [] });
      }),
      { numRuns: 3000 },
    );
    assert.ok(plain > 100, `only ${plain} were plain`);
  });
});
