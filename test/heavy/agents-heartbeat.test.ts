import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { type Agent, done } from '../../src/agents/agent.ts';
import { makeRunner } from '../../src/agents/runner.ts';
import { systemClock } from '../../src/base/clock.ts';
import { Fault } from '../../src/base/fault.ts';
import { type Client, makeClient } from '../../src/client/client.ts';
import { type BusProcess, startBusProcess, temporaryHome } from '../bus-server.fixtures.ts';
import { start } from '../cli-run.fixtures.ts';

const lines: string[] = [];
const note = (line: string) => void lines.push(line);
const log = { info: note, warn: note, error: note };

async function until<T>(what: () => Promise<T | false>): Promise<T> {
  for (let n = 0; n < 1000; n++) {
    const found = await what();
    if (found !== false) return found;
    await pause(20);
  }
  assert.fail(`never came to be: ${what}`);
}

const stateOf = async (client: Client, name: string) =>
  (await client.agents()).find(({ agent }) => agent === name)?.state;

const isState = (client: Client, name: string, state: string) =>
  until(async () => (await stateOf(client, name)) === state);

/** What the bus said of agents, oldest first. */
async function told(client: Client): Promise<string[]> {
  const { events } = await client.events({ source_agent: 'EVENT-BUS', limit: 1000 });
  return events.reverse().map(({ action, target }) => `${action} ${target}`);
}

/** Longer than an agent is waited for; one that lives beats in it several times. */
async function longTime(bus: BusProcess): Promise<void> {
  for (let n = 0; n < 4; n++) {
    await bus.advance(5000);
    // What one look of the bus counts as silence at most is those five seconds.
    await pause(1100);
  }
}

/** CHRONOS as a process of its own, once it hears. */
async function chronos(t: TestContext, home: string, { url }: BusProcess) {
  const agent = start(['agent', 'chronos', '--home', home, '--url', url, '--port', '0', '--heartbeat', '1', '--json']);
  t.after(() => agent.child.kill('SIGKILL'));
  await agent.says('stdout', /^\{.*\}$/);
  return agent;
}

describe('the heartbeat of an agent', { concurrency: true, timeout: 120_000 }, () => {
  it('is missed once when it is killed and once welcomed when it is back; who stops is not missed', async (t) => {
    const home = temporaryHome(t);
    let bus = await startBusProcess({ home, aheadMs: 0 }, t);
    const first = await chronos(t, home, bus);
    let client = makeClient({ url: bus.url });
    const { says } = await until(async () => (await client.agents()).find(({ state }) => state === 'alive') ?? false);
    assert.deepEqual([says?.working_on, says?.handled], [null, 0]);
    assert.match(String(says?.health), /^http:\/\/127\.0\.0\.1:\d+\/health$/);
    await longTime(bus);
    assert.deepEqual(await told(client), [], 'it lives');

    // Both are killed, and the bus alone comes back.
    first.child.kill('SIGKILL');
    await first.ended;
    await bus.kill();
    bus = await startBusProcess({ home, aheadMs: 3_600_000 }, t);
    client = makeClient({ url: bus.url });
    assert.equal(await stateOf(client, 'CHRONOS'), 'alive');
    await longTime(bus);
    assert.deepEqual(await told(client), ['agent_lost CHRONOS']);
    await bus.kill();
    bus = await startBusProcess({ home, aheadMs: 7_200_000 }, t);
    client = makeClient({ url: bus.url });
    await longTime(bus);
    assert.deepEqual([await stateOf(client, 'CHRONOS'), await told(client)], ['lost', ['agent_lost CHRONOS']]);

    const second = await chronos(t, home, bus);
    await isState(client, 'CHRONOS', 'alive');
    const all = ['agent_lost CHRONOS', 'agent_back CHRONOS'];
    assert.deepEqual(await told(client), all);
    second.child.kill('SIGTERM');
    assert.equal((await second.ended).exit, 0);
    assert.equal(await stateOf(client, 'CHRONOS'), 'stopped');
    await longTime(bus);
    assert.deepEqual([await stateOf(client, 'CHRONOS'), await told(client)], ['stopped', all]);
    const third = await chronos(t, home, bus);
    await isState(client, 'CHRONOS', 'alive');
    assert.deepEqual(await told(client), all);
    third.child.kill('SIGTERM');
    await third.ended;
  });

  const agent = (name: string, react: Agent['react']): Agent => ({
    ...{ name, port: 0, hears: { [`${name}_heard`]: 1 }, longestMs: 60_000, react },
  });
  const run = (client: Client, one: Agent) => {
    const stop = new AbortController();
    const ended = makeRunner(one, client, {
      ...{ leaseSeconds: 30, graceMs: 0, heartbeatSeconds: 1, log, clock: systemClock, stop: stop.signal },
    }).run();
    return { ended, stop: () => stop.abort() };
  };

  it('goes on while a long reaction runs, and tells what that works on', async (t) => {
    const bus = await startBusProcess({}, t);
    const client = makeClient({ url: bus.url });
    const end = Promise.withResolvers<void>();
    const { stop, ended } = run(
      client,
      agent('LONG', async () => {
        await end.promise;
        return done();
      }),
    );
    const beatOf = async (workingOn: string | null, later = '') => {
      const one = (await client.agents()).find(({ agent: name }) => name === 'LONG');
      const at = one?.last_heartbeat_at ?? '';
      return one?.says?.working_on === workingOn && at > later && { at, says: one.says };
    };
    await until(() => beatOf(null));
    await client.publish({ source_agent: 'ME', action: 'LONG_heard', id: 'long-1' });
    let { at } = await until(() => beatOf('long-1'));
    for (let n = 0; n < 2; n++) ({ at } = await until(() => beatOf('long-1', at)));
    end.resolve();
    const { says } = await until(() => beatOf(null, at));
    assert.equal(says.handled, 1);
    stop();
    await ended;
    assert.equal(await stateOf(client, 'LONG'), 'stopped');
  });

  it('costs nothing where the bus is too old to know of it, and no word', async (t) => {
    const bus = await startBusProcess({}, t);
    const client = makeClient({ url: bus.url });
    let beats = 0;
    const old: Client = {
      ...client,
      async heartbeat() {
        beats++;
        throw new Fault('not-found', 'There is nothing at /agents/OLD/heartbeat.');
      },
    };
    const { stop, ended } = run(
      old,
      agent('OLD', async () => done()),
    );
    await client.publish({ source_agent: 'ME', action: 'OLD_heard', id: 'old-1' });
    await until(async () => beats >= 3);
    stop();
    await ended;
    assert.equal(await stateOf(client, 'OLD'), 'never_heard_of');
    assert.deepEqual(
      lines.filter((line) => !['done'].includes(line)),
      [],
    );
  });

  it('is no goodbye when the agent breaks down', async (t) => {
    const bus = await startBusProcess({}, t);
    const client = makeClient({ url: bus.url });
    const broken: Client = { ...client, claim: () => Promise.reject(new Error('we are wrong here')) };
    const { ended } = run(
      broken,
      agent('BROKEN', async () => done()),
    );
    await assert.rejects(ended, /we are wrong here/);
    await isState(client, 'BROKEN', 'alive');
  });
});
