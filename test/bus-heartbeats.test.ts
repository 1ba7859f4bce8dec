import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import fc from 'fast-check';
import { type Caller, callerOf, type Wire } from './bus-caller.fixtures.ts';
import { type BusProcess, startBusProcess } from './bus-server.fixtures.ts';

describe('heartbeats over HTTP', () => {
  let bus: BusProcess;
  let call: Caller;
  before(async () => {
    bus = await startBusProcess({ aheadMs: 0 });
    call = await callerOf(bus);
  });
  after(() => bus.stop());

  const agentsOf = async (): Promise<Wire[]> => (await call.get('/agents?limit=1000')).body.agents;
  const find = async (name: string) => (await agentsOf()).find(({ agent }) => agent === name);
  const none = { ready: 0, leased: 0, deferred: 0, dead: 0 };

  it('are noted, shown whole, and make no event', async () => {
    const health = 'http://127.0.0.1:8010/health';
    const body = { every_seconds: 20, version: '1.2', health, working_on: 'deploy-1', handled: 3, dead_lettered: 1 };
    const { status, body: answer } = await call.post('/agents/ONE/heartbeat', body);
    assert.deepEqual(
      [status, answer],
      [200, { status: 'noted', agent: 'ONE', state: 'alive', lost_after_seconds: 60 }],
    );
    const { last_heartbeat_at, ...one } = await find('ONE');
    assert.ok(Math.abs(Date.parse(last_heartbeat_at) - Date.now()) < 10_000);
    assert.deepEqual(one, {
      ...{ agent: 'ONE', state: 'alive', every_seconds: 20 },
      says: {
        version: '1.2',
        health,
        working_on: 'deploy-1',
        handled: 3,
        given_back: null,
        dead_lettered: 1,
        loops_cut: null,
      },
      deliveries: none,
    });
    await call.post('/agents/ONE/heartbeat', { every_seconds: 1 });
    assert.deepEqual((await find('ONE')).says.working_on, null, 'each replaces the one before');
    assert.equal((await call.get('/events')).body.count, 0);
  });

  it('list who has subscriptions too, by name and by page, with what waits', async () => {
    for (const agent_name of ['TWO', 'b', 'é'])
      await call.post('/subscriptions', { agent_name, action_pattern: 'two_heard' });
    for (let n = 0; n < 3; n++) await call.publish({ action: 'two_heard' });
    const { deliveries } = (await call.post('/agents/TWO/deliveries:claim', { max: 2 })).body;
    await call.post(`/agents/TWO/deliveries/${deliveries[0].id}:nack`, { lease: deliveries[0].lease, dead: true });
    const two = await find('TWO');
    assert.deepEqual([two.state, two.last_heartbeat_at, two.says], ['never_heard_of', null, null]);
    assert.deepEqual(two.deliveries, { ready: 1, leased: 1, deferred: 0, dead: 1 });
    const paged: string[] = [];
    for (let after = '', n = 0; n < 100; n++) {
      const page = (await call.get(`/agents?limit=2${after}`)).body;
      paged.push(...page.agents.map(({ agent }: Wire) => agent));
      if (page.next === null) break;
      after = `&after=${page.next}`;
    }
    const all = (await agentsOf()).map(({ agent }) => agent);
    assert.deepEqual([paged, all], [all, [...new Set(all)].sort()]);
    for (const name of ['TWO', 'b', 'é', 'CHRONOS']) assert.ok(all.includes(name), name);
    assert.equal((await call.get('/agents?after=rubbish')).status, 422);
  });

  it('that make no sense are refused with every mistake', async () => {
    for (const [body, ...pointers] of [
      [{}, '/every_seconds'],
      [{ stopped: false }, '/every_seconds'],
      [{ every_seconds: 0 }, '/every_seconds'],
      [{ every_seconds: 3601 }, '/every_seconds'],
      [{ every_seconds: 1.5, health: 'ftp://x', handled: -1 }, '/every_seconds', '/health', '/handled'],
      [{ every_seconds: 1, health: '/health', working_on: '' }, '/health', '/working_on'],
    ] as const) {
      const { status, body: problem } = await call.post('/agents/ONE/heartbeat', body);
      assert.equal(status, 422, JSON.stringify(body));
      assert.deepEqual(
        problem.errors.map((each: Wire) => each.pointer),
        pointers,
      );
    }
    assert.equal((await call.post('/agents/%0a/heartbeat', { every_seconds: 1 })).status, 422);
    const { body: warned } = await call.post('/agents/ONE/heartbeat', { every_seconds: 1, workingon: 'x' });
    assert.match(warned.warnings[0].detail, /did you mean working_on\?/);
  });

  it('may say anything: it is noted whole or refused, never a fault of the bus', async () => {
    const value = fc.oneof(
      fc.jsonValue(),
      fc.string({ unit: 'binary' }),
      fc.constantFrom(0, 1, 3600, 1e300, null, true),
    );
    const keys = ['every_seconds', 'stopped', 'version', 'health', 'working_on', 'handled', 'given_back', '__proto__'];
    await fc.assert(
      fc.asyncProperty(
        // Every client takes these two out of a path before it sends it (WHATWG URL, "single-dot URL path segment").
        fc.string({ unit: 'grapheme', minLength: 1 }).filter((name) => name !== '.' && name !== '..'),
        fc.dictionary(fc.constantFrom(...keys), value),
        async (name, body) => {
          const { status } = await call.post(`/agents/${encodeURIComponent(name)}/heartbeat`, {
            every_seconds: 10,
            ...body,
          });
          assert.ok([200, 404, 409, 422].includes(status), `${status} ${JSON.stringify([name, body])}`);
          if (status === 200) assert.ok(await find(name), name);
        },
      ),
      { numRuns: 100 },
    );
  });

  it('that stop are a loss, told once, and that come again its end, told once, over a restart of the bus', async (t) => {
    const first = await startBusProcess({ aheadMs: 0 });
    t.after(() => first.kill());
    const caller = await callerOf(first);
    const told = async (at: Caller) =>
      (await at.get('/events?source_agent=EVENT-BUS')).body.events.map(
        ({ action, target }: Wire) => `${action} ${target}`,
      );
    // What one look of the bus counts as silence at most is five seconds.
    const silence = async (of: BusProcess) => {
      for (let n = 0; n < 4; n++) {
        await of.advance(5000);
        await pause(1100);
      }
    };
    await caller.post('/agents/LOST/heartbeat', { every_seconds: 1, working_on: 'deploy-9' });
    await caller.post('/agents/SLOW/heartbeat', { every_seconds: 60 });
    await caller.post('/agents/GONE/heartbeat', { every_seconds: 1 });
    assert.equal((await caller.post('/agents/GONE/heartbeat', { stopped: true })).body.lost_after_seconds, null);
    await silence(first);
    const [event, more] = (await caller.get('/events')).body.events;
    assert.deepEqual(
      [event.source_agent, event.action, event.target, more],
      ['EVENT-BUS', 'agent_lost', 'LOST', undefined],
    );
    assert.ok(event.subscribed_agents.includes('HERMES'), 'a person hears of it');
    const { last_heartbeat_at, silent_seconds, says, ...rest } = event.details;
    assert.deepEqual([rest, says.working_on], [{ agent: 'LOST' }, 'deploy-9']);
    assert.ok(Date.parse(last_heartbeat_at) && silent_seconds >= 15 && silent_seconds < 60);
    const states = async () =>
      Object.fromEntries((await caller.get('/agents')).body.agents.map((each: Wire) => [each.agent, each.state]));
    const { LOST, SLOW, GONE } = await states();
    assert.deepEqual([LOST, SLOW, GONE], ['lost', 'alive', 'stopped']);
    await first.kill();
    const second = await startBusProcess({ home: first.home, aheadMs: 60_000 }, t);
    const again = await callerOf(second);
    await silence(second);
    assert.deepEqual(await told(again), ['agent_lost LOST']);
    for (let n = 0; n < 2; n++) await again.post('/agents/LOST/heartbeat', { every_seconds: 1 });
    assert.deepEqual(await told(again), ['agent_back LOST', 'agent_lost LOST']);
    assert.match(await (await fetch(`${second.url}/metrics`)).text(), /^leveredge_agents_lost 0$/m);
  });
});
