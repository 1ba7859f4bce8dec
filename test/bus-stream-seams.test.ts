import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { startBusProcess } from './bus-server.fixtures.ts';
import { testSeams } from './stream-seams.fixtures.ts';

describe('the seam between what was and what happens', () => {
  it('has no gap and no repeat, however often a reader is cut off while others publish', async (t) => {
    const bus = await startBusProcess({ worker: true }, t);
    const { events, cuts } = await testSeams(bus, { readers: 6, cuts: 300, publishers: 8, random: Math.random });
    assert.ok(cuts >= 300 && events > 100, `${cuts} cuts, ${events} events`);
    t.diagnostic(`${events} events, ${cuts} cuts`);
    assert.equal(await bus.stop(), 0);
    assert.equal(bus.log(), '');
  });
});
