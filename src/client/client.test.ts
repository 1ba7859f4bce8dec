import assert from 'node:assert/strict';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import type { FaultCode } from '../base/fault.ts';
import { newSecret } from '../events/token.ts';
import { makeClient } from './client.ts';

async function serve(t: TestContext, listener: RequestListener) {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close().closeAllConnections());
  return makeClient({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/` });
}

function answering(t: TestContext, status: number, body: unknown, headers = {}) {
  return serve(t, (_, response) => {
    response.writeHead(status, headers).end(typeof body === 'string' ? body : JSON.stringify(body));
  });
}

const anyAnswer = {
  ...{ id: 'x', action: 'a', status: 'ok', events: [], count: 0, agent: 'é"%' },
  ...{ deliveries: [], dead_letters: [], leased_until: '', redriven: 4 },
};

describe('the client', () => {
  it('asks for what it was told to, with every text escaped', async (t) => {
    const seen: string[] = [];
    const client = await serve(t, (request, response) => {
      seen.push(`${request.method} ${request.url}`);
      response.end(JSON.stringify(anyAnswer));
    });
    await client.events({ limit: 3, source_agent: 'A&B', action: undefined });
    await client.event('a/b?c', { waitSeconds: 50 });
    await client.acknowledge('x', 'a b');
    await client.inbox('é"%', { unacknowledged_only: true });
    await client.shown('x', 'cli');
    await client.claim('a/b');
    await client.ackDelivery({ agent: 'a b', id: '1-2', lease: '3' });
    await client.nackDelivery({ agent: 'a', id: '1/2', lease: '3' }, { dead: true });
    await client.extendDelivery({ agent: 'a', id: '1-2', lease: '3' }, 60);
    await client.deadLetters({ agent: 'a&b', limit: 3 });
    await client.redrive('a/b', '1-2');
    assert.equal(await client.redriveAll('a'), 4);
    await client.discardDeadLetter('a b', '1-2');
    assert.deepEqual(seen, [
      'GET /events?limit=3&source_agent=A%26B',
      'GET /events/a%2Fb%3Fc?wait=50',
      'POST /events/x/acknowledge?agent=a+b',
      'GET /agents/%C3%A9%22%25/events?unacknowledged_only=true',
      'POST /events/x:shown',
      'POST /agents/a%2Fb/deliveries:claim',
      'POST /agents/a%20b/deliveries/1-2:ack',
      'POST /agents/a/deliveries/1%2F2:nack',
      'POST /agents/a/deliveries/1-2:extend',
      'GET /dead-letters?agent=a%26b&limit=3',
      'POST /dead-letters/a%2Fb/1-2:redrive',
      'POST /dead-letters:redrive',
      'DELETE /dead-letters/a%20b/1-2',
    ]);
  });

  it('names a request where it is told to, and nowhere else', async (t) => {
    const seen: string[] = [];
    const client = await serve(t, (request, response) => {
      seen.push(`${request.method} ${request.url} ${request.headers['idempotency-key']}`);
      response.end(JSON.stringify({ id: 'x', status: 'created', results: [], created: 0, duplicates: 0, refused: 0 }));
    });
    const draft = { source_agent: 'A', action: 'b' };
    await client.publish(draft);
    await client.publish(draft, { idempotencyKey: 'one' });
    assert.deepEqual((await client.publishBatch([draft, draft], { idempotencyKey: 'many' })).results, []);
    await client.publishBatch([draft]);
    assert.deepEqual(seen, [
      ...['POST /events undefined', 'POST /events one', 'POST /events:batch many', 'POST /events:batch undefined'],
    ]);
  });

  const problems: [status: number, body: unknown, code: FaultCode, says: RegExp][] = [
    [409, { type: 'urn:leveredge:problem:already-resolved', detail: 'Too late.' }, 'already-resolved', /Too late/],
    [422, { detail: 'No.' }, 'invalid', /No\./],
    [409, { type: 'urn:leveredge:problem:still-running', detail: 'Wait.' }, 'still-running', /Wait/],
    [404, { type: 'urn:leveredge:problem:of-the-future', detail: 'Gone.' }, 'not-found', /Gone/],
    [418, { detail: 'A teapot.' }, 'invalid', /teapot/],
    [500, 'oops', 'internal', /HTTP 500/],
    [500, { type: 'urn:leveredge:problem:internal-server-error', detail: 'Ours.' }, 'internal', /Ours/],
    [502, '<html>', 'unavailable', /HTTP 502/],
    [404, '<html>', 'unreachable', /no event bus: HTTP 404/],
    [200, { other: 'program' }, 'unreachable', /no event bus: HTTP 200/],
    [200, '[]', 'unreachable', /no event bus/],
  ];
  for (const [status, body, code, says] of problems)
    it(`makes ${code} of HTTP ${status} ${JSON.stringify(body)}`, async (t) => {
      const client = await answering(t, status, body);
      await assert.rejects(client.events(), { name: 'Fault', code, message: says });
    });

  it('hands on hint, mistakes, Retry-After and every further member', async (t) => {
    const body = {
      detail: 'No.',
      hint: 'Do.',
      errors: [{ pointer: '/a', detail: 'is bad' }],
      resolution: { state: 'answered' },
    };
    const client = await answering(t, 429, body, { 'retry-after': '7' });
    await assert.rejects(client.health(), {
      code: 'queue-full',
      hint: 'Do.',
      mistakes: [{ pointer: '/a', detail: 'is bad' }],
      extra: { resolution: { state: 'answered' }, retry_after_seconds: 7 },
    });
  });

  it('says which URL it tried and how to start a bus when nobody answers', async () => {
    const client = makeClient({ url: 'http://127.0.0.1:1' });
    await assert.rejects(client.health(), {
      code: 'unreachable',
      message: /^No bus can be reached at http:\/\/127\.0\.0\.1:1 \(/,
      hint: /leveredge bus/,
    });
  });

  it('does not wait for ever for a bus that says nothing', async (t) => {
    const client = await serve(t, () => undefined);
    await assert.rejects(client.health(50), { code: 'unreachable', message: /no answer within 0\.05 s/ });
  });

  it('refuses what is no URL', () => {
    for (const url of ['localhost:8099', '', 'ftp://x', 'http://'])
      assert.throws(() => makeClient({ url }), { code: 'usage' });
  });

  it('sends its token along with each call, and with none where it has none', async (t) => {
    const seen: unknown[] = [];
    const server = createServer((request, response) => {
      seen.push(request.headers.authorization);
      response.end('{"events":[],"count":0}');
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    t.after(() => server.close().closeAllConnections());
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const token = newSecret();
    await makeClient({ url, token }).events();
    await makeClient({ url }).events();
    assert.deepEqual(seen, [`Bearer ${token}`, undefined]);
  });

  it('refuses what is no token and does not repeat it, and takes a refused one nowhere else', async (t) => {
    for (const token of ['', 'geheim', 'lev_geheim', `${newSecret()}\r\nX: geheim`])
      assert.throws(
        () => makeClient({ url: 'http://127.0.0.1:1', token }),
        ({ code, message, hint }) => code === 'usage' && !`${message}${hint}`.includes('geheim'),
      );
    const body = { type: 'urn:leveredge:problem:unauthorized', detail: 'No.' };
    await assert.rejects((await answering(t, 401, body)).events(), { code: 'unauthorized' });
    await assert.rejects((await answering(t, 302, {}, { location: 'http://127.0.0.1:1/' })).events(), {
      code: 'unreachable',
    });
  });

  it('refuses a URL with credentials and does not repeat them', () => {
    for (const url of ['http://user:geheim@127.0.0.1:1', 'http://geheim@x', 'user:geheim@x', 'http://geheim@@'])
      assert.throws(
        () => makeClient({ url }),
        ({ code, message, hint }) => {
          assert.equal(code, 'usage');
          assert.doesNotMatch(`${message}${hint}`, /geheim/);
          return true;
        },
      );
  });
});
