import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { startControlBot } from '../control-bot.fixtures.ts';

const taps = 300;
const atMostMs = 150;

describe('a tap', { timeout: 180_000 }, () => {
  it(`is stored and acknowledged within ${atMostMs} ms in 99 of 100 cases`, async (t) => {
    const { fake, client } = await startControlBot(t);
    const ids = Array.from({ length: taps }, (_, n) => `question-${n}`);
    for (const id of ids)
      await client.publish({
        id,
        source_agent: 'HADES',
        action: 'shall_we',
        target: null,
        requires_human: true,
        human_question: `Shall we ${id}?`,
        human_options: ['yes', 'no'],
      });
    await fake.eventually(() => fake.said().filter(({ buttons }) => buttons.length > 0).length === taps, 'all asked');
    const took: number[] = [];
    for (const { message_id } of fake.said().filter(({ buttons }) => buttons.length > 0)) {
      const before = performance.now();
      const tap = fake.tap(message_id, 'yes');
      await fake.eventually(() => tap.answer);
      took.push(performance.now() - before);
      assert.equal(tap.answer?.text, 'Stored: yes');
    }
    took.sort((a, b) => a - b);
    const at = (share: number) => took[Math.floor(took.length * share)] as number;
    t.diagnostic(
      `${taps} taps: p50 ${at(0.5).toFixed(1)} ms, p99 ${at(0.99).toFixed(1)} ms, longest ${took.at(-1)?.toFixed(1)} ms`,
    );
    assert.ok(at(0.99) < atMostMs, `p99 ${at(0.99)} ms`);
  });
});
