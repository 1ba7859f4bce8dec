import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { makeFlood, telegramsLimits } from './fake/flood.ts';
import { makePacer, usualPace } from './pace.ts';

describe('the pace', () => {
  it('is never one that Telegram refuses', () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ chat: fc.integer({ min: 1, max: 40 }), idleMs: fc.integer({ min: 0, max: 400 }) }), {
          maxLength: 200,
        }),
        (steps) => {
          let now = 1_000_000;
          const flood = makeFlood(telegramsLimits, () => now);
          const pacer = makePacer(usualPace);
          for (const { chat, idleMs } of steps) {
            now += idleMs;
            now += pacer.waitMs(chat, now);
            assert.equal(pacer.waitMs(chat, now), 0);
            pacer.sent(chat, now);
            flood.count(chat);
          }
        },
      ),
    );
  });

  it('is a message a second in one chat in the long run', () => {
    const pacer = makePacer(usualPace);
    let now = 0;
    for (let sent = 0; sent < 63; sent++) {
      now += pacer.waitMs(1, now);
      pacer.sent(1, now);
    }
    assert.ok(now >= 59_000 && now <= 61_000, String(now));
  });

  it('rests as long as it is told to, and not for ever where a clock was put back', () => {
    const pacer = makePacer(usualPace);
    pacer.hush(5_000, 10_000);
    assert.equal(pacer.waitMs(1, 10_000), 5_000);
    assert.equal(pacer.waitMs(1, 15_000), 0);
    pacer.sent(1, 15_000);
    assert.ok(pacer.waitMs(1, 1_000) <= 15_000);
    const month = 30 * 86_400_000;
    pacer.hush(5_000, month);
    assert.equal(pacer.waitMs(1, 60_000), 5_000);
    pacer.hush(1_000, 62_000);
    assert.equal(pacer.waitMs(1, 62_000), 3_000);
    assert.equal(pacer.waitMs(1, 65_000), 0);
  });
});
