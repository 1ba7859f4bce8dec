import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Commit } from './store/store.ts';
import { makeWaiters, maxWaiters } from './waiters.ts';

function setUp() {
  const listeners = new Set<(commit: Commit) => void>();
  const waiters = makeWaiters((listener) => {
    listeners.add(listener);
    return () => listeners.delete(listener);
  });
  const commit = (...resolved: string[]) => {
    for (const listener of listeners) listener({ head: 1, resolved, dueAt: null, readyFor: [], endedLeases: [] });
  };
  return { waiters, commit, listeners };
}

const staying = () => new AbortController().signal;
const long = 60_000;
const stays = () => false;

describe('waiters', () => {
  it('wake at the end of their own question', async () => {
    const { waiters, commit } = setUp();
    const one = waiters.listen('a', stays);
    const other = waiters.listen('b', stays);
    let woken = false;
    const ended = other.ended(long, staying()).then(() => {
      woken = true;
    });
    commit('a', 'c');
    await one.ended(long, staying());
    assert.equal(woken, false);
    commit('b');
    await ended;
  });

  it('do not miss an end between listening and waiting', async () => {
    const { waiters, commit } = setUp();
    const one = waiters.listen('a', stays);
    commit('a');
    await one.ended(long, staying());
  });

  it('wake when the time is over', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const { waiters } = setUp();
    const ended = waiters.listen('a', stays).ended(5000, staying());
    t.mock.timers.tick(5000);
    await ended;
  });

  it('wake when their caller goes away, or went before', async () => {
    const { waiters } = setUp();
    const gone = new AbortController();
    const ended = waiters.listen('a', stays).ended(long, gone.signal);
    gone.abort();
    await ended;
    await waiters.listen('a', stays).ended(long, gone.signal);
  });

  it('wake when the bus stops, also those that come later', async () => {
    const { waiters, listeners } = setUp();
    const ended = waiters.listen('a', stays).ended(long, staying());
    waiters.release();
    waiters.release();
    await ended;
    await waiters.listen('a', stays).ended(long, staying());
    assert.equal(listeners.size, 0);
  });

  it('make room for a new one when the oldest that went away is still waited for', async () => {
    const { waiters } = setUp();
    const left = [false, true, true];
    const ended: number[] = [];
    const all = Array.from({ length: maxWaiters }, (_, i) => {
      const one = waiters.listen('q', () => left[i] ?? false);
      return one.ended(long, staying()).then(() => void ended.push(i));
    });
    const late = [waiters.listen('q', stays), waiters.listen('q', stays)];
    await Promise.all([all[1], all[2]]);
    assert.deepEqual(ended, [1, 2]);
    assert.throws(() => waiters.listen('q', stays), { code: 'queue-full' });
    assert.equal(waiters.count, maxWaiters);
    waiters.release();
    await Promise.all(all);
    for (const one of late) one.stop();
  });

  it('are bounded, and leave nothing behind', () => {
    const { waiters } = setUp();
    const all = Array.from({ length: maxWaiters }, (_, i) => waiters.listen(`q${i % 7}`, stays));
    assert.throws(() => waiters.listen('more', stays), { code: 'queue-full' });
    for (const one of [...all, ...all]) one.stop();
    assert.equal(waiters.count, 0);
    waiters.listen('again', stays).stop();
  });
});
