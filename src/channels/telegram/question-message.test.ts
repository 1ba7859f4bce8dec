import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { parseHtml } from './fake/html.ts';
import { dataOf, keyOf, mayAnswer, outcomeOf, readData, showQuestion } from './question-message.ts';

const visible = fc.string({
  unit: fc.integer({ min: 33, max: 126 }).map((code) => String.fromCharCode(code)),
  minLength: 1,
  maxLength: 200,
});
const text = fc.string({ unit: 'grapheme', maxLength: 4000 });
const asked = fc.record({
  id: visible,
  source_agent: fc.string({ unit: 'grapheme', minLength: 1, maxLength: 200 }),
  target: fc.option(text),
  human_question: fc.option(text),
  human_options: fc.option(fc.array(text, { maxLength: 60 })),
  human_fallback: fc.option(text),
  timeout_at: fc.option(fc.constant('2026-01-16T10:30:00.000Z')),
  free_text: fc.boolean(),
  answerers: fc.constant(null),
  payload_hash: fc.option(fc.constant('a'.repeat(64))),
});

describe('a question on a phone', () => {
  it('has buttons of at most 64 bytes that name it and no other, whatever it is called', () => {
    fc.assert(
      fc.property(visible, visible, fc.integer({ min: 0, max: 99 }), (id, other, option) => {
        const data = dataOf(keyOf(id), option);
        assert.ok(Buffer.byteLength(data) <= 64);
        assert.deepEqual(readData(data), { key: keyOf(id), option });
        if (other !== id) assert.notEqual(keyOf(other), keyOf(id));
      }),
    );
  });

  it('is taken by Telegram whatever it says, with room for its outcome', () => {
    fc.assert(
      fc.property(asked, (question) => {
        const shown = showQuestion(question, 0);
        const outcome = outcomeOf({
          state: 'answered',
          response: question.human_question ?? '',
          responded_by: 'x'.repeat(100),
          responded_via: 'telegram',
          resolved_at: '2026-01-16T10:30:00.000Z',
        });
        for (const { html, keys } of shown) {
          assert.ok(parseHtml(`${html}\n\n${outcome}`).text.length <= 4096);
          for (const key of keys) assert.ok(key.text.length >= 1 && key.text.length <= 60);
        }
        const buttons = shown.at(-1)?.keys.length;
        assert.equal(buttons, Math.min(question.human_options?.length ?? 0, 30));
      }),
      { numRuns: 60 },
    );
  });

  it('has room for its outcome also where whoever answered has the longest name there is', () => {
    for (const state of ['answered', 'timed_out', 'cancelled'] as const) {
      const end = { response: 'y'.repeat(4000), resolved_at: '2026-01-16T10:30:00.000Z' };
      const outcome = outcomeOf({ state, ...end, responded_by: 'x'.repeat(200), responded_via: '&'.repeat(200) });
      assert.ok(parseHtml(`\n\n${outcome}`).text.length <= 400, outcome);
    }
  });

  it('is for those who are named, and for those whom an escalation told', () => {
    const rung = (fired_at: string | null) => [{ after_minutes: 1, notify: ['olga'], fired_at }];
    assert.ok(mayAnswer({ answerers: null, escalation: null }, 'olga'));
    assert.ok(!mayAnswer({ answerers: ['BERTA'], escalation: rung(null) }, 'olga'));
    assert.ok(mayAnswer({ answerers: ['BERTA'], escalation: rung('2026-01-16T10:30:00.000Z') }, 'olga'));
  });

  for (const data of ['', 'a:', 'a:x', 'a:x:100', 'b:x:0', 'a:x y:0', `a:${'x'.repeat(60)}:0`])
    it(`takes ${JSON.stringify(data.slice(0, 20))} for no button of ours`, () =>
      assert.equal(readData(data), undefined));
});
