import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { GaiaEnd } from '../gaia-end.ts';
import { doPlanned, longestFor } from './do-planned.ts';
import type { Planned } from './plan.ts';
import { makePrecedence } from './precedence.ts';

const hourMs = 3_600_000;
const nowMs = Date.parse('2026-06-07T05:00:00Z');

const planned = (more: Partial<Planned>) =>
  ({
    ...{ target: 'dev', what: 'drill', rule: { every: 'week', day: 0, at: 300 }, cause: 'schedule:dev:drill:x' },
    ...{ lastMs: undefined, isDue: true, nextMs: nowMs, missing: undefined, untold: undefined, note: {} },
    ...more,
  }) as Planned;

describe('What is done by the schedule', () => {
  it('is ended when it is a proof that would keep a backup from being made, and not before 6 hours', () => {
    const hourly = planned({ what: 'databases', rule: { every: 'hours', hours: 1 }, nextMs: nowMs + hourMs });
    const daily = planned({ what: 'whole', rule: { every: 'day', at: 180 }, nextMs: nowMs + 10 * hourMs });
    for (const what of ['drill', 'verify'] as const) {
      assert.equal(longestFor(planned({ what }), [hourly, daily], nowMs), 6 * hourMs);
      assert.equal(longestFor(planned({ what }), [daily], nowMs), 16 * hourMs);
      assert.equal(longestFor(planned({ what }), [planned({ what })], nowMs), 24 * hourMs);
    }
    for (const what of ['whole', 'prune', 'copy'] as const)
      assert.equal(longestFor(planned({ what }), [hourly], nowMs), 24 * hourMs);
  });

  it('has failed when it never ends, and says so', async () => {
    const gaia = (_: readonly string[], signal: AbortSignal) =>
      new Promise<GaiaEnd>((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    const copyBus = async () => assert.fail('nothing is copied');
    const effects = { gaia, copyBus, precedence: makePrecedence() };
    // The timer of a limit keeps no process alive.
    const alive = setInterval(() => undefined, 1000);
    try {
      const done = await doPlanned(planned({}), effects, new AbortController().signal, 36);
      assert.deepEqual(done, {
        kind: 'failed',
        code: 'unavailable',
        says: 'It took longer than 0 hours, and was ended.',
      });
    } finally {
      clearInterval(alive);
    }
  });
});
