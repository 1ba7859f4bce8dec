import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { type Caller, callerOf, type Reply, type Wire } from './bus-caller.fixtures.ts';
import { startBusProcess, temporaryHome, unshakenBus } from './bus-server.fixtures.ts';

const event = (fields: Record<string, unknown> = {}) => ({ source_agent: 'A', action: 'happened', ...fields });
const withKey = (key: string) => ({ 'idempotency-key': key });
const replayed = (reply: Reply) => reply.headers.get('idempotency-replayed');

describe('a publish with an Idempotency-Key', () => {
  const { bus } = unshakenBus();
  let call: Caller;
  before(async () => {
    call = await callerOf(bus());
  });
  const head = async () => (await call.get('/health')).body.head;

  it('is stored once, and the same request again gets the answer of the first', async () => {
    const body = event({ requires_human: true, human_question: 'Go?', human_timeout_minutes: 5, taget: 'x' });
    const first = await call.post('/events', body, withKey('k-1'));
    const before = await head();
    const again = await call.post('/events', body, withKey('k-1'));
    assert.equal(first.status, 201);
    assert.equal(replayed(first), null);
    assert.equal(again.status, 201);
    assert.deepEqual(again.body, first.body);
    assert.equal(again.body.warnings.length, 1);
    assert.equal(again.headers.get('location'), first.headers.get('location'));
    assert.equal(replayed(again), 'true');
    assert.equal(await head(), before);
  });

  it('is refused when the key came with another request: other bytes, another path, another type', async () => {
    await call.post('/events', '{"source_agent":"A","action":"b"}', withKey('k-2'));
    const before = await head();
    for (const [path, body, headers] of [
      ['/events', '{"source_agent":"A","action":"c"}', {}],
      ['/events', '{"source_agent":"A", "action":"b"}', {}],
      ['/events:batch', '[{"source_agent":"A","action":"b"}]', {}],
      ['/events', '{"source_agent":"A","action":"b"}', { 'content-type': 'text/plain' }],
    ] as const) {
      const { status, body: problem } = await call.post(path, body, { ...withKey('k-2'), ...headers });
      assert.equal(status, 422, path);
      assert.match(problem.detail, /"k-2" came with another request before/);
      assert.deepEqual(problem.errors, [{ pointer: 'idempotency-key', detail: 'came with another request before' }]);
    }
    assert.equal(await head(), before);
  });

  it('tells a batch by its key too, with what was refused in it', async () => {
    const body = [event(), { source_agent: 'A' }, event({ id: 'batch-id' }), event({ id: 'batch-id' })];
    const first = await call.post('/events:batch', body, withKey('k-3'));
    const before = await head();
    const again = await call.post('/events:batch', body, withKey('k-3'));
    assert.deepEqual(
      first.body.results.map((one: Wire) => one.status),
      ['created', 'refused', 'created', 'duplicate'],
    );
    assert.deepEqual(again.body, first.body);
    assert.equal(replayed(again), 'true');
    assert.equal(await head(), before);
    assert.equal((await call.post('/events:batch', [event()], withKey('k-3'))).status, 422);
  });

  it('keeps a key also for a batch that was refused altogether', async () => {
    const first = await call.post('/events:batch', [{}], withKey('k-4'));
    const again = await call.post('/events:batch', [{}], withKey('k-4'));
    assert.equal(first.body.refused, 1);
    assert.deepEqual(again.body, first.body);
    assert.equal((await call.post('/events:batch', [event()], withKey('k-4'))).status, 422);
  });

  it('gives the refusal again when the id named another event, though that would be accepted now', async () => {
    await call.publish({ id: 'taken' });
    const first = await call.post('/events', event({ id: 'taken', target: 'other' }), withKey('k-5'));
    const again = await call.post('/events', event({ id: 'taken', target: 'other' }), withKey('k-5'));
    assert.equal(first.status, 409);
    assert.equal(again.status, 409);
    assert.deepEqual(again.body, first.body);
    assert.equal(replayed(again), 'true');
  });

  it('leaves the key free when the request made no sense, so that it can be mended', async () => {
    assert.equal((await call.post('/events', { source_agent: 'A' }, withKey('k-6'))).status, 422);
    const mended = await call.post('/events', event(), withKey('k-6'));
    assert.equal(mended.status, 201);
    assert.equal(replayed(mended), null);
  });

  it('takes the quotes of a structured header off, and lets case count', async () => {
    const quoted = await call.post('/events', event(), withKey('"k-7"'));
    assert.deepEqual((await call.post('/events', event(), withKey('k-7'))).body, quoted.body);
    assert.notEqual((await call.post('/events', event(), withKey('K-7'))).body.id, quoted.body.id);
    assert.equal((await call.post('/events', event(), withKey('k'.repeat(255)))).status, 201);
  });

  it('refuses what is no key', async () => {
    for (const key of ['', '""', 'a b', 'k'.repeat(256), 'caf\u00e9', 'a, b']) {
      const { status, body } = await call.post('/events', event(), withKey(key));
      assert.equal(status, 422, key);
      assert.deepEqual(
        body.errors.map((mistake: Wire) => mistake.pointer),
        ['idempotency-key'],
      );
    }
  });

  it('stores one event when the same comes fifty times at once; the others get its answer or are told to wait', async () => {
    for (const [path, body] of [
      ['/events', event({ target: 'many' })],
      ['/events:batch', [event({ target: 'many' })]],
    ] as const) {
      const before = await head();
      const key = withKey(`many ${path}`.replaceAll(' ', '-'));
      const replies = await Promise.all(Array.from({ length: 50 }, () => call.post(path, body, key)));
      const answered = replies.filter(({ status }) => status < 300);
      const waiting = replies.filter(({ status }) => status === 409);
      assert.equal(answered.length + waiting.length, 50);
      assert.equal(new Set(answered.map((reply) => JSON.stringify(reply.body))).size, 1);
      assert.equal(answered.filter((reply) => replayed(reply) === null).length, 1);
      for (const { body, headers } of waiting) {
        assert.equal(body.type, 'urn:leveredge:problem:still-running');
        assert.equal(headers.get('retry-after'), '1');
      }
      assert.equal(await head(), before + 1);
      assert.equal(replayed(await call.post(path, body, key)), 'true');
    }
  });

  it('of two different requests at once with one key, stores one', async () => {
    const before = await head();
    const replies = await Promise.all(
      Array.from({ length: 20 }, (_, i) => call.post('/events', event({ target: `${i}` }), withKey('race'))),
    );
    assert.deepEqual(replies.map(({ status }) => status).sort(), [201, ...Array(19).fill(422)]);
    assert.equal(await head(), before + 1);
  });

  it('is only for publishing; elsewhere the header comes back as a warning', async () => {
    const { id } = await call.publish({ requires_human: true });
    const warning = {
      pointer: 'idempotency-key',
      detail: 'means nothing to this call and was ignored; only publishing takes it',
    };
    const answered = await call.post(`/events/${id}/respond`, { response: 'yes' }, withKey('x'));
    assert.equal(answered.status, 200);
    assert.deepEqual(answered.body.warnings, [warning]);
    assert.equal('warnings' in (await call.post('/events', event(), withKey('x'))).body, false);
  });
});

describe('an Idempotency-Key', () => {
  it('outlives a restart, also one without a goodbye', async (t) => {
    const home = temporaryHome(t);
    const request = [event({ target: 'once' }), event({ requires_human: true, human_timeout_minutes: 60 })];
    let first: Reply | undefined;
    for (const end of ['kill', 'stop', 'stop'] as const) {
      const bus = await startBusProcess({ home, worker: true }, t);
      const call = await callerOf(bus);
      const reply = await call.post('/events:batch', request, withKey('restart'));
      assert.equal(replayed(reply), first === undefined ? null : 'true');
      assert.deepEqual(reply.body, (first ?? reply).body);
      first ??= reply;
      assert.equal((await call.get('/health')).body.head, 2);
      assert.equal((await call.post('/events:batch', [event()], withKey('restart'))).status, 422);
      await bus[end]();
    }
  });

  it('makes a resend after a kill in the middle store each event once, whatever was on disk by then', async (t) => {
    const home = temporaryHome(t);
    const size = 50;
    const batches = Array.from({ length: 60 }, (_, n) => ({
      key: `killed-${n}`,
      events: Array.from({ length: size }, (_, i) => event({ target: `${n}.${i}` })),
    }));
    const send = async (url: string, { key, events }: (typeof batches)[number]) =>
      fetch(`${url}/events:batch`, { method: 'POST', body: JSON.stringify(events), headers: withKey(key) }).then(
        (response) => response.json() as Promise<Wire>,
        () => undefined,
      );
    const bus = await startBusProcess({ home, worker: true }, t);
    let answered = 0;
    const sending = batches.map((batch) =>
      send(bus.url, batch).then((body) => {
        if (body !== undefined && ++answered === 10) process.kill(bus.pid, 'SIGKILL');
        return body;
      }),
    );
    const first = await Promise.all(sending);
    await bus.kill();
    const again = await startBusProcess({ home, worker: true }, t);
    for (const [n, batch] of batches.entries()) {
      const { results, created } = await send(again.url, batch);
      assert.equal(created, size);
      if (first[n] !== undefined) assert.deepEqual(results, first[n].results, 'what was answered stays so');
    }
    const call = await callerOf(again);
    assert.equal((await call.get('/health')).body.head, batches.length * size);
    const targets = new Set<string>();
    for (let before = ''; ; ) {
      const { events, next } = (await call.get(`/events?limit=1000&before=${before}`)).body;
      for (const { target } of events) targets.add(target);
      if (next === null) break;
      before = next;
    }
    assert.equal(targets.size, batches.length * size);
    t.diagnostic(
      `${first.filter((body) => body !== undefined).length} of ${batches.length} were answered before the kill`,
    );
  });
});
