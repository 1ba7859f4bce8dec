import assert from 'node:assert/strict';
import { after, before, describe, it, type TestContext } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { type Agent, done, type Said } from '../src/agents/agent.ts';
import { makeRunner, type Runner, type RunnerOptions } from '../src/agents/runner.ts';
import { systemClock } from '../src/base/clock.ts';
import { Fault } from '../src/base/fault.ts';
import { type Client, makeClient } from '../src/client/client.ts';
import type { Event } from '../src/events/event.ts';
import { type BusProcess, startBusProcess, temporaryHome } from './bus-server.fixtures.ts';

const maxAttempts = 3;
const quiet = { info: () => undefined, warn: () => undefined, error: () => undefined };

type Reaction = Agent['react'];

/** An agent that hears `<name>_heard` unless it says otherwise. */
function agent(name: string, react: Reaction, more: Partial<Agent> = {}): Agent {
  return { name, port: 0, hears: { [`${name}_heard`]: 1 }, longestMs: 60_000, react, ...more };
}

const said = (action: string): Said => ({ action, target: 'dev', details: {} });

/** Runs it until the test ends, or it is stopped. */
async function start(t: TestContext, client: Client, one: Agent, options: Partial<RunnerOptions> = {}) {
  const stop = new AbortController();
  let ready = () => {};
  const isReady = new Promise<void>((resolve) => {
    ready = resolve;
  });
  const usual = { leaseSeconds: 30, graceMs: 0, log: quiet, clock: systemClock, onReady: ready };
  const runner: Runner = makeRunner(one, client, { ...usual, ...options, stop: stop.signal });
  const ended = runner.run();
  t.after(async () => {
    stop.abort();
    await ended;
  });
  await Promise.race([isReady, ended]);
  return { runner, ended, stop: () => stop.abort() };
}

async function until(what: () => boolean | Promise<boolean>): Promise<void> {
  for (let n = 0; n < 3000; n++) {
    if (await what()) return;
    await pause(10);
  }
  assert.fail(`never came to be: ${what}`);
}

describe('an agent over the bus', { concurrency: true, timeout: 60_000 }, () => {
  let bus: BusProcess;
  let client: Client;
  before(async () => {
    bus = await startBusProcess({ yaml: `bus: { deliveries: { max_attempts: ${maxAttempts} } }` });
    client = makeClient({ url: bus.url });
  });
  after(() => bus.stop());

  const publish = async (action: string, id: string, more = {}) => {
    await client.publish({ source_agent: 'ME', action, id, target: 'dev', ...more });
  };
  const statusOf = async (id: string) => (await client.event(id)).status;
  const isSettled = (id: string) => async () => (await statusOf(id)) === 'acknowledged';
  const saidBy = async (source_agent: string): Promise<Event[]> =>
    (await client.events({ source_agent, limit: 1000 })).events;

  it('adds what it hears, and leaves what the operator has changed or deleted', async (t) => {
    const hears = { sub_a: 1, sub_b: 2, sub_c: 3 };
    const of = async () => client.subscriptions({ agent: 'SUB' });
    const once = await start(
      t,
      client,
      agent('SUB', async () => done(), { hears }),
    );
    once.stop();
    await once.ended;
    for (const { id, action_pattern } of await of()) {
      if (action_pattern === 'sub_a') await client.removeSubscription(id);
      if (action_pattern === 'sub_b') await client.changeSubscription(id, { priority: 9 });
    }
    await start(
      t,
      client,
      agent('SUB', async () => done(), { hears }),
    );
    assert.deepEqual((await of()).map((each) => [each.action_pattern, each.priority, each.origin, each.mode]).sort(), [
      ['sub_b', 9, 'agent', 'queue'],
      ['sub_c', 3, 'agent', 'queue'],
    ]);
  });

  it('says once what it concludes, although it was interrupted before it had acknowledged', async (t) => {
    const attempts: string[] = [];
    const forgetful: Client = {
      ...client,
      ackDelivery: (held) =>
        attempts.length === 1 ? Promise.reject(new Fault('lease-lost', 'killed here')) : client.ackDelivery(held),
    };
    const one = agent('ONCE', async ({ id }) => {
      attempts.push(id);
      return done(said('once_said'), said('once_said_too'));
    });
    await start(t, forgetful, one, { leaseSeconds: 1 });
    await publish('ONCE_heard', 'once-1', { correlation_id: 'all of it' });
    await until(isSettled('once-1'));
    // On a slow machine a lease of a second may end once more.
    assert.ok(attempts.length >= 2);
    const events = await saidBy('ONCE');
    assert.deepEqual(events.map(({ action }) => action).sort(), ['once_said', 'once_said_too']);
    for (const event of events) assert.deepEqual([event.causation_id, event.correlation_id], ['once-1', 'all of it']);
  });

  it('keeps its lease for as long as it works', async (t) => {
    const ends: string[] = [];
    const watched: Client = {
      ...client,
      extendDelivery: async (held, seconds) => {
        const extended = await client.extendDelivery(held, seconds);
        ends.push(extended.leased_until);
        return extended;
      },
    };
    let attempts = 0;
    const one = agent('LONG', async () => {
      attempts++;
      await until(() => ends.length === 2);
      return done();
    });
    const { runner } = await start(t, watched, one, { leaseSeconds: 5 });
    await publish('LONG_heard', 'long-1');
    await until(isSettled('long-1'));
    assert.ok((ends[0] as string) < (ends[1] as string));
    assert.deepEqual([attempts, runner.tally().handled, runner.tally().given_back], [1, 1, 0]);
  });

  it('lets go of what somebody else has settled meanwhile, and goes on', async (t) => {
    const reasons: unknown[] = [];
    const one = agent('LOST', async ({ id }, signal) => {
      if (id !== 'lost-1') return done();
      await pause(30_000, undefined, { signal }).catch(() => reasons.push(signal.reason));
      throw signal.reason;
    });
    const { runner } = await start(t, client, one, { leaseSeconds: 1 });
    await publish('LOST_heard', 'lost-1');
    await until(() => runner.tally().working_on === 'lost-1');
    await client.acknowledge('lost-1', 'LOST');
    await publish('LOST_heard', 'lost-2');
    await until(isSettled('lost-2'));
    assert.equal((reasons[0] as Fault).code, 'lease-lost');
    assert.equal(await statusOf('lost-1'), 'acknowledged');
  });

  it('gives back what fails, and up when the attempts are used up; that blocks nobody', async (t) => {
    const heard: string[] = [];
    const one = agent('POISON', async ({ id }) => {
      heard.push(id);
      if (id === 'poison-1') throw new Error('it is poison');
      if (id === 'poison-2') return { says: [said('poison_known')], end: { kind: 'never', because: 'it never works' } };
      return done();
    });
    const { runner } = await start(t, client, one);
    for (const id of ['poison-1', 'poison-2', 'poison-3']) await publish('POISON_heard', id);
    await until(isSettled('poison-3'));
    await until(async () => (await statusOf('poison-1')) === 'failed');
    assert.deepEqual(
      heard.filter((id) => id !== 'poison-1'),
      ['poison-2', 'poison-3'],
    );
    assert.equal(heard.filter((id) => id === 'poison-1').length, maxAttempts);
    const letters = (await client.deadLetters({ agent: 'POISON' })).dead_letters;
    assert.deepEqual(letters.map(({ event, reason, error, attempts }) => [event.id, reason, error, attempts]).sort(), [
      ['poison-1', 'attempts', 'it is poison', maxAttempts],
      ['poison-2', 'rejected', 'it never works', 1],
    ]);
    assert.equal((await saidBy('POISON')).length, 1);
    const { handled, given_back, dead_lettered } = runner.tally();
    assert.deepEqual([handled, given_back, dead_lettered], [1, maxAttempts - 1, 2]);
  });

  it('gives up waiting for a reaction that has no end', async (t) => {
    const one = agent('ENDLESS', (_, signal) => pause(30_000, done(), { signal }), { longestMs: 50 });
    await start(t, client, one);
    await publish('ENDLESS_heard', 'endless-1');
    await until(async () => (await statusOf('endless-1')) === 'failed');
    const [letter] = (await client.deadLetters({ agent: 'ENDLESS' })).dead_letters;
    assert.equal(letter?.error, 'ENDLESS took longer than 0.05 s.');
  });

  it('cuts a circle of agents, and says so once', async (t) => {
    const own = await startBusProcess({}, t);
    const at = makeClient({ url: own.url });
    const pings = agent('PING', async () => done(said('PING_said')), { hears: { PONG_said: 1 } });
    const pongs = agent('PONG', async () => done(said('PONG_said')), { hears: { PING_said: 1, loop_cut: 1 } });
    const [ping, pong] = [await start(t, at, pings), await start(t, at, pongs)];
    await at.publish({ source_agent: 'ME', action: 'PING_said', id: 'ping-0', target: 'dev' });
    const cuts = () => ping.runner.tally().loops_cut + pong.runner.tally().loops_cut;
    // Once for the circle; once more without a word for what PONG makes of the report.
    await until(() => cuts() === 2);
    await pause(200);
    assert.equal(cuts(), 2);
    const { events } = await at.events({ limit: 1000 });
    const [report, another] = events.filter(({ action }) => action === 'loop_cut');
    assert.equal(another, undefined);
    const { because, chain } = report?.details ?? {};
    assert.deepEqual([report?.source_agent, because, (chain as unknown[]).length], ['PING', 'depth', 17]);
    // The first, what followed from it, the report, and what PONG made of that.
    assert.equal(events.length, 1 + 17 + 1 + 1);
  });

  it('does not hear its own echo', async (t) => {
    const own = await startBusProcess({}, t);
    const at = makeClient({ url: own.url });
    const one = agent('ECHO', async () => done(said('ECHO_said')), { hears: { 'ECHO_*': 1, loop_cut: 1 } });
    const { runner } = await start(t, at, one);
    await at.publish({ source_agent: 'ME', action: 'ECHO_heard', target: 'dev' });
    // Its own word, and then its own report of that.
    await until(() => runner.tally().handled === 3);
    await pause(200);
    const { events } = await at.events();
    assert.deepEqual(events.map(({ action }) => action).sort(), ['ECHO_heard', 'ECHO_said', 'loop_cut']);
    assert.deepEqual([runner.tally().loops_cut, runner.tally().handled], [2, 3]);
  });

  it('finishes what it works on when it is stopped, if that is soon', async (t) => {
    const one = agent('SOON', () => pause(300, done(said('soon_said'))));
    const { runner, stop, ended } = await start(t, client, one, { graceMs: 10_000 });
    await publish('SOON_heard', 'soon-1');
    await until(() => runner.tally().working_on === 'soon-1');
    stop();
    await ended;
    assert.equal(await statusOf('soon-1'), 'acknowledged');
    assert.equal((await saidBy('SOON')).length, 1);
  });

  it('else gives it back, and another start has it at once', async (t) => {
    const one = agent('LATE', (_, signal) => pause(30_000, done(), { signal }));
    const { runner, stop, ended } = await start(t, client, one, { graceMs: 50 });
    await publish('LATE_heard', 'late-1');
    await until(() => runner.tally().working_on === 'late-1');
    stop();
    await ended;
    assert.equal(runner.tally().given_back, 1);
    const { deliveries } = await client.claim('LATE');
    assert.deepEqual(
      deliveries.map(({ event, attempt }) => [event.id, attempt]),
      [['late-1', 2]],
    );
  });

  it('waits for a bus that is away, and works off what has come meanwhile', async (t) => {
    const home = temporaryHome(t);
    const first = await startBusProcess({ home }, t);
    const own = makeClient({ url: first.url });
    const heard: string[] = [];
    const one = agent('AWAY', async ({ id }) => {
      heard.push(id);
      return done(said('away_said'));
    });
    const { runner } = await start(t, own, one);
    await first.kill();
    await until(() => runner.tally().bus === 'away');
    const second = await startBusProcess({ home, port: first.port }, t);
    for (const id of ['away-1', 'away-2']) await own.publish({ source_agent: 'ME', action: 'AWAY_heard', id });
    await until(() => runner.tally().handled === 2);
    assert.deepEqual([heard, runner.tally().bus], [['away-1', 'away-2'], 'reachable']);
    assert.equal(second.log(), '');
  });

  it('ends when the bus refuses it for good', async (t) => {
    const strict = await startBusProcess({ yaml: 'bus: { auth: required }' }, t);
    const one = agent('STRANGER', async () => done());
    const runner = makeRunner(one, makeClient({ url: strict.url }), {
      ...{ leaseSeconds: 30, graceMs: 0, log: quiet, clock: systemClock, stop: new AbortController().signal },
    });
    await assert.rejects(runner.run(), { code: 'unauthorized' });
  });
});
