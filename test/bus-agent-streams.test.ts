import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { makeClient } from '../src/client/client.ts';
import { type Caller, callerOf, type Wire } from './bus-caller.fixtures.ts';
import { openReader, type Reader } from './bus-reader.fixtures.ts';
import { type BusProcess, startBusProcess, temporaryHome, unshakenBus } from './bus-server.fixtures.ts';

const targets = (deliveries: readonly Wire[]) => deliveries.map(({ event }) => event.target);

describe('an agent’s stream', () => {
  const unshaken = unshakenBus();
  let bus: BusProcess;
  let call: Caller;
  before(async () => {
    bus = unshaken.bus();
    call = await callerOf(bus);
  });

  let agents = 0;
  /** An agent of its own, that hears one action by queue. */
  async function anAgent() {
    const agent = `READER ${++agents}`;
    const action = `for_reader_${agents}`;
    await call.post('/subscriptions', { agent_name: agent, action_pattern: action, priority: 5 });
    return {
      agent,
      stream: (query = '') => openReader(`${bus.url}/agents/${encodeURIComponent(agent)}/stream${query}`),
      publish: (...all: string[]) => Promise.all(all.map((target) => call.publish({ action, target }))),
      acknowledge: ({ event }: Wire) =>
        call.post(`/events/${event.id}/acknowledge?agent=${encodeURIComponent(agent)}`).then(({ status }) => {
          assert.equal(status, 200);
        }),
    };
  }

  it('gives what is ready and what becomes ready, one at a time, the next when that is acknowledged', async () => {
    const { stream, publish, acknowledge, agent } = await anAgent();
    await publish('1');
    await publish('2');
    const reader = await stream();
    const [first] = await reader.has(1);
    assert.deepEqual(Object.keys(first), ['id', 'lease', 'leased_until', 'attempt', 'priority', 'event']);
    assert.deepEqual([first.attempt, first.priority, first.event.subscribed_agents[0]], [1, 5, agent]);
    assert.deepEqual(first.event, (await call.get(`/events/${first.event.id}`)).body);
    const left = Date.parse(first.leased_until) - Date.now();
    assert.ok(left > 50_000 && left <= 61_000, `${left}`);
    assert.equal(reader.blocks.find(({ data }) => data)?.id, undefined);
    await new Promise((go) => setTimeout(go, 60));
    assert.equal(reader.messages().length, 1);
    await acknowledge(first);
    await acknowledge((await reader.has(2))[1]);
    await publish('3');
    assert.deepEqual(targets(await reader.has(3)), ['1', '2', '3']);
    reader.leave();
  });

  it('keeps as many out as it was told to, under one lease', async () => {
    const { stream, publish, acknowledge } = await anAgent();
    await publish(...Array.from({ length: 40 }, (_, i) => String(i)));
    const reader = await stream('?max_in_flight=20');
    const deliveries = await reader.has(20);
    await new Promise((go) => setTimeout(go, 60));
    assert.equal(reader.messages().length, 20);
    assert.equal(new Set(deliveries.map(({ lease }) => lease)).size, 1);
    await Promise.all(deliveries.slice(0, 3).map(acknowledge));
    await reader.has(23);
    await new Promise((go) => setTimeout(go, 60));
    assert.equal(reader.messages().length, 23);
    for (let seen = 3; seen < 40; seen++) await acknowledge((await reader.has(seen + 1))[seen]);
    assert.equal(new Set(targets(reader.messages())).size, 40);
    reader.leave();
  });

  it('leaves a client that works for long on one delivery its lease', async () => {
    const { agent, publish } = await anAgent();
    await publish('1');
    await publish('2');
    const client = makeClient(bus);
    const troubles: string[] = [];
    const done: string[] = [];
    const options = { idleMs: 300, onTrouble: ({ message }: Error) => void troubles.push(message) };
    for await (const { id, lease, event, attempt } of client.takeDeliveries(agent, options)) {
      await new Promise((go) => setTimeout(go, 900));
      await client.ackDelivery({ agent, id, lease });
      if (done.push(`${event.target} ${attempt}`) === 2) break;
    }
    assert.deepEqual([done, troubles], [['1 1', '2 1'], []]);
  });

  it('gives a delivery again when its lease has ended', async () => {
    const { stream, publish, acknowledge } = await anAgent();
    await publish('slow');
    const reader = await stream('?lease_seconds=1');
    const [first, second] = await reader.has(2);
    assert.deepEqual([first.attempt, second.attempt], [1, 2]);
    assert.equal(first.event.id, second.event.id);
    await acknowledge(second);
    reader.leave();
  });

  it('has what a reader held ready for others as soon as it leaves', async () => {
    const { stream, publish, acknowledge } = await anAgent();
    await publish('1', '2', '3');
    const gone = await stream('?max_in_flight=3&lease_seconds=3600');
    await acknowledge((await gone.has(3))[0]);
    const other = await stream('?max_in_flight=3');
    gone.leave();
    const deliveries = await other.has(2);
    assert.deepEqual(targets(deliveries).sort(), ['2', '3']);
    assert.ok(deliveries.every(({ attempt }) => attempt === 2));
    await Promise.all(deliveries.map(acknowledge));
    other.leave();
  });

  it('goes on when a delivery is given back, and has no use for a lease after the stream has closed', async () => {
    const { agent, stream, publish } = await anAgent();
    const settle = ({ id, lease }: Wire, how: string, body = {}) =>
      call.post(`/agents/${encodeURIComponent(agent)}/deliveries/${id}:${how}`, { lease, ...body });
    await publish('1');
    await publish('2');
    await publish('3');
    const reader = await stream();
    const [first] = await reader.has(1);
    assert.equal((await settle(first, 'extend', { lease_seconds: 600 })).status, 200);
    await new Promise((go) => setTimeout(go, 60));
    assert.equal(reader.messages().length, 1, 'it is still out');
    assert.equal((await settle(first, 'nack', { delay_seconds: 600 })).status, 200);
    const second = (await reader.has(2))[1];
    assert.equal((await settle(second, 'ack')).status, 200);
    const third = (await reader.has(3))[2];
    assert.deepEqual(targets(reader.messages()), ['1', '2', '3']);
    const claiming = call.post(`/agents/${encodeURIComponent(agent)}/deliveries:claim`, { wait_seconds: 20 });
    reader.leave();
    const [claimed] = (await claiming).body.deliveries;
    assert.deepEqual([claimed.event.target, claimed.attempt], ['3', 2], 'it is ready for whoever waits');
    const late = await settle(third, 'ack');
    assert.deepEqual([late.status, late.body.type], [409, 'urn:leveredge:problem:lease-lost']);
    assert.equal((await settle(claimed, 'ack')).status, 200);
  });

  it('is a loop with the client, and leaving it gives back what is held', async () => {
    const { agent, publish } = await anAgent();
    await publish('1');
    await publish('2');
    const client = makeClient({ url: bus.url });
    const seen: string[] = [];
    for await (const { id, lease, event } of client.takeDeliveries(agent, { leaseSeconds: 3600, maxInFlight: 1 })) {
      seen.push(event.target as string);
      if (seen.length === 2) break;
      await client.ackDelivery({ agent, id, lease });
    }
    assert.deepEqual(seen, ['1', '2']);
    const { deliveries } = await client.claim(agent, { wait_seconds: 20 });
    assert.deepEqual([deliveries[0]?.event.target, deliveries[0]?.attempt], ['2', 2]);
  });

  it('shares among several readers, each delivery to one', async () => {
    const { stream, publish, acknowledge } = await anAgent();
    const readers = await Promise.all(Array.from({ length: 5 }, () => stream('?max_in_flight=2')));
    const all = Array.from({ length: 100 }, (_, i) => String(i));
    const done: string[] = [];
    const work = async (reader: Reader) => {
      for (let seen = 0; done.length < all.length; seen++) {
        await reader.until(() => done.length >= all.length || reader.messages().length > seen, 'more');
        const delivery = reader.messages()[seen];
        if (delivery === undefined) return;
        await acknowledge(delivery);
        done.push(delivery.event.target);
        // The others are told, since no byte of theirs moves any more.
        if (done.length === all.length) for (const one of readers) one.leave();
      }
    };
    const working = readers.map((reader) =>
      work(reader).catch((error) => (done.length < all.length ? error : undefined)),
    );
    await publish(...all);
    assert.deepEqual((await Promise.all(working)).filter(Boolean), []);
    assert.deepEqual(done.toSorted(), all.toSorted());
    const shares = readers.map((reader) => reader.messages().length);
    assert.ok(Math.min(...shares) > 5, `${shares}`);
  });

  it('loses nothing and gives nothing acknowledged again while readers come and go', async () => {
    const { stream, publish, acknowledge } = await anAgent();
    const acknowledged = new Set<string>();
    const wrong: string[] = [];
    const all = Array.from({ length: 300 }, (_, i) => String(i));
    const isOver = () => acknowledged.size === all.length;
    const open = new Set<Reader>();
    // A few at a time, and each reader leaves while it holds some that it has not acknowledged.
    const read = async (reader: Reader, count: number) => {
      for (let seen = 0; seen < count; seen++) {
        const delivery = (await reader.has(seen + 1))[seen];
        if (acknowledged.has(delivery.event.target)) wrong.push(delivery.event.target);
        await acknowledge(delivery);
        acknowledged.add(delivery.event.target);
        if (isOver()) for (const one of open) one.leave();
      }
    };
    const lane = async (maxInFlight: number) => {
      while (!isOver()) {
        const reader = await stream(`?max_in_flight=${maxInFlight}`);
        open.add(reader);
        await read(reader, 40).catch((error) => assert.ok(isOver(), error));
        open.delete(reader);
        reader.leave();
      }
    };
    const reading = Promise.all([1, 2, 3, 4].map(lane));
    for (const target of all) await publish(target);
    await reading;
    assert.deepEqual(wrong, []);
  });

  it('refuses what makes no sense, and answers HEAD', async () => {
    for (const [path, says] of [
      ['/agents/A/stream?lease_seconds=0', /lease_seconds must be 1 to 3600/],
      ['/agents/A/stream?max_in_flight=101', /max_in_flight must be 1 to 100/],
      [`/agents/${'x'.repeat(201)}/stream`, /at most 200 characters/],
    ] as const) {
      const { status, body } = await call.get(path);
      assert.equal(status, 422);
      assert.match(body.detail, says);
    }
    const { status } = await fetch(`${bus.url}/agents/A/stream`, { method: 'HEAD', signal: AbortSignal.timeout(2000) });
    assert.equal(status, 200);
    const { body } = await call.get('/openapi.json');
    const { responses } = body.paths['/agents/{agent}/stream'].get;
    assert.deepEqual(Object.keys(responses['200'].content), ['text/event-stream']);
  });

  it('tells its reader to go away at a stop, and has what it held ready at the next start', async (t) => {
    const home = temporaryHome(t);
    const first = await startBusProcess({ home, worker: true }, t);
    await (await callerOf(first)).publish({ action: 'deploy_started' });
    const reader = await openReader(`${first.url}/agents/CHRONOS/stream?lease_seconds=3600`);
    assert.equal((await reader.has(1))[0].attempt, 1);
    const slow = await openReader(`${first.url}/agents/HERMES/stream?lease_seconds=3600&max_in_flight=100`);
    slow.response.pause();
    const large = { action: 'backup_failed', details: { pad: 'x'.repeat(200_000) } };
    for (let i = 0; i < 60; i++) await (await callerOf(first)).publish(large);
    assert.equal(await first.stop(), 0);
    slow.leave();
    await reader.ended;
    assert.equal(reader.blocks.at(-1)?.event, 'goaway');
    const second = await startBusProcess({ home, worker: true }, t);
    const again = await openReader(`${second.url}/agents/CHRONOS/stream`);
    assert.equal((await again.has(1))[0].attempt, 2);
    const other = await openReader(`${second.url}/agents/HERMES/stream?max_in_flight=100`);
    const attempts = (await other.has(60)).map(({ attempt }) => attempt);
    assert.ok(attempts.includes(2) && attempts.every((attempt) => attempt <= 2), `${attempts}`);
    await second.stop();
    assert.equal(first.log() + second.log(), '');
  });
});
