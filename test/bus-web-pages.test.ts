import assert from 'node:assert/strict';
import { request } from 'node:http';
import { after, before, describe, it } from 'node:test';
import { type BusProcess, startBusProcess } from './bus-server.fixtures.ts';

type Sent = { status: number; headers: Record<string, unknown>; text: string };

/** A browser on this machine can reach loopback too; what it sends for a foreign page must come to nothing. */
describe('web pages', () => {
  let bus: BusProcess;
  before(async () => {
    bus = await startBusProcess({ yaml: 'bus:\n  allowed_hosts: [bus.example.org]\n' });
  });
  after(() => bus.stop());

  /** fetch does not let a test set Host and Origin; this does. */
  const send = (method: string, path: string, headers: Record<string, string>, body?: string): Promise<Sent> =>
    new Promise((resolve, reject) => {
      const sent = request({ host: '127.0.0.1', port: bus.port, method, path, headers }, (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (chunk) => {
          text += chunk;
        });
        response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, text }));
      });
      sent.on('error', reject).end(body);
    });
  const draft = '{"source_agent":"EVIL","action":"posted"}';

  it('a foreign page’s post without a preflight stores nothing', async () => {
    for (const headers of [
      { origin: 'https://evil.example', 'content-type': 'text/plain' },
      { origin: 'null', 'content-type': 'text/plain' },
      { origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' },
      { 'sec-fetch-site': 'cross-site' },
      { 'sec-fetch-site': 'same-site' },
      { origin: 'http://localhost:3000', 'sec-fetch-site': 'same-site' },
      { origin: `https://127.0.0.1.evil.example:${bus.port}` },
      { origin: `http://127.0.0.1@evil.example:${bus.port}` },
      { origin: 'file://' },
      { origin: '' },
    ] as Record<string, string>[]) {
      const { status, text } = await send('POST', '/events', headers, draft);
      assert.equal(status, 403, JSON.stringify(headers));
      assert.match(text, /urn:leveredge:problem:forbidden/);
    }
    const { text } = await send('GET', '/events?source_agent=EVIL', {});
    assert.equal(JSON.parse(text).count, 0);
  });

  it('a name that was made to point here is not answered to', async () => {
    for (const host of [
      'evil.example',
      `evil.example:${bus.port}`,
      '127.0.0.1.evil.example',
      '10.0.0.1',
      '[::2]',
      'a b',
    ])
      assert.ok([400, 403].includes((await send('GET', '/events', { host })).status), host);
    const { text } = await send('GET', '/events', { host: 'evil.example' });
    assert.match(JSON.parse(text).hint, /allowed_hosts/);
  });

  it('its own page, programs and the names in allowed_hosts pass', async () => {
    for (const headers of [
      {},
      { host: `localhost:${bus.port}` },
      { host: `LOCALHOST:${bus.port}`, origin: `http://localhost:${bus.port}` },
      { host: '[::1]:8099' },
      { host: '127.1.2.3' },
      { host: 'bus.example.org', origin: 'https://bus.example.org', 'sec-fetch-site': 'same-origin' },
      { origin: `http://127.0.0.1:${bus.port}`, 'sec-fetch-site': 'same-origin' },
      { 'sec-fetch-site': 'none' },
    ] as Record<string, string>[])
      assert.equal((await send('POST', '/events', headers, draft)).status, 201, JSON.stringify(headers));
  });

  it('no answer may be read by another site, guessed at or kept', async () => {
    for (const path of ['/events', '/docs', '/nowhere', '/events/%']) {
      const { headers } = await send('GET', path, {});
      assert.equal(headers['access-control-allow-origin'], undefined);
      assert.equal(headers['x-content-type-options'], 'nosniff');
      assert.equal(headers['cache-control'], 'no-store');
    }
    const preflight = await send('OPTIONS', '/events', {
      origin: 'https://evil.example',
      'access-control-request-method': 'POST',
    });
    assert.equal(preflight.status, 403);
  });

  it('GET /openapi.json describes this very bus', async () => {
    const { status, headers, text } = await send('GET', '/openapi.json', {});
    assert.equal(status, 200);
    assert.match(String(headers['content-type']), /^application\/json/);
    const document = JSON.parse(text);
    assert.equal(document.openapi, '3.1.0');
    assert.equal(document.info.version, '0.0.0-test');
    assert.ok(document.paths['/events'].post);
  });

  it('/ leads to /docs: a page without script, foreign assets or a way to be framed', async () => {
    const root = await send('GET', '/', {});
    assert.equal(root.status, 302);
    assert.equal(root.headers.location, '/docs');
    const { status, headers, text } = await send('GET', '/docs', {});
    assert.equal(status, 200);
    assert.match(String(headers['content-type']), /^text\/html/);
    const policy = String(headers['content-security-policy']);
    assert.match(policy, /default-src 'none'/);
    assert.match(policy, /frame-ancestors 'none'/);
    assert.ok(!policy.includes('unsafe'));
    assert.ok(!/<script|<img|\son\w+=|\sstyle=|src=|https?:\/\/(?!127\.0\.0\.1)/.test(text));
    for (const path of ['/events', '/events/{id}/respond', '/agents/{agent}/events', '/subscriptions', '/explain'])
      assert.ok(text.includes(path), path);
  });
});
