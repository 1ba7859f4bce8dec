import assert from 'node:assert/strict';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import type { Fault } from '../base/fault.ts';
import { makeClient } from './client.ts';
import type { FollowOptions } from './follow.ts';

type Serve = (response: ServerResponse, request: IncomingMessage) => void;

/** A bus that answers each connection in turn, the last way again and again. Nothing sleeps but notes for how long. */
async function following(t: TestContext, ...turns: Serve[]) {
  const requests: { url: string | undefined; lastEventId: string | string[] | undefined }[] = [];
  const server = createServer((request, response) => {
    requests.push({ url: request.url, lastEventId: request.headers['last-event-id'] });
    (turns.length > 1 ? (turns.shift() as Serve) : (turns[0] as Serve))(response, request);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close().closeAllConnections());
  const client = makeClient({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` });
  const slept: number[] = [];
  const troubles: Fault[] = [];
  const options: FollowOptions = {
    onTrouble: (fault) => void troubles.push(fault),
    async sleep(ms) {
      slept.push(ms);
    },
  };
  const take = async (count: number, more: FollowOptions = {}) => {
    const got: string[] = [];
    for await (const { action } of client.follow({ ...options, ...more })) if (got.push(action) === count) break;
    return got;
  };
  return { client, requests, slept, troubles, take };
}

const head = { 'content-type': 'text/event-stream; charset=utf-8' };
const frame = (n: number) => `id: e.${n}\ndata: {"action":"${n}"}\n\n`;
const says =
  (text: string, end = true): Serve =>
  (response) => {
    response.writeHead(200, head).write(text);
    if (end) response.end();
  };
const problem =
  (status: number, code: string, headers = {}): Serve =>
  (response) => {
    response.writeHead(status, headers).end(JSON.stringify({ type: `urn:leveredge:problem:${code}`, detail: code }));
  };

describe('following the bus', () => {
  it('asks for what it was told to', async (t) => {
    const { take, requests } = await following(t, says(frame(1)));
    await take(1, { source_agent: 'A&B', action: '*_x', agent: 'C', last: 5 });
    await take(1, { fromStart: true });
    await take(1, { after: 'e.7' });
    assert.deepEqual(
      requests.map(({ url }) => url),
      [
        '/events/stream?last=5&source_agent=A%26B&action=*_x&agent=C',
        '/events/stream?from=start',
        '/events/stream?after=e.7',
      ],
    );
  });

  it('goes on where it was after the connection ended, broke or was sent away, and after an id without a message', async (t) => {
    const { take, requests, troubles } = await following(
      t,
      says(`retry: 10\n\n${frame(1)}`),
      (response) => {
        response.writeHead(200, head).write(`${frame(2)}data: {"action":"cut off"`);
        setTimeout(() => response.destroy(), 20);
      },
      says(`${frame(3)}event: goaway\ndata: {"because":"Enough."}\n\n${frame(99)}`, false),
      says(': heartbeat\nid: e.9\n\n'),
      says(frame(10), false),
    );
    assert.deepEqual(await take(4), ['1', '2', '3', '10']);
    assert.deepEqual(
      requests.map(({ lastEventId }) => lastEventId),
      [undefined, 'e.1', 'e.2', 'e.3', 'e.9'],
    );
    assert.match(troubles[2]?.message ?? '', /Enough\./);
  });

  it('pauses as long as the bus asks, around that, and longer while the bus is away', async (t) => {
    const away = problem(503, 'unavailable', { 'retry-after': '0' });
    const turns = [says(`retry: 4000\n\n${frame(1)}`), ...Array(8).fill(away), says(frame(2), false)];
    const { take, slept } = await following(t, ...turns);
    assert.deepEqual(await take(2), ['1', '2']);
    assert.ok((slept[0] as number) >= 2000 && (slept[0] as number) <= 6000, `${slept[0]}`);
    assert.ok(Math.max(...slept) <= 15_000);
    assert.ok((slept.at(-1) as number) >= 5000);
    assert.ok(new Set(slept).size > 4, 'pauses are jittered');
  });

  it('waits as long as a full bus asks it to', async (t) => {
    const { take, slept } = await following(
      t,
      problem(429, 'queue-full', { 'retry-after': '2' }),
      says(frame(1), false),
    );
    await take(1);
    assert.ok((slept[0] as number) >= 2000);
  });

  it('gives up when its patience is over before the first connection, later never', async (t) => {
    const { client } = await following(t, says(''));
    const gone = makeClient({ url: 'http://127.0.0.1:1' });
    await assert.rejects(gone.follow({ patienceMs: 0 }).next(), { code: 'unreachable' });
    await assert.rejects(gone.follow({ sleep: async () => undefined }).next(), { code: 'unreachable' });
    const controller = new AbortController();
    let breaks = 0;
    const sleep = async () => {
      if (++breaks === 50) controller.abort(new Error('enough'));
    };
    await assert.rejects(client.follow({ patienceMs: 0, sleep, signal: controller.signal }).next(), /enough/);
  });

  for (const [status, code] of [
    [410, 'cursor-invalid'],
    [422, 'invalid'],
    [403, 'forbidden'],
    [500, 'internal'],
  ] as const)
    it(`throws ${code} and does not try again, not even after a break`, async (t) => {
      const { take, requests } = await following(t, says(frame(1)), problem(status, code));
      await assert.rejects(take(2), { code });
      assert.equal(requests.length, 2);
    });

  it('takes a bus that says nothing for gone', async (t) => {
    const { take, troubles } = await following(t, says(frame(1), false), says(frame(2), false));
    assert.deepEqual(await take(2, { idleMs: 50 }), ['1', '2']);
    assert.match(troubles[0]?.message ?? '', /said nothing for 0\.05 s/);
  });

  it('tells another program from a bus', async (t) => {
    const html: Serve = (response) => response.writeHead(200, { 'content-type': 'text/html' }).end('<html>');
    const { take } = await following(t, html);
    await assert.rejects(take(1, { patienceMs: 0 }), { code: 'unreachable', message: /no event bus: HTTP 200/ });
  });

  it('hangs up when the caller leaves the loop, and when it is aborted', async (t) => {
    const closed: Promise<void>[] = [];
    const open: Serve = (response, request) => {
      closed.push(new Promise((resolve) => request.socket.once('close', () => resolve())));
      says(frame(1), false)(response, request);
    };
    const { take, client } = await following(t, open);
    await take(1);
    await closed[0];
    const controller = new AbortController();
    const events = client.follow({ signal: controller.signal });
    await events.next();
    const next = events.next();
    controller.abort(new Error('Ctrl-C'));
    await assert.rejects(next, /Ctrl-C/);
    await closed[1];
  });
});
