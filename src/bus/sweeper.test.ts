import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { type Commit, maxSweep, type Swept } from './store/store.ts';
import { startSweeper } from './sweeper.ts';

const nothing: Swept = {
  timedOut: 0,
  escalated: 0,
  leasesEnded: 0,
  becameReady: 0,
  expired: 0,
  forgotten: 0,
  nextDueAt: null,
};

/** A sweeper over given outcomes, on a clock that only `pass` moves. */
function setUp(t: TestContext, outcomes: (Partial<Swept> | Error)[]) {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  let now = 1_000_000;
  let sweeps = 0;
  const lines: string[] = [];
  const note = (message: string) => void lines.push(message);
  const listeners = new Set<(commit: Commit) => void>();
  const store = {
    onCommitted(listener: (commit: Commit) => void) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    async sweep(): Promise<Swept> {
      const outcome = outcomes[sweeps++] ?? {};
      if (outcome instanceof Error) throw outcome;
      return { ...nothing, ...outcome };
    },
  };
  const sweeper = startSweeper(store, () => now, { info: note, warn: note, error: note });
  const settle = () => new Promise<void>((resolve) => setImmediate(resolve));
  return {
    sweeper,
    lines,
    count: () => sweeps,
    /** A question was asked that falls due then. */
    asked(dueAt: number) {
      for (const listener of listeners) listener({ head: 1, resolved: [], dueAt, readyFor: [], endedLeases: [] });
    },
    settle,
    async pass(ms: number) {
      now += ms;
      t.mock.timers.tick(ms);
      await settle();
    },
  };
}

describe('the sweeper', () => {
  it('sweeps at once, then every second', async (t) => {
    const { count, pass, settle, sweeper } = setUp(t, []);
    await settle();
    assert.equal(count(), 1);
    await pass(999);
    assert.equal(count(), 1);
    await pass(1);
    assert.equal(count(), 2);
    await sweeper.stop();
  });

  it('sweeps at the next due time when that is sooner', async (t) => {
    const { count, pass, settle, sweeper } = setUp(t, [{ nextDueAt: 1_000_300 }]);
    await settle();
    await pass(299);
    assert.equal(count(), 1);
    await pass(1);
    assert.equal(count(), 2);
    await sweeper.stop();
  });

  it('sweeps when a question falls due that was asked since', async (t) => {
    const { asked, count, pass, settle, sweeper } = setUp(t, []);
    await settle();
    await pass(100);
    asked(1_000_900);
    asked(1_000_300);
    asked(1_000_800);
    await pass(199);
    assert.equal(count(), 1);
    await pass(1);
    assert.equal(count(), 2);
    await sweeper.stop();
  });

  it('does not forget what was asked while it swept', async (t) => {
    const { asked, count, pass, settle, sweeper } = setUp(t, []);
    asked(1_000_050);
    await settle();
    await pass(49);
    assert.equal(count(), 1);
    await pass(1);
    assert.equal(count(), 2);
    await sweeper.stop();
  });

  it('goes on at once while there is more than one sweep takes', async (t) => {
    const { count, settle, sweeper } = setUp(t, [
      ...[{ timedOut: maxSweep }, { escalated: maxSweep }, { leasesEnded: maxSweep }, { becameReady: maxSweep }],
      ...[{ expired: maxSweep + 1 }, { timedOut: 3 }],
    ]);
    await settle();
    assert.equal(count(), 6);
    await sweeper.stop();
  });

  it('logs an error once and goes on', async (t) => {
    const full = new Error('the disk is full');
    const { count, pass, settle, lines, sweeper } = setUp(t, [full, full, {}]);
    await settle();
    await pass(1000);
    assert.equal(lines.length, 1);
    await pass(1000);
    assert.equal(count(), 3);
    assert.deepEqual(lines[1], 'deadlines are applied again');
    await sweeper.stop();
  });

  it('stops', async (t) => {
    const { count, pass, settle, sweeper } = setUp(t, []);
    await settle();
    await sweeper.stop();
    await sweeper.stop();
    await pass(5000);
    assert.equal(count(), 1);
  });
});
