import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type RequestListener, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import { type Canary, n8nComplaint } from './n8n.ts';

const secret = 'only n8n can decrypt this';

/** As n8n 2.41 answers: `/healthz` always, `/healthz/readiness` once its database is there, webhooks of active workflows. */
type Stand = { isReady?: boolean; isActive?: boolean; sends?: Record<string, string> | null };

async function listening(t: TestContext, listener: RequestListener): Promise<{ server: Server; port: number }> {
  const server = createServer(listener).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return { server, port: (server.address() as AddressInfo).port };
}

async function n8n(t: TestContext, { isReady = true, isActive = true, sends = { 'x-canary': secret } }: Stand) {
  const { server, port: free } = await listening(t, () => undefined);
  server.close();
  const { port } = await listening(t, (asked, answer) => {
    asked.resume();
    if (asked.url === '/healthz') return void answer.end('{"status":"ok"}');
    if (asked.url === '/healthz/readiness') return void answer.writeHead(isReady ? 200 : 503).end('{}');
    if (asked.url !== '/webhook/canary' || !isActive) return void answer.writeHead(404).end('{"code":404}');
    answer.end('{"message":"Workflow was started"}');
    if (sends !== null)
      request({ host: '127.0.0.1', port: free, path: '/', headers: sends })
        .on('error', () => undefined)
        .end();
  });
  const canary: Canary = {
    webhook: '/webhook/canary',
    listen: { host: '127.0.0.1', port: free },
    header: 'x-canary',
    sha256: hash('sha256', secret),
  };
  return { url: `http://127.0.0.1:${port}/`, canary };
}

describe('n8n', () => {
  it('is well when its canary arrives with the right header', async (t) =>
    assert.equal(await n8nComplaint(await n8n(t, {})), undefined));

  it('is well without a canary when it is ready', async (t) =>
    assert.equal(await n8nComplaint({ ...(await n8n(t, { isActive: false })), canary: null }), undefined));

  const unwell: [string, Stand, RegExp][] = [
    ['whose database is not ready', { isReady: false }, /is not ready: it answers 503/],
    ['whose workflow is not active', { isActive: false }, /refuses the canary: .* answers 404/],
    ['that cannot decrypt its credentials', { sends: { 'x-canary': 'garbage' } }, /cannot read the credentials/],
    ['that sends no credential', { sends: {} }, /without the header x-canary/],
  ];
  for (const [what, stand, sentence] of unwell)
    it(`${what} is not`, async (t) => assert.match((await n8nComplaint(await n8n(t, stand))) ?? '', sentence));

  it('cannot be asked where somebody else listens', async (t) => {
    const check = await n8n(t, {});
    const { port } = await listening(t, () => undefined);
    const complaint = await n8nComplaint({
      ...check,
      canary: { ...check.canary, listen: { host: '127.0.0.1', port } },
    });
    assert.match(complaint ?? '', /nothing can listen on/);
  });

  it('that is not there is not well', async (t) => {
    const { server, port } = await listening(t, () => undefined);
    server.close();
    assert.match((await n8nComplaint({ url: `http://127.0.0.1:${port}`, canary: null })) ?? '', /does not answer/);
  });
});
