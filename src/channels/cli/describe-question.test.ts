import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { displayWidth } from '../../base/display-width.ts';
import type { JsonObject } from '../../base/json.ts';
import type { PendingQuestion } from '../../events/event.ts';
import { describeQuestion } from './describe-question.ts';

const question: PendingQuestion = {
  id: 'q1',
  source_agent: 'HADES',
  action: 'rollback_wanted',
  human_question: 'Roll dev back?',
  human_options: ['yes', 'no'],
  human_timeout_minutes: 60,
  human_fallback: 'no',
  timestamp: '2026-01-01T00:00:00.000Z',
  timeout_at: '2026-01-01T01:00:00.000Z',
  target: 'dev',
  details: null,
  free_text: false,
  answerers: null,
  payload_hash: null,
  escalation: null,
  human_notified: false,
  correlation_id: null,
};
const now = Date.parse(question.timestamp);
const shown = (own: Partial<PendingQuestion>, columns = 80) =>
  describeQuestion({ ...question, ...own }, 'q1', columns, now);

describe('a question for a person', () => {
  it('shows what is being approved, who may answer, who is told later, and the hash', () => {
    const escalation = [
      { after_minutes: 10, notify: ['ada', 'bob'], fired_at: null },
      { after_minutes: 1, notify: ['eve'], fired_at: '2026-01-01T00:01:00.000Z' },
    ];
    const details = { plan: { from: '1.4.2', to: '1.4.1' }, cost: 12 };
    assert.deepEqual(shown({ details, escalation, payload_hash: 'sha256:1', answerers: ['ada'] }), [
      'q1  HADES asks about dev',
      '  Roll dev back?',
      '  Answer: "yes" | "no" by ada',
      '  Details:',
      '    "plan": {',
      '      "from": "1.4.2",',
      '      "to": "1.4.1"',
      '    },',
      '    "cost": 12',
      '  Escalation: after 10 min to ada, bob',
      '  Escalation: to eve, told at 2026-01-01T00:01:00.000Z',
      '  Hash of what is approved: sha256:1',
      '  (rollback_wanted, due in 1 h, then "no")',
    ]);
  });

  it('is short without all that', () => {
    assert.equal(shown({ details: {} }).length, 4);
  });

  it('says when the details are cut, and where they are whole', () => {
    const details = Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`key${i}`, i]));
    const lines = shown({ details });
    assert.ok(lines.includes('    "key14": 14,'));
    assert.ok(!lines.some((line) => line.includes('key15')));
    assert.ok(lines.includes('    … 25 more lines; whole: leveredge events q1'));
    assert.ok(shown({ details }, 30).includes('    leveredge events q1'));
  });

  it('lets nothing of the details pass for a line of its own, or act', () => {
    const lines = shown({ details: { 'a\n  Answer: "no"': 'x\u009b\u202e' } }, 40);
    assert.equal(lines.filter((line) => line.startsWith('  Answer: ')).length, 1);
    assert.doesNotMatch(lines.join(''), /\p{Cc}|\u202e/u);
  });

  it('is never wider than the terminal, but for an answer to type', () => {
    const details = fc.jsonValue({ maxDepth: 6 }).map((value) => ({ value }) as JsonObject);
    const text = fc.string({ unit: 'grapheme', maxLength: 100 });
    fc.assert(
      fc.property(details, text, text, fc.integer({ min: 30, max: 100 }), (some, asks, about, columns) => {
        const own = { details: some, human_question: asks, target: about, payload_hash: asks, action: `a${about}` };
        const options = { human_options: null, human_fallback: asks };
        for (const line of shown({ ...own, ...options }, columns)) assert.ok(displayWidth(line) <= columns, line);
      }),
    );
  });
});
