import assert from 'node:assert/strict';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import { smallFetch } from './small-fetch.ts';

async function serving(t: TestContext, listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** The same asked of both, so that who uses the one may use the other. */
const both = [
  ['fetch', fetch],
  ['smallFetch', smallFetch],
] as const;

describe('the small fetch', { timeout: 20_000 }, () => {
  for (const [name, fetcher] of both) {
    it(`sends what is to be sent and reads what comes, as ${name} does`, async (t) => {
      const url = await serving(t, async (request, response) => {
        let body = '';
        for await (const chunk of request) body += chunk;
        const { method, url: path, headers } = request;
        response.writeHead(201, { 'Retry-After': '7', 'content-type': 'application/json' });
        response.end(JSON.stringify({ method, path, body, auth: headers.authorization }));
      });
      const headers = { authorization: 'Bearer x' };
      const response = await fetcher(new URL(`${url}/a?b=ü`), { method: 'POST', headers, body: 'grün' });
      assert.deepEqual([response.ok, response.status, response.headers.get('retry-after')], [true, 201, '7']);
      assert.equal(response.headers.get('x-none'), null);
      const said = { method: 'POST', path: '/a?b=%C3%BC', body: 'grün', auth: 'Bearer x' };
      assert.deepEqual(await response.json(), said);
      const other = await fetcher(url, { method: 'GET', body: null });
      assert.deepEqual(JSON.parse(await other.text()).body, '');
    });

    it(`gives a stream as it comes, until it is aborted, as ${name} does`, async (t) => {
      const url = await serving(t, (_, response) => void response.writeHead(200).write('data: 1\n\n'));
      const stop = new AbortController();
      const response = await fetcher(url, { signal: stop.signal });
      let text = '';
      await assert.rejects(async () => {
        for await (const bytes of response.body ?? []) {
          text += Buffer.from(bytes).toString();
          stop.abort(new Error('stopping'));
        }
      });
      assert.equal(text, 'data: 1\n\n');
    });

    it(`tells what went wrong as ${name} does`, async (t) => {
      const codeOf = (error: unknown) => ((error as Error).cause as { code?: string }).code;
      const shut = createServer().listen(0, '127.0.0.1');
      await new Promise((resolve) => shut.once('listening', resolve));
      const { port } = shut.address() as AddressInfo;
      await new Promise((resolve) => shut.close(resolve));
      const refused = fetcher(`http://127.0.0.1:${port}/`);
      await assert.rejects(refused, (error) => codeOf(error) === 'ECONNREFUSED');
      const silent = await serving(t, () => undefined);
      const late = fetcher(silent, { signal: AbortSignal.timeout(50) });
      await assert.rejects(late, { name: 'TimeoutError' });
      await assert.rejects(fetcher(silent, { signal: AbortSignal.abort(new Error('gone')) }), { message: 'gone' });
      const cut = await serving(t, (request) => void request.socket.destroy());
      await assert.rejects(fetcher(cut), TypeError);
      const broken = await serving(t, (_, response) => {
        response.writeHead(200, { 'content-length': '10' });
        response.write('abc', () => response.destroy());
      });
      await assert.rejects(async () => (await fetcher(broken)).text(), TypeError);
      const away = await serving(t, (_, response) => void response.writeHead(302, { location: silent }).end());
      await assert.rejects(fetcher(away, { redirect: 'error' }), TypeError);
    });
  }
});
