import assert from 'node:assert/strict';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import { makeClient } from './client.ts';
import { publishPatiently } from './publish-patiently.ts';

const event = { source_agent: 'ME', action: 'deploy_started' };

/** A server whose nth answer is the nth of these, and the bodies it was sent. */
async function serving(t: TestContext, answers: ((request: IncomingMessage, response: ServerResponse) => void)[]) {
  const ids: unknown[] = [];
  const server = createServer(async (request, response) => {
    let text = '';
    for await (const chunk of request) text += chunk;
    ids.push(JSON.parse(text).id);
    answers.shift()?.(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close().closeAllConnections());
  return { ids, client: makeClient({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }) };
}

const json = (status: number, body: object) => (_: IncomingMessage, response: ServerResponse) => {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
};
const stored = json(201, { id: 'x', status: 'created', subscribed_agents: [] });
const hangUp = (request: IncomingMessage) => request.socket.destroy();
const busy = json(503, {
  title: 'Not available now',
  status: 503,
  type: 'urn:leveredge:problem:unavailable',
  detail: 'x',
});

/** Time passes only while it sleeps. */
function timeless() {
  let now = 0;
  const slept: number[] = [];
  const sleep = async (ms: number) => {
    slept.push(ms);
    now += ms;
  };
  return { clock: () => now, sleep, slept };
}

describe('publishing patiently', () => {
  it('sends the same id again when the answer was lost or the bus is stopping', async (t) => {
    const { client, ids } = await serving(t, [hangUp, busy, hangUp, stored]);
    const { slept, ...time } = timeless();
    assert.equal((await publishPatiently(client, event, time)).status, 'created');
    assert.equal(ids.length, 4);
    assert.equal(new Set(ids).size, 1);
    assert.ok(ids[0]);
    assert.equal(slept.length, 3);
  });

  it('does not send again what makes no sense', async (t) => {
    const { client, ids } = await serving(t, [
      json(422, { title: '', status: 422, type: 'urn:leveredge:problem:invalid', detail: 'no' }),
    ]);
    await assert.rejects(publishPatiently(client, event, timeless()), { code: 'invalid' });
    assert.equal(ids.length, 1);
  });

  it('gives up when its patience is over, and says why', async (t) => {
    const { client, ids } = await serving(
      t,
      Array.from({ length: 100 }, () => busy),
    );
    await assert.rejects(publishPatiently(client, event, { ...timeless(), patienceMs: 10_000 }), {
      code: 'unavailable',
    });
    assert.ok(ids.length > 2 && ids.length < 60, String(ids.length));
  });

  it('ends at once when it is aborted', async (t) => {
    const { client } = await serving(
      t,
      Array.from({ length: 100 }, () => busy),
    );
    const controller = new AbortController();
    const onTrouble = () => controller.abort(new Error('enough'));
    await assert.rejects(publishPatiently(client, event, { signal: controller.signal, onTrouble }), /enough/);
  });
});
