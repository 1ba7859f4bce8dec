import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { type Caller, callerOf, type Wire } from './bus-caller.fixtures.ts';
import { type BusProcess, startBusProcess } from './bus-server.fixtures.ts';

let bus: BusProcess;
let call: Caller;
let n = 0;

/** An agent of its own for each test, which hears its own action by queue. */
async function anAgent(): Promise<{ agent: string; path: string; publish(draft?: object): Promise<Wire> }> {
  const agent = `AGENT-${++n}`;
  const body = { agent_name: agent, action_pattern: `work_${n}`, mode: 'queue', priority: 3 };
  assert.equal((await call.post('/subscriptions', body)).status, 201);
  const action = body.action_pattern;
  return { agent, path: `/agents/${agent}/deliveries`, publish: (draft) => call.publish({ action, ...draft }) };
}

before(async () => {
  bus = await startBusProcess({ worker: true });
  call = await callerOf(bus);
});
after(async () => {
  assert.equal(await bus.stop(), 0);
  assert.equal(bus.log(), '');
});

const claimOne = async (path: string, body: object = {}): Promise<Wire> => {
  const reply = await call.post(`${path}:claim`, body);
  assert.equal(reply.status, 200, JSON.stringify(reply.body));
  assert.equal(reply.body.count, 1);
  return reply.body.deliveries[0];
};
const deadLettersOf = async (agent: string) => (await call.get(`/dead-letters?agent=${agent}`)).body.dead_letters;

describe('a claim', () => {
  it('leases what is ready, as the event is read elsewhere, without a body too', async () => {
    const { agent, path, publish } = await anAgent();
    assert.deepEqual((await call.post(`${path}:claim`)).body, { agent, deliveries: [], count: 0 });
    const { id } = await publish({ details: { n: 1 } });
    const { body } = await call.post(`${path}:claim`);
    const [delivery] = body.deliveries;
    assert.deepEqual(delivery.event, (await call.get(`/events/${id}`)).body);
    assert.deepEqual([body.count, delivery.attempt, delivery.priority], [1, 1, 3]);
    const leftMs = Date.parse(delivery.leased_until) - Date.now();
    assert.ok(leftMs > 50_000 && leftMs <= 60_000, `a minute by default, not ${leftMs} ms`);
    assert.equal((await call.post(`${path}:claim`)).body.count, 0);
  });

  it('is refused when it makes no sense, and tells what it ignored', async () => {
    const { path } = await anAgent();
    for (const [body, pointer] of [
      [{ max: 0 }, '/max'],
      [{ max: 101 }, '/max'],
      [{ max: '1' }, '/max'],
      [{ lease_seconds: 0 }, '/lease_seconds'],
      [{ lease_seconds: 3601 }, '/lease_seconds'],
      [{ wait_seconds: 51 }, '/wait_seconds'],
      [{ wait_seconds: 0.5 }, '/wait_seconds'],
    ] as const) {
      const { status, body: problem } = await call.post(`${path}:claim`, body);
      assert.deepEqual([status, problem.errors?.[0]?.pointer], [422, pointer], JSON.stringify(body));
    }
    assert.equal((await call.post(`${path}:claim`, { lease: 5 })).body.warnings[0].pointer, '/lease');
    assert.equal((await call.post('/agents/%00/deliveries:claim')).status, 422);
  });

  it('waits, and has what is published meanwhile at once', async () => {
    const { path, publish } = await anAgent();
    const started = performance.now();
    const waiting = claimOne(path, { wait_seconds: 20 });
    await new Promise((go) => setTimeout(go, 100));
    const { id } = await publish();
    assert.equal((await waiting).event.id, id);
    assert.ok(performance.now() - started < 10_000, 'it did not wait to the end');
  });

  it('waits no longer than it asked for', async () => {
    const { path } = await anAgent();
    const started = performance.now();
    assert.equal((await call.post(`${path}:claim`, { wait_seconds: 1 })).body.count, 0);
    const waited = performance.now() - started;
    assert.ok(waited > 900 && waited < 8000, `${waited} ms`);
  });

  it('shares what comes among all who wait, each delivery once', async () => {
    const { path, publish } = await anAgent();
    const waiting = Array.from({ length: 24 }, () => claimOne(path, { wait_seconds: 20 }));
    await new Promise((go) => setTimeout(go, 100));
    await Promise.all(Array.from({ length: 24 }, () => publish()));
    const ids = (await Promise.all(waiting)).map((delivery) => delivery.id);
    assert.equal(new Set(ids).size, 24);
  });

  it('hears of what was given back, redriven, released by the clock, or due', async () => {
    const { agent, path, publish } = await anAgent();
    const { id } = await publish({ deliver_at: new Date(Date.now() + 700).toISOString() });
    const due = await claimOne(path, { wait_seconds: 20, lease_seconds: 1 });
    assert.equal(due.event.id, id);
    const expired = await claimOne(path, { wait_seconds: 20 });
    assert.equal(expired.attempt, 2);
    let next = claimOne(path, { wait_seconds: 20 });
    await call.post(`${path}/${due.id}:nack`, { lease: expired.lease, delay_seconds: 0.2 });
    const nacked = await next;
    assert.equal(nacked.attempt, 3);
    await call.post(`${path}/${due.id}:nack`, { lease: nacked.lease, dead: true });
    next = claimOne(path, { wait_seconds: 20 });
    await call.post(`/dead-letters/${agent}/${due.id}:redrive`);
    assert.equal((await next).attempt, 1);
  });

  it('leases nothing to one that has gone, and leaves it to the next', async () => {
    const { path, publish } = await anAgent();
    const body = JSON.stringify({ wait_seconds: 30, lease_seconds: 3600 });
    const open = async (): Promise<Socket> => {
      const socket = connect(bus.port, '127.0.0.1');
      await once(socket, 'connect');
      socket.write(
        `POST ${path}:claim HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
      );
      return socket;
    };
    const broken = await open();
    const left = await open();
    await new Promise((go) => setTimeout(go, 150));
    broken.resetAndDestroy();
    left.end();
    await new Promise((go) => setTimeout(go, 150));
    const waiting = claimOne(path, { wait_seconds: 20 });
    await new Promise((go) => setTimeout(go, 50));
    const { id } = await publish();
    const delivery = await waiting;
    assert.deepEqual([delivery.event.id, delivery.attempt], [id, 1]);
    left.destroy();
  });

  it('is refused with 429 when too many wait, and goes on without waiting', { timeout: 60_000 }, async () => {
    const { path } = await anAgent();
    const gone = new AbortController();
    // More than the limit: on a busy machine some connections are late.
    const claims = Array.from({ length: 1100 }, () =>
      fetch(`${bus.url}${path}:claim`, {
        method: 'POST',
        body: '{"wait_seconds":40}',
        signal: gone.signal,
      }).then(
        ({ status }) => status,
        (error) => error.name as string,
      ),
    );
    assert.equal(await Promise.race(claims), 429);
    const refused = await call.post(`${path}:claim`, { wait_seconds: 1 });
    assert.equal(refused.status, 429);
    assert.match(refused.body.detail, /wait for deliveries already/);
    assert.equal((await call.post(`${path}:claim`)).status, 200);
    gone.abort();
    assert.deepEqual([...new Set(await Promise.all(claims))].sort(), [429, 'AbortError']);
    let status = 429;
    for (let i = 0; i < 300 && status === 429; i++) {
      await new Promise((go) => setTimeout(go, 50));
      ({ status } = await call.post(`${path}:claim`, { wait_seconds: 1 }));
    }
    assert.equal(status, 200);
  });
});

describe('a delivery', () => {
  it('is acknowledged by its holder, also twice, and by nobody else', async () => {
    const { agent, path, publish } = await anAgent();
    const { id: event } = await publish();
    const { id, lease } = await claimOne(path);
    const refused = await call.post(`${path}/${id}:ack`, { lease: '12345' });
    assert.equal(refused.status, 409);
    assert.equal(refused.headers.get('content-type'), 'application/problem+json');
    assert.deepEqual(
      [refused.body.type, refused.body.state],
      ['urn:leveredge:problem:lease-lost', 'leased'],
      JSON.stringify(refused.body),
    );
    assert.match(refused.body.detail, /another lease holds it now/);
    assert.ok(refused.body.hint);
    const first = await call.post(`${path}/${id}:ack`, { lease });
    const { acknowledged_at } = first.body;
    assert.deepEqual(first.body, { status: 'acknowledged', agent, id, acknowledged_at });
    assert.deepEqual((await call.post(`${path}/${id}:ack`, { lease })).body, first.body);
    const read = (await call.get(`/events/${event}`)).body;
    assert.deepEqual([read.status, read.acknowledged_by], ['acknowledged', { [agent]: acknowledged_at }]);
    assert.equal((await call.post(`${path}/${id}:ack`, { lease: '12345' })).body.state, 'acknowledged');
  });

  it('is lost by its holder when the compatible acknowledgement was first', async () => {
    const { agent, path, publish } = await anAgent();
    const { id: event } = await publish();
    const { id, lease } = await claimOne(path);
    assert.equal((await call.post(`/events/${event}/acknowledge?agent=${agent}`)).status, 200);
    const late = await call.post(`${path}/${id}:ack`, { lease });
    assert.deepEqual([late.status, late.body.state], [409, 'acknowledged']);
    assert.equal((await call.post(`/events/${event}/acknowledge?agent=${agent}`)).status, 200);
  });

  it('is extended, given back with a delay, and rejected', async () => {
    const { agent, path, publish } = await anAgent();
    await publish();
    const { id, lease, leased_until } = await claimOne(path, { lease_seconds: 5 });
    const extended = (await call.post(`${path}/${id}:extend`, { lease, lease_seconds: 600 })).body;
    assert.ok(Date.parse(extended.leased_until) > Date.parse(leased_until) + 500_000);
    const { body } = await call.post(`${path}/${id}:nack`, { lease, delay_seconds: 0 });
    assert.deepEqual(body, { status: 'ready', agent, id, ready_at: null, reason: null });
    const second = await claimOne(path);
    const deferred = (await call.post(`${path}/${id}:nack`, { lease: second.lease, delay_seconds: 0.1 })).body;
    assert.equal(deferred.status, 'deferred');
    assert.ok(deferred.ready_at);
    const third = await claimOne(path, { wait_seconds: 20 });
    const dead = (await call.post(`${path}/${id}:nack`, { lease: third.lease, dead: true, reason: 'unreadable' })).body;
    assert.deepEqual(dead, { status: 'dead', agent, id, ready_at: null, reason: 'rejected' });
    const [letter] = await deadLettersOf(agent);
    assert.deepEqual([letter.id, letter.reason, letter.error, letter.attempts], [id, 'rejected', 'unreadable', 3]);
  });

  it('is not found where it never was, and refused without sense', async () => {
    const { path, publish } = await anAgent();
    const other = await anAgent();
    await publish();
    const { id, lease } = await claimOne(path);
    for (const verb of ['ack', 'nack', 'extend'])
      for (const where of [`${other.path}/${id}`, `${path}/999999-3`, `${path}/x`, `${path}/a%2Fb`])
        assert.equal(
          (await call.post(`${where}:${verb}`, { lease, lease_seconds: 5 })).status,
          404,
          `${where} ${verb}`,
        );
    for (const [verb, body, pointer] of [
      ['ack', {}, '/lease'],
      ['ack', { lease: 5 }, '/lease'],
      ['extend', { lease }, '/lease_seconds'],
      ['nack', { lease, delay_seconds: -1 }, '/delay_seconds'],
      ['nack', { lease, delay_seconds: 604_801 }, '/delay_seconds'],
      ['nack', { lease, dead: true, delay_seconds: 5 }, '/delay_seconds'],
      ['nack', { lease, reason: 'x'.repeat(1001) }, '/reason'],
    ] as const) {
      const reply = await call.post(`${path}/${id}:${verb}`, body);
      assert.deepEqual([reply.status, reply.body.errors?.[0]?.pointer], [422, pointer], JSON.stringify(body));
    }
    assert.equal((await call.post(`${path}/${id}:ack`, { lease })).status, 200, 'none of that changed anything');
  });
});

describe('dead letters', () => {
  it('are listed, redriven one or all, and discarded', async () => {
    const { agent, path, publish } = await anAgent();
    const ids: string[] = [];
    for (let i = 0; i < 3; i++) await publish({ target: `${i}` });
    for (let i = 0; i < 3; i++) {
      const { id, lease } = await claimOne(path);
      await call.post(`${path}/${id}:nack`, { lease, dead: true });
      ids.unshift(id);
    }
    const first = (await call.get(`/dead-letters?agent=${agent}&limit=2`)).body;
    const second = (await call.get(`/dead-letters?agent=${agent}&limit=2&after=${first.next}`)).body;
    assert.deepEqual(
      [...first.dead_letters, ...second.dead_letters].map((d: Wire) => d.id),
      ids,
    );
    assert.deepEqual([first.count, second.count, second.next], [2, 1, null]);
    assert.ok((await call.get('/health')).body.dead_letters >= 3);
    const one = `/dead-letters/${agent}/${ids[0]}`;
    assert.deepEqual((await call.delete(one)).body, { status: 'discarded', agent, id: ids[0] });
    assert.equal((await call.delete(one)).status, 404);
    assert.equal((await call.post(`${one}:redrive`)).status, 404);
    const redriven = await call.post(`/dead-letters/${agent}/${ids[1]}:redrive`);
    assert.deepEqual(redriven.body, { status: 'ready', agent, id: ids[1] });
    assert.deepEqual((await call.post('/dead-letters:redrive', { agent })).body, { redriven: 1 });
    assert.deepEqual(await deadLettersOf(agent), []);
    assert.equal((await call.post(`${path}:claim`, { max: 100 })).body.count, 2);
    assert.equal((await call.post('/dead-letters:redrive')).status, 200);
  });

  it('page by places of this log only', async () => {
    assert.equal((await call.get('/dead-letters?after=rubbish')).status, 422);
    const elsewhere = Buffer.from(JSON.stringify(['00000000', 1, 'A', 1])).toString('base64url');
    assert.equal((await call.get(`/dead-letters?after=${elsewhere}`)).status, 410);
  });

  it('and claims have their colon literally', async () => {
    for (const path of [
      '/dead-lettersXredrive',
      '/dead-lettersredrive',
      '/agents/A/deliveriesXclaim',
      '/agents/A/deliveries',
    ])
      assert.equal((await call.post(path, {})).status, 404, path);
    for (const path of ['/dead-letters:redrive', '/agents/A/deliveries:claim', '/dead-letters/A/1-1:redrive'])
      assert.equal((await call.get(path)).status, 405, path);
  });
});

describe('delivery at a later time', () => {
  it('is refused for a question, for what is no time, and beyond a year', async () => {
    const at = (deliver_at: unknown, more = {}) =>
      call.post('/events', { source_agent: 'A', action: 'a', deliver_at, ...more });
    for (const reply of [
      await at('soon'),
      await at('2030-01-01T00:00:00'),
      await at(new Date(Date.now() + 367 * 86_400_000).toISOString()),
      await at('2027-01-01T00:00:00Z', { requires_human: true, human_question: 'Now?' }),
    ])
      assert.deepEqual(
        [reply.status, reply.body.errors?.[0]?.pointer],
        [422, '/deliver_at'],
        JSON.stringify(reply.body),
      );
    const soon = new Date(Date.now() + 3_600_000).toISOString();
    const { body } = await at(soon);
    assert.equal((await call.get(`/events/${body.id}`)).body.deliver_at, soon);
    assert.equal((await at('2020-01-01T00:00:00+05:30')).status, 201);
  });
});

describe('the settings of a bus', () => {
  for (const worker of [true, false])
    it(`say how often a delivery is tried (${worker ? 'in its own thread' : 'in this thread'})`, async (t) => {
      const own = await startBusProcess({ worker, yaml: 'bus: { deliveries: { max_attempts: 1 } }' }, t);
      const caller = await callerOf(own);
      await caller.publish({ action: 'build_failed' });
      const [{ id, lease }] = (await caller.post('/agents/HADES/deliveries:claim')).body.deliveries;
      const nacked = await caller.post(`/agents/HADES/deliveries/${id}:nack`, { lease });
      assert.deepEqual([nacked.body.status, nacked.body.reason], ['dead', 'attempts']);
      await own.stop();
    });
});

describe('a bus that stops', () => {
  it('answers those who wait, and leases nothing more', async (t) => {
    const own = await startBusProcess({}, t);
    const waiting = fetch(`${own.url}/agents/A/deliveries:claim`, { method: 'POST', body: '{"wait_seconds":40}' });
    await new Promise((go) => setTimeout(go, 200));
    const started = performance.now();
    const stopping = own.stop();
    assert.equal(((await (await waiting).json()) as Wire).count, 0);
    assert.equal(await stopping, 0);
    assert.ok(performance.now() - started < 8000);
  });
});
