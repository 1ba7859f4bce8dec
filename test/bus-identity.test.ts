import assert from 'node:assert/strict';
import { Agent, request } from 'node:http';
import { networkInterfaces } from 'node:os';
import { DatabaseSync } from 'node:sqlite';
import { after, before, describe, it } from 'node:test';
import { revokeTokens } from '../src/bus/store/sqlite/token-file.ts';
import type { NewToken } from '../src/events/token.ts';
import { type Caller, callerOf, type Wire } from './bus-caller.fixtures.ts';
import { type BusProcess, startBusProcess } from './bus-server.fixtures.ts';
import { tokenFor } from './bus-token.fixtures.ts';

describe('who a token says one is', () => {
  let bus: BusProcess;
  let call: Caller;
  before(async () => {
    bus = await startBusProcess({ worker: true });
    call = await callerOf(bus);
  });
  after(() => bus.stop());

  const as = async (token: Partial<NewToken>) => {
    const { headers } = await tokenFor(bus, token);
    return {
      post: (path: string, body: object) => call.post(path, body, headers),
      publish: (body: object) => call.post('/events', { action: 'happened', ...body }, headers),
      get: async (path: string) => (await fetch(bus.url + path, { headers })).status,
    };
  };
  const ask = async (draft: object = {}): Promise<string> =>
    (await call.publish({ source_agent: 'ASKER', requires_human: true, ...draft })).id;
  const resolution = async (id: string) => {
    const { human_responded_by, human_state } = (await call.get(`/events/${id}`)).body;
    return [human_state, human_responded_by];
  };

  it('publishes in its own name alone, what its patterns say', async () => {
    for (const kind of ['agent', 'person', 'tool'] as const) {
      const { publish } = await as({ name: 'É"%', kind, scopes: ['publish:workflow_*', 'publish:x'] });
      for (const action of ['workflow_created', 'workflow_', 'x'])
        assert.equal((await publish({ source_agent: 'É"%', action })).status, 201, action);
      for (const action of ['workflow', 'Workflow_created', 'xx', 'my_workflow_x']) {
        const { status, body } = await publish({ source_agent: 'É"%', action });
        assert.deepEqual([status, body.needs], [403, `publish:${action}`]);
      }
      for (const source_agent of ['é"%', 'É"% ', 'EVE']) {
        const { status, body } = await publish({ source_agent, action: 'x' });
        assert.equal(status, 403);
        assert.match(body.detail, /cannot act in the name of/);
      }
      assert.equal((await publish({ action: 'x' })).status, 422, 'the name is not filled in');
    }
  });

  it('asks only with the scope for it', async () => {
    const question = { source_agent: 'ADA', requires_human: true };
    const mute = await (await as({ scopes: ['publish'] })).publish(question);
    assert.deepEqual([mute.status, mute.body.needs], [403, 'ask']);
    assert.equal((await (await as({ scopes: ['publish', 'ask'] })).publish(question)).status, 201);
    const unpublished = await (await as({ scopes: ['publish:other', 'ask'] })).publish(question);
    assert.equal(unpublished.status, 403);
  });

  it('is everybody with admin, but never the bus', async () => {
    const admin = await as({ name: 'ROOT', scopes: ['admin'] });
    assert.equal((await admin.publish({ source_agent: 'EVE' })).status, 201);
    assert.equal((await admin.publish({ source_agent: 'EVENT-BUS' })).status, 422);
    const id = await ask();
    assert.equal((await admin.post(`/events/${id}:cancel`, {})).status, 200);
    assert.deepEqual(await resolution(id), ['cancelled', 'ROOT']);
    const other = await ask();
    assert.equal((await admin.post(`/events/${other}/respond`, { response: 'yes', responder: 'berta' })).status, 200);
    assert.deepEqual(await resolution(other), ['answered', 'berta']);
  });

  it('answers in its own name, which a body may leave out', async () => {
    const { post } = await as({ name: 'berta', kind: 'person', scopes: ['answer'] });
    const id = await ask({ answerers: ['berta'] });
    const { status, body } = await post(`/events/${id}/respond`, { response: 'yes', responder: 'ada' });
    assert.equal(status, 403);
    assert.match(body.hint, /"berta" as responder/);
    const answered = await post(`/events/${id}/respond`, { response: 'yes' });
    assert.deepEqual([answered.status, answered.body.responder], [200, 'berta']);
    assert.deepEqual(await resolution(id), ['answered', 'berta']);
    assert.equal((await post(`/events/${await ask({ answerers: ['ada'] })}/respond`, { response: 'yes' })).status, 403);
  });

  it('takes back its own questions alone', async () => {
    const { post } = await as({ name: 'ASKER', scopes: ['ask'] });
    const other = await as({ name: 'EVE', scopes: ['ask'] });
    const id = await ask();
    assert.match((await other.post(`/events/${id}:cancel`, {})).body.detail, /"EVE" cannot take this question back/);
    assert.equal((await other.post(`/events/${id}:cancel`, { cancelled_by: 'ASKER' })).status, 403);
    assert.equal((await post(`/events/${id}:cancel`, {})).status, 200);
    assert.deepEqual(await resolution(id), ['cancelled', 'ASKER']);
    const nameless = await call.post(`/events/${await ask()}:cancel`, {});
    assert.deepEqual([nameless.status, nameless.body.errors[0].pointer], [422, '/cancelled_by']);
  });

  it('adds to its own list alone, and only what is new', async () => {
    const { post } = await as({ name: 'OWN', scopes: ['ack'] });
    const list = { agent_name: 'OWN', action_pattern: 'a_*', only_if_new: true };
    assert.equal((await post('/subscriptions', list)).status, 201);
    for (const other of [{ agent_name: 'EVE' }, { only_if_new: false }, { only_if_new: undefined }]) {
      const { status, body } = await post('/subscriptions', { ...list, ...other });
      assert.deepEqual([status, body.needs], [403, 'admin']);
    }
  });

  it('reads its own inbox, however its name is written in the path', async () => {
    const { get } = await as({ name: 'A/É', scopes: ['ack:self'] });
    assert.equal(await get('/agents/A%2F%C3%89/events'), 200);
    assert.equal(await get('/agents/%41%2fÉ/events'), 200);
    for (const path of ['/agents/EVE/events', '/agents/a%2F%C3%89/events', '/events', '/agents/A%252F%C3%89/events'])
      assert.equal(await get(path), 403, path);
  });

  describe('an approval', () => {
    const approve = { response: 'yes', payload_hash: 'sha256:1' };
    const hashed = () => ask({ payload_hash: 'sha256:1' });

    it('is given by a person with a token that says so, and by nobody else', async () => {
      const id = await hashed();
      const path = `/events/${id}/respond`;
      const nobody = await call.post(path, { ...approve, responder: 'berta' });
      assert.deepEqual([nobody.status, nobody.body.needs], [403, 'approve']);
      assert.match(nobody.body.detail, /only a person with a token may answer it, also on this machine/);
      assert.match(nobody.body.hint, /owner\.token.*leveredge token create/);
      const refused: [Partial<NewToken>, object, RegExp][] = [
        [{ name: 'BOT', kind: 'agent', scopes: ['admin'] }, {}, /is no person’s, and only persons approve/],
        [{ name: 'BOT', kind: 'tool', scopes: ['answer'] }, {}, /is no person’s/],
        [{ name: 'berta', kind: 'person', scopes: ['answer'] }, {}, /it has no scope approve/],
        [{ name: 'root', kind: 'person', scopes: ['admin'] }, { responder: 'berta' }, /approves in no other name/],
        [{ name: 'asker', kind: 'person', scopes: ['approve'] }, {}, /asked this question and cannot answer it/],
      ];
      for (const [token, more, says] of refused) {
        const { status, body } = await (await as(token)).post(path, { ...approve, ...more });
        assert.equal(status, 403);
        assert.match(body.detail, says);
      }
      assert.deepEqual(await resolution(id), ['open', null]);
      const { post } = await as({ name: 'berta', kind: 'person', scopes: ['approve'] });
      assert.equal((await post(path, { response: 'yes' })).status, 422, 'the hash is missing');
      assert.equal((await post(path, { ...approve, payload_hash: 'sha256:2' })).status, 409);
      assert.equal((await post(path, approve)).status, 200);
      assert.deepEqual(await resolution(id), ['answered', 'berta']);
      assert.equal((await call.post(path, approve)).status, 409, 'and who comes later learns who was first');
    });

    it('is the owner’s to give too', async () => {
      const { post } = await as({ name: 'root', kind: 'person', scopes: ['admin', 'approve', 'answer'] });
      assert.equal((await post(`/events/${await hashed()}/respond`, approve)).status, 200);
      assert.equal((await post(`/events/${await ask()}/respond`, { response: 'yes' })).status, 200);
    });
  });
});

describe('tokens on a bus that runs', () => {
  let bus: BusProcess;
  let call: Caller;
  before(async () => {
    bus = await startBusProcess({ worker: true, yaml: 'bus:\n  auth: required\n  allowed_hosts: [bus.example.org]\n' });
    call = await callerOf(bus);
  });
  after(() => bus.stop());
  const status = async (headers: Record<string, string>) => (await fetch(`${bus.url}/events`, { headers })).status;

  it('give nothing to whoever waits when they are revoked meanwhile', async () => {
    const ask = { action: 'may_i', human_question: 'May I?', requires_human: true };
    const asker = await tokenFor(bus, { name: 'ASKER', scopes: ['publish:*', 'ask'] });
    const publish = (draft: object) =>
      call.post('/events', { source_agent: 'ASKER', ...draft }, asker.headers).then(({ body }) => body.id);
    const question = await publish(ask);
    const { id, headers } = await tokenFor(bus, { name: 'HADES', scopes: ['read', 'ack:self'] });
    const body = JSON.stringify({ wait_seconds: 3 });
    const claiming = fetch(`${bus.url}/agents/HADES/deliveries:claim`, { method: 'POST', headers, body });
    const waiting = fetch(`${bus.url}/events/${question}?wait=2`, { headers });
    await new Promise((go) => setTimeout(go, 300));
    await revokeTokens(bus.databaseFile, id, Date.now);
    await publish({ action: 'backup_failed' });
    for (const response of [await claiming, await waiting]) {
      assert.equal(response.status, 401);
      assert.match(((await response.json()) as Wire).detail, /was revoked/);
    }
  });

  it('count from when they are made until they are revoked, also in the sqlite3 shell', async () => {
    const { headers, id } = await tokenFor(bus, { name: 'BRIEF' });
    assert.equal(await status(headers), 200);
    await revokeTokens(bus.databaseFile, id, Date.now);
    assert.equal(await status(headers), 401);
    const other = await tokenFor(bus, { name: 'BRIEF' });
    assert.equal(await status(other.headers), 200);
    const db = new DatabaseSync(bus.databaseFile, { timeout: 5000 });
    db.prepare('DELETE FROM tokens WHERE id = ?').run(other.id);
    db.close();
    assert.equal(await status(other.headers), 401);
  });

  it('tell who has none no more of the bus than that it lives', async () => {
    const { body } = await call.get('/health');
    assert.deepEqual(Object.keys(body).sort(), ['port', 'service', 'status', 'version']);
    const { headers } = await tokenFor(bus, { scopes: ['publish'] });
    const full = (await (await fetch(`${bus.url}/health`, { headers })).json()) as Wire;
    assert.equal(typeof full.head, 'number');
    for (const path of ['/docs', '/openapi.json']) assert.equal((await fetch(bus.url + path)).status, 200);
  });

  it('are asked for again when a call has waited', async () => {
    const name = 'LATECOMER';
    const { headers, id } = await tokenFor(bus, { name, scopes: ['admin'] });
    const other = await tokenFor(bus, { name, scopes: ['admin'] });
    const own = { agent_name: name, action_pattern: 'late_*', mode: 'queue' };
    assert.equal((await call.post('/subscriptions', own, other.headers)).status, 201);
    const publish = (draft: object) =>
      call.post('/events', { source_agent: 'A', action: 'late_on', ...draft }, other.headers);
    await publish({ id: 'late-question', action: 'asked', requires_human: true });
    const claimed = call.post(`/agents/${name}/deliveries:claim`, { wait_seconds: 20 }, headers);
    await new Promise((go) => setTimeout(go, 100));
    const next = call.post(`/agents/${name}/deliveries:claim`, { wait_seconds: 20 }, other.headers);
    const read = fetch(`${bus.url}/events/late-question?wait=20`, { headers });
    await new Promise((go) => setTimeout(go, 300));
    await revokeTokens(bus.databaseFile, id, Date.now);
    await publish({});
    await call.post('/events/late-question/respond', { response: 'yes' }, other.headers);
    assert.deepEqual([(await claimed).status, (await read).status], [401, 401]);
    assert.equal((await next).body.count, 1, 'who waited behind it gets what it did not');
  });

  it('have a limit of their own, which slows nobody else', async () => {
    const hasty = await tokenFor(bus, { name: 'HASTY', per_minute: 2 });
    const other = await tokenFor(bus, { name: 'HASTY' });
    const outcomes = [await status(hasty.headers), await status(hasty.headers)];
    const limited = await fetch(`${bus.url}/events`, { headers: hasty.headers });
    assert.deepEqual([...outcomes, limited.status, await status(other.headers)], [200, 200, 429, 200]);
    const wait = Number(limited.headers.get('retry-after'));
    assert.ok(wait > 20 && wait <= 30, String(wait));
    const body = (await limited.json()) as Wire;
    assert.equal(body.type, 'urn:leveredge:problem:rate-limited');
    assert.match(body.detail, /may send 2 requests a minute/);
  });

  it('are refused whatever else stands in the header, with a line in the log now and then, and never shown', async () => {
    const { secret } = await tokenFor(bus, {});
    const hostile = [
      '',
      'Bearer',
      'Bearer ',
      secret,
      `Basic ${secret}`,
      `Bearer${secret}`,
      `Bearer ${secret} `.repeat(2),
      `Bearer ${secret}, Bearer ${secret}`,
      `Bearer ${secret}x`,
      `Bearer ${secret.slice(0, -1)}`,
      `Bearer ${secret.toUpperCase()}`,
      `Bearer ${secret.replace('lev_', 'LEV_')}`,
      `Bearer "${secret}"`,
      `Bearer lev_${"' OR 1=1 --".padEnd(40, 'x')}`,
      `Bearer lev_${'%'.repeat(40)}`,
      `Bearer lev_${'é'.repeat(40)}`,
      `Bearer ${'a'.repeat(12_000)}`,
      'Negotiate YII',
    ];
    for (const authorization of hostile)
      for (const path of ['/events', '/health']) {
        const reply = await raw(bus, path, { authorization });
        assert.equal(reply.status, 401, authorization.slice(0, 60));
        assert.match(reply.text, /urn:leveredge:problem:unauthorized/);
        assert.ok(!reply.text.includes(secret.slice(4)), reply.text);
      }
    const lines = bus.log().trimEnd().split('\n');
    assert.ok(lines.length <= 2, bus.log());
    assert.match(lines[0] ?? '', /warn a token was refused why="This .*" from="127\.0\.0\.1"/);
    assert.ok(!bus.log().includes('lev_'));
    assert.equal(await status({ authorization: `bearer  ${secret}` }), 200, 'the scheme in any case, as HTTP has it');
  });

  it('are judged before a body is read, and the connection goes on', async () => {
    const { headers } = await tokenFor(bus, { name: 'ADA', scopes: ['publish'] });
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const wrong = { authorization: `Bearer lev_${'x'.repeat(40)}` };
    const large = 'x'.repeat(5 * 1024 * 1024);
    for (let i = 0; i < 3; i++) {
      assert.equal((await raw(bus, '/events', wrong, { agent, body: large })).status, 401);
      assert.equal((await raw(bus, '/events', {}, { agent, body: large })).status, 401);
      assert.equal((await raw(bus, '/events', headers, { agent, body: large })).status, 413);
      const body = '{"source_agent":"ADA","action":"small"}';
      assert.equal((await raw(bus, '/events', headers, { agent, body })).status, 201);
    }
    agent.destroy();
  });

  it('open nothing to a web page', async () => {
    const { headers } = await tokenFor(bus, {});
    for (const from of [
      { origin: 'https://evil.example' },
      { 'sec-fetch-site': 'cross-site' },
      { host: 'evil.example' },
    ])
      assert.equal((await raw(bus, '/events', { ...headers, ...from } as Record<string, string>)).status, 403);
    assert.equal((await raw(bus, '/events', { ...headers, host: 'bus.example.org' })).status, 200);
    assert.equal((await raw(bus, '/events', { ...headers, host: '10.0.0.1' })).status, 403, 'it listens on loopback');
  });
});

describe('a bus that other machines reach', () => {
  it('is called by any address of its machine, with a token', async (t) => {
    const bus = await startBusProcess({ host: '0.0.0.0', yaml: 'bus:\n  auth: required\n' }, t);
    assert.match(bus.url, /^http:\/\/127\.0\.0\.1:\d+$/);
    const { headers } = await tokenFor(bus, {});
    const outer = Object.values(networkInterfaces())
      .flatMap((list) => list ?? [])
      .find(({ internal, family }) => !internal && family === 'IPv4')?.address;
    for (const host of [outer ?? '127.0.0.1', '127.0.0.1']) {
      const url = `http://${host}:${bus.port}/events`;
      assert.equal((await fetch(url, { headers })).status, 200, host);
      assert.equal((await fetch(url)).status, 401, host);
    }
    for (const host of ['172.17.0.1:8099', '[2001:db8::1]:8099'])
      assert.equal((await raw(bus, '/events', { ...headers, host })).status, 200, host);
    assert.equal((await raw(bus, '/events', { ...headers, host: 'evil.example' })).status, 403);
    await bus.stop();
  });
});

/** fetch sets some headers itself; this sends what it is given. */
function raw(
  bus: BusProcess,
  path: string,
  headers: Record<string, string>,
  { agent, body }: { agent?: Agent; body?: string } = {},
) {
  return new Promise<{ status: number; text: string }>((resolve, reject) => {
    const encoded = Object.fromEntries(
      Object.entries(headers).map(([key, value]) => [key, Buffer.from(value).toString('latin1')]),
    );
    const target = { host: '127.0.0.1', port: bus.port, method: body === undefined ? 'GET' : 'POST', agent };
    const sent = request({ ...target, path, headers: encoded }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk) => {
        text += chunk;
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
    });
    sent.on('error', reject).end(body);
  });
}
