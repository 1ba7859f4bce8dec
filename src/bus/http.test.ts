import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { Fault } from '../base/fault.ts';
import { makeLog } from '../base/log.ts';
import { openGate } from './gate.ts';
import { makeGuard } from './guard.ts';
import { makeHttp } from './http.ts';
import { route } from './route.ts';

/** A server whose one call throws this. */
function throwing(error: unknown) {
  const lines: string[] = [];
  const log = makeLog(
    (line) => lines.push(line),
    () => 0,
  );
  const failing = route({
    method: 'GET',
    path: '/fails/{id}',
    operationId: 'fails',
    tag: 'Events',
    needs: null,
    summary: 'Fails',
    answers: {},
    handle: () => Promise.reject(error),
  });
  const { server } = makeHttp([failing], makeGuard([]), openGate, log);
  const get = () => server.inject({ method: 'GET', url: '/fails/secret', headers: { host: 'localhost' } });
  return { get, lines };
}

describe('an error below a route', () => {
  it('that is our mistake is a bare 500, with its stack in the log and nothing of the call’s content', async () => {
    for (const error of [new TypeError('x is not a function'), new RangeError('Invalid string length')]) {
      const { get, lines } = throwing(error);
      const { statusCode, headers, body } = await get();
      assert.equal(statusCode, 500);
      assert.match(String(headers['content-type']), /^application\/problem\+json/);
      assert.equal(headers['cache-control'], 'no-store');
      const problem = JSON.parse(body);
      assert.equal(problem.type, 'urn:leveredge:problem:internal-server-error');
      assert.match(problem.detail, /fault of the bus/);
      assert.ok(!body.includes(error.message));
      assert.equal(lines.length, 1);
      assert.match(lines[0] as string, /error a request failed call="GET \/fails\/:id"/);
      assert.ok(lines[0]?.includes(`${error.name}: ${error.message} |     at `) && lines[0].includes('http.test.ts'));
      assert.ok(!lines[0]?.includes('secret'));
    }
  });

  it('that is no Error at all is a bare 500 too', async () => {
    for (const thrown of ['text', { statusCode: 503 }]) {
      const { get, lines } = throwing(thrown);
      assert.equal((await get()).statusCode, 500);
      assert.equal(lines.length, 1);
    }
  });

  it('that is a Fault is answered as such and not logged', async () => {
    const { get, lines } = throwing(new Fault('queue-full', 'Full.'));
    const { statusCode, headers } = await get();
    assert.equal(statusCode, 429);
    assert.equal(headers['retry-after'], '1');
    assert.deepEqual(lines, []);
  });
});

describe('the server', () => {
  it('bounds how many may connect, and how long each may take', () => {
    const { server } = makeHttp([], makeGuard([]), openGate, makeLog(assert.fail, Date.now));
    const { maxConnections, headersTimeout, requestTimeout, timeout, keepAliveTimeout } = server.server;
    assert.deepEqual(
      { maxConnections, headersTimeout, requestTimeout, timeout, keepAliveTimeout },
      // No keepAliveTimeout: the timeout counts between two requests too, and outlasts the longest wait for an answer.
      { maxConnections: 4096, headersTimeout: 10_000, requestTimeout: 30_000, timeout: 90_000, keepAliveTimeout: 0 },
    );
  });
});

describe('a connection on which no HTTP arrives', () => {
  it('is let go soon after it was told so, whether or not its sender hangs up', async (t) => {
    const log = makeLog(
      () => undefined,
      () => 0,
    );
    const { server } = makeHttp([], makeGuard([]), openGate, log);
    await server.listen({ host: '127.0.0.1', port: 0 });
    t.after(() => server.close());
    const { port } = server.server.address() as AddressInfo;
    const socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true });
    t.after(() => socket.destroy());
    socket.write('GARBAGE\r\n\r\n');
    const [answer] = await once(socket, 'data');
    assert.match(String(answer), /^HTTP\/1\.1 400 /);
    const open = () => new Promise((resolve) => server.server.getConnections((_error, count) => resolve(count)));
    const until = performance.now() + 10_000;
    while ((await open()) !== 0 && performance.now() < until) await pause(20);
    assert.equal(await open(), 0);
  });
});

describe('an answer that is to be taken back when nobody gets it', () => {
  /** A call that answers once its caller has gone, or at once, and says when it was told to take that back. */
  async function serving(t: TestContext, waits: boolean) {
    let takenBack = 0;
    const asked = Promise.withResolvers<void>();
    const leasing = route({
      method: 'POST',
      path: '/lease',
      operationId: 'lease',
      tag: 'Events',
      needs: null,
      summary: 'Leases',
      answers: {},
      async handle({ gone }) {
        asked.resolve();
        const signal = gone();
        if (waits) await once(signal, 'abort');
        return { status: 200, body: {}, unsent: async () => void takenBack++ };
      },
    });
    const { server } = makeHttp([leasing], makeGuard([]), openGate, makeLog(assert.fail, Date.now));
    await server.listen({ host: '127.0.0.1', port: 0 });
    t.after(() => server.close());
    const { port } = server.server.address() as AddressInfo;
    const socket = connect({ host: '127.0.0.1', port });
    t.after(() => socket.destroy());
    socket.write('POST /lease HTTP/1.1\r\nHost: localhost\r\n\r\n');
    await asked.promise;
    return { socket, takenBack: () => takenBack };
  }

  it('is taken back when the connection broke before', async (t) => {
    const { socket, takenBack } = await serving(t, true);
    socket.resetAndDestroy();
    for (const until = performance.now() + 5000; takenBack() === 0 && performance.now() < until; ) await pause(5);
    assert.equal(takenBack(), 1);
  });

  it('is not when it was handed over, whatever becomes of the connection', async (t) => {
    const { socket, takenBack } = await serving(t, false);
    await once(socket, 'data');
    socket.resetAndDestroy();
    await pause(50);
    assert.equal(takenBack(), 0);
  });
});
