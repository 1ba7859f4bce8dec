import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import fc from 'fast-check';
import { Fault } from '../base/fault.ts';
import { saysOf } from '../events/heartbeat.ts';
import { type Heartbeats, startHeartbeats } from './heartbeats.ts';
import type { Heartbeat, LastHeard } from './store/heartbeats.ts';
import { openSqliteStore } from './store/sqlite/open.ts';
import { tempFolder, testClock } from './store/store.fixtures.ts';
import type { Store } from './store/store.ts';

const lookMs = 1000;
/** Every 5 s is the most often for which the shortest loss holds. */
const often = 5;

/** A bus that only hears heartbeats, on a clock and timers that only `pass` moves. */
async function aBus(t: TestContext) {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const clock = testClock();
  const lines: string[] = [];
  const note = (message: string) => void lines.push(message);
  const log = { info: note, warn: note, error: note };
  const file = join(tempFolder(t), 'events.db');
  const writes: string[] = [];
  let failing = false;
  let inner: Store;
  const noting =
    <A extends unknown[], R>(name: string, act: (...args: A) => Promise<R>) =>
    async (...args: A): Promise<R> => {
      writes.push(name);
      if (failing) throw new Fault('storage-full', 'no room');
      return act(...args);
    };
  const open = async (): Promise<Heartbeats> => {
    inner = await openSqliteStore({ file, clock: clock.read });
    const store = {
      heartbeats: () => inner.heartbeats(),
      noteHeartbeat: noting('beat', (heartbeat: Heartbeat) => inner.noteHeartbeat(heartbeat)),
      noteAgentLost: noting('lost', (last: LastHeard) => inner.noteAgentLost(last)),
    };
    return startHeartbeats(store, clock.read, log);
  };
  let heartbeats = await open();
  t.after(async () => {
    await heartbeats.stop();
    await inner.close();
  });
  const settle = async () => {
    for (let n = 0; n < 8; n++) await new Promise<void>((go) => setImmediate(go));
  };
  const look = async (ms: number) => {
    clock.now += ms;
    t.mock.timers.tick(lookMs);
    await settle();
  };
  return {
    clock,
    lines,
    writes,
    look,
    fail(does: boolean) {
      failing = does;
    },
    async pass(seconds: number) {
      for (let n = 0; n < seconds; n++) await look(1000);
    },
    beat: (agent: string, more: Partial<Heartbeat> = {}) =>
      heartbeats.beat({ agent, state: 'alive', everySeconds: often, at: clock.now, says: saysOf({}), ...more }),
    stateOf: (agent: string) => heartbeats.all().find((each) => each.agent === agent)?.state,
    lost: () => heartbeats.lost(),
    heard: (agent: string) => heartbeats.all().find((each) => each.agent === agent)?.at,
    kept: async (agent: string) => (await inner.heartbeats()).find((each) => each.agent === agent)?.at,
    async told() {
      const { events } = await inner.events({ source_agent: 'EVENT-BUS' }, { limit: 1000 });
      return events.reverse().map(({ action, target }) => `${action} ${target}`);
    },
    details: async () => (await inner.events({ source_agent: 'EVENT-BUS' }, { limit: 1 })).events[0]?.details,
    /** `cleanly`: the bus is told to stop; else it breaks down. Then it is away for so long. */
    async restart(cleanly: boolean, awaySeconds = 0) {
      if (cleanly) await heartbeats.stop();
      // What is left of one that broke down reaches no store any more.
      else failing = true;
      const before = heartbeats;
      await inner.close();
      if (!cleanly) await before.stop();
      failing = false;
      clock.now += awaySeconds * 1000;
      heartbeats = await open();
    },
  };
}

describe('which agents are alive', () => {
  it('tells of a loss once, when the agent was silent for three beats, and of its end once', async (t) => {
    const { beat, pass, told, stateOf, details, lost, clock } = await aBus(t);
    const at = new Date(clock.now).toISOString();
    await beat('A', { everySeconds: 20, says: saysOf({ working_on: 'deploy-1' }) });
    await pass(59);
    assert.deepEqual([stateOf('A'), await told()], ['alive', []]);
    await pass(1);
    assert.deepEqual([stateOf('A'), lost(), await told()], ['lost', 1, ['agent_lost A']]);
    const says = saysOf({ working_on: 'deploy-1' });
    assert.deepEqual(await details(), { agent: 'A', last_heartbeat_at: at, silent_seconds: 60, says });
    await pass(120);
    await beat('A', { everySeconds: 20 });
    await beat('A', { everySeconds: 20 });
    assert.deepEqual([stateOf('A'), lost(), await told()], ['alive', 0, ['agent_lost A', 'agent_back A']]);
    assert.deepEqual(await details(), { agent: 'A', silent_seconds: 180 });
  });

  it('waits 15 seconds for one that beats often', async (t) => {
    const { beat, pass, told } = await aBus(t);
    await beat('A', { everySeconds: 1 });
    await pass(14);
    assert.deepEqual(await told(), []);
    await pass(1);
    assert.deepEqual(await told(), ['agent_lost A']);
  });

  it('takes a goodbye for no loss, and a start after it for no return', async (t) => {
    const { beat, pass, told, stateOf } = await aBus(t);
    await beat('A');
    await beat('A', { state: 'stopped', everySeconds: null });
    await pass(60);
    assert.deepEqual([stateOf('A'), await told()], ['stopped', []]);
    await beat('A');
    assert.deepEqual([stateOf('A'), await told()], ['alive', []]);
    await pass(15);
    assert.deepEqual(await told(), ['agent_lost A']);
  });

  it('writes once a minute of an agent that beats each five seconds', async (t) => {
    const { beat, pass, writes, heard, kept, clock } = await aBus(t);
    for (let n = 0; n < 61; n++) {
      await beat('A');
      await pass(often);
    }
    assert.deepEqual(writes, Array(6).fill('beat'));
    assert.equal(heard('A'), clock.now - often * 1000);
    assert.equal(await kept('A'), clock.now - often * 1000);
  });

  it('writes at once how often an agent beats when that changes', async (t) => {
    const { beat, writes, pass, told } = await aBus(t);
    await beat('A');
    await beat('A', { everySeconds: 60 });
    assert.equal(writes.length, 2);
    await pass(100);
    assert.deepEqual(await told(), []);
  });

  it('knows after a clean stop to the moment when it heard an agent last', async (t) => {
    const { beat, pass, restart, heard, clock } = await aBus(t);
    await beat('A');
    await pass(10);
    await beat('A');
    const at = clock.now;
    await restart(true, 3600);
    assert.equal(heard('A'), at);
  });

  for (const cleanly of [true, false])
    it(`tells of an agent that ended while the bus was away, ${cleanly ? 'stopped' : 'killed'}, after its time`, async (t) => {
      const { beat, pass, restart, told, stateOf, details } = await aBus(t);
      await beat('A');
      await restart(cleanly, 3600);
      await pass(14);
      assert.deepEqual([stateOf('A'), await told()], ['alive', []]);
      await pass(1);
      assert.deepEqual(await told(), ['agent_lost A']);
      assert.equal((await details())?.silent_seconds, 3615);
      await restart(cleanly, 60);
      await pass(60);
      assert.deepEqual([stateOf('A'), await told()], ['lost', ['agent_lost A']]);
      await beat('A');
      assert.deepEqual(await told(), ['agent_lost A', 'agent_back A']);
    });

  it('tells of nobody who beats again in time after a restart', async (t) => {
    const { beat, pass, restart, told } = await aBus(t);
    await beat('A');
    await restart(false, 3600);
    await pass(10);
    await beat('A');
    await pass(14);
    assert.deepEqual(await told(), []);
  });

  it('takes no jump of the clock and no pause of its own for a silence', async (t) => {
    const { beat, look, pass, told, clock } = await aBus(t);
    await beat('A');
    await pass(4);
    await look(8 * 3_600_000);
    await pass(4);
    await beat('A');
    clock.now -= 24 * 3_600_000;
    await pass(14);
    assert.deepEqual(await told(), []);
    await pass(2);
    assert.deepEqual(await told(), ['agent_lost A']);
  });

  it('announces a loss once the disk has room again, and says once that it could not', async (t) => {
    const { beat, pass, fail, told, lines, stateOf } = await aBus(t);
    await beat('A');
    fail(true);
    await pass(20);
    assert.deepEqual([stateOf('A'), lines], ['alive', ['a lost agent could not be announced; trying again']]);
    await assert.rejects(beat('B'), { code: 'storage-full' });
    fail(false);
    await pass(1);
    assert.deepEqual(await told(), ['agent_lost A']);
    fail(true);
    await assert.rejects(beat('A'), { code: 'storage-full' });
    assert.equal(stateOf('A'), 'lost');
    fail(false);
    await beat('A');
    assert.deepEqual(await told(), ['agent_lost A', 'agent_back A']);
  });

  it('tells of each agent in turns of loss and return, whatever happens', async (t) => {
    const agents = ['A', 'B', 'C'];
    const step = fc.oneof(
      { weight: 4, arbitrary: fc.record({ kind: fc.constant('beat' as const), agent: fc.constantFrom(...agents) }) },
      { weight: 1, arbitrary: fc.record({ kind: fc.constant('stop' as const), agent: fc.constantFrom(...agents) }) },
      { weight: 3, arbitrary: fc.record({ kind: fc.constant('pass' as const), seconds: fc.nat(20) }) },
      { weight: 1, arbitrary: fc.record({ kind: fc.constant('restart' as const), cleanly: fc.boolean() }) },
    );
    const bus = await aBus(t);
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
        /** Seconds of silence, of those that are alive. */
        const silent = new Map<string, number>();
        // What an earlier run has left is put in order first.
        for (const agent of agents) await bus.beat(agent, { state: 'stopped' });
        const from = (await bus.told()).length;
        const expected: string[] = [];
        const lost = new Set<string>();
        for (const each of steps) {
          if (each.kind === 'pass') {
            await bus.pass(each.seconds);
            for (const [agent, seconds] of silent) {
              silent.set(agent, seconds + each.seconds);
              if (seconds + each.seconds < 3 * often) continue;
              silent.delete(agent);
              lost.add(agent);
              expected.push(`agent_lost ${agent}`);
            }
          } else if (each.kind === 'restart') {
            await bus.restart(each.cleanly, 5);
            for (const agent of silent.keys()) silent.set(agent, 0);
          } else {
            await bus.beat(each.agent, { state: each.kind === 'beat' ? 'alive' : 'stopped' });
            if (lost.delete(each.agent)) expected.push(`agent_back ${each.agent}`);
            if (each.kind === 'beat') silent.set(each.agent, 0);
            else silent.delete(each.agent);
          }
        }
        const told = (await bus.told()).slice(from);
        // Of losses at the same time the order is not promised.
        for (const agent of agents) {
          const of = (all: string[]) => all.filter((line) => line.endsWith(` ${agent}`));
          assert.deepEqual(of(told), of(expected));
        }
      }),
      { numRuns: 30 },
    );
  });
});
