import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import type { Commit } from './store/store.ts';
import { makeTurns, maxTurns } from './turns.ts';

const staying = () => new AbortController().signal;
const stays = () => false;
const long = 60_000;
const turn = () => new Promise((go) => setImmediate(go));

function setUp(t: TestContext) {
  const listeners = new Set<(commit: Commit) => void>();
  const turns = makeTurns((listener) => {
    listeners.add(listener);
    return () => listeners.delete(listener);
  });
  t.after(() => turns.release());
  const commit = (...readyFor: string[]) => {
    for (const listener of listeners) listener({ head: 1, resolved: [], dueAt: null, readyFor, endedLeases: [] });
  };
  const woken: string[] = [];
  /** Somebody who waits under this name, until `end`. */
  const wait = (name: string, agent = 'A', left = stays) => {
    const own = turns.take(agent, left);
    const gone = new AbortController();
    const ended = own.comes(long, gone.signal).then(() => void woken.push(name));
    return { ...own, ended, leave: () => gone.abort() };
  };
  return { turns, commit, listeners, wait, woken };
}

describe('turns', () => {
  it('wake one for each commit, oldest first, and only for its own agent', async (t) => {
    const { commit, wait, woken } = setUp(t);
    for (const name of ['one', 'two', 'three']) wait(name);
    wait('other', 'B');
    commit('A', 'C');
    await turn();
    assert.deepEqual(woken, ['one']);
    commit('A');
    commit('B');
    await turn();
    assert.deepEqual(woken, ['one', 'two', 'other']);
  });

  it('do not miss what becomes ready between taking and waiting', async (t) => {
    const { turns, commit } = setUp(t);
    const own = turns.take('A', stays);
    commit('A');
    await own.comes(long, staying());
  });

  it('hand a wake on that is not used', async (t) => {
    const { commit, wait, woken } = setUp(t);
    const [one, two] = [wait('one'), wait('two')];
    wait('three');
    commit('A');
    one.end(false);
    await turn();
    assert.deepEqual(woken, ['one', 'two']);
    two.end(true);
    two.end(false);
    await turn();
    assert.deepEqual(woken, ['one', 'two'], 'who looks again uses it');
  });

  it('wake more when there is more', async (t) => {
    const { turns, wait, woken } = setUp(t);
    for (const name of ['one', 'two', 'three']) wait(name);
    turns.wake('A', 2);
    await turn();
    assert.deepEqual(woken, ['one', 'two']);
    turns.wake('nobody', 2);
  });

  it('wake the next one too when the oldest has gone away for good', async (t) => {
    const { commit, wait, woken } = setUp(t);
    wait('gone', 'A', () => true);
    wait('here');
    commit('A');
    await turn();
    assert.deepEqual(woken, ['gone', 'here']);
  });

  it('end when their caller breaks off, when the time is over, and when the bus stops', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const { turns, wait, listeners } = setUp(t);
    const broken = wait('broken');
    broken.leave();
    await broken.ended;
    const timed = turns.take('A', stays).comes(5000, staying());
    t.mock.timers.tick(5000);
    await timed;
    const stopped = wait('stopped');
    assert.equal(turns.isReleased, false);
    turns.release();
    turns.release();
    await stopped.ended;
    assert.equal(turns.isReleased, true);
    await turns.take('A', stays).comes(long, staying());
    assert.equal(listeners.size, 0);
  });

  it('are bounded, make room where somebody has gone away, and leave nothing behind', async (t) => {
    const { turns } = setUp(t);
    const hasLeft = new Set<number>();
    const all = Array.from({ length: maxTurns }, (_, i) => turns.take(`a${i % 7}`, () => hasLeft.has(i)));
    assert.throws(() => turns.take('more', stays), { code: 'queue-full' });
    hasLeft.add(10);
    const late = turns.take('more', stays);
    await all[10]?.comes(long, staying());
    assert.equal(turns.count, maxTurns);
    for (const one of [...all, ...all, late]) one.end(false);
    assert.equal(turns.count, 0);
  });
});
