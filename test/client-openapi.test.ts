import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Client, makeClient } from '../src/client/client.ts';
import type { Held } from '../src/client/deliveries.ts';
import { conformance, schemaIn, type Wire } from './bus-caller.fixtures.ts';
import { type BusProcess, startBusProcess } from './bus-server.fixtures.ts';
import { tokenFor } from './bus-token.fixtures.ts';
import { vaultScopes } from './vault.fixtures.ts';

const literal = (path: string) => path.replace(/\{\w+\}/g, '').length;

/** Holds each call and each answer against the document that the bus serves. */
async function watched(url: string) {
  const document = (await (await fetch(`${url}/openapi.json`)).json()) as Wire;
  const conforms = conformance(document);
  const called = new Set<string>();
  const fetcher: typeof fetch = async (input, init = {}) => {
    const { pathname, searchParams, search } = new URL(String(input));
    const method = String(init.method);
    const path = Object.keys(document.paths)
      .filter((each) => new RegExp(`^${each.replace(/\{\w+\}/g, '[^/]+?')}$`).test(pathname))
      .sort((a, b) => literal(b) - literal(a))[0];
    const operation = document.paths[path ?? '']?.[method.toLowerCase()];
    assert.ok(operation, `${method} ${pathname} is not in the document`);
    // Each capability is an operation of its own, and one method calls them all.
    called.add(path?.startsWith('/capabilities/') ? 'callCapability' : operation.operationId);
    const parameters = (where: string) =>
      operation.parameters.filter((one: Wire) => one.in === where).map((one: Wire) => one.name.toLowerCase());
    for (const name of searchParams.keys()) assert.ok(parameters('query').includes(name), `${path} ?${name}`);
    for (const name of new Headers(init.headers).keys())
      if (!['content-type', 'authorization'].includes(name))
        assert.ok(parameters('header').includes(name), `${path} ${name}`);
    assert.equal(
      typeof init.body === 'string',
      operation.requestBody !== undefined,
      `${path}: a body where one is taken`,
    );
    if (typeof init.body === 'string') {
      const result = schemaIn(document, operation.requestBody.content['application/json'].schema).safeParse(
        JSON.parse(init.body),
      );
      assert.ok(result.success, `${method} ${path}: ${result.error?.message} in ${init.body}`);
    }
    const response = await fetch(input, init);
    const { status, headers } = response;
    conforms(method, pathname + search, { status, headers, body: await response.clone().json() });
    return response;
  };
  const as = (token?: string) => makeClient({ url, token, fetcher });
  return { client: as(), as, called };
}

async function tryDeliveries(client: Client): Promise<void> {
  await client.addSubscription({ agent_name: 'WORKER', action_pattern: 'work_*' });
  for (let n = 0; n < 3; n++) await client.publish({ source_agent: 'A', action: 'work_given' });
  const { deliveries } = await client.claim('WORKER', { max: 3, lease_seconds: 60 });
  const [first, second, third] = deliveries.map(({ id, lease }) => ({ agent: 'WORKER', id, lease })) as [
    Held,
    Held,
    Held,
  ];
  await client.extendDelivery(first, 120);
  await client.ackDelivery(first);
  await assert.rejects(client.ackDelivery({ ...first, lease: '1' }), { code: 'lease-lost' });
  await client.nackDelivery(second, { dead: true, reason: 'broken' });
  await client.nackDelivery(third, { dead: true });
  assert.equal((await client.deadLetters({ agent: 'WORKER', limit: 1 })).count, 1);
  await client.redrive('WORKER', second.id);
  assert.equal(await client.redriveAll('WORKER'), 1);
  const [again] = (await client.claim('WORKER')).deliveries;
  await client.nackDelivery({ agent: 'WORKER', ...(again as { id: string; lease: string }) }, { dead: true });
  await client.discardDeadLetter('WORKER', again?.id as string);
}

async function trySecrets(bus: BusProcess, as: (token: string) => Client): Promise<void> {
  const tokenOf = async (wanted: Parameters<typeof tokenFor>[1]) => as((await tokenFor(bus, wanted)).secret);
  const agent = await tokenOf({ name: 'VAULT', kind: 'agent', scopes: vaultScopes });
  const ada = await tokenOf({ name: 'ADA', kind: 'tool', scopes: ['read', 'call:*'] });
  await agent.addSubscription({ agent_name: 'VAULT.calls', action_pattern: 'vault_*', only_if_new: true });
  const { id } = await ada.callCapability('vault.put', { name: 'x', value: 'open sesame' }, { waitSeconds: 0 });
  assert.deepEqual((await agent.callSecrets(id)).arguments, { value: 'open sesame' });
  const shown = await ada.callCapability('vault.reveal', { name: 'x' }, { waitSeconds: 0 });
  assert.match((await agent.keepCallSecrets(shown.id, { value: 'open sesame' })).result.value ?? '', /^secret:/);
}

describe('the client', () => {
  it('calls only what the OpenAPI document describes, as it describes it, and gets such answers', async (t) => {
    const bus = await startBusProcess({}, t);
    const { client, as, called } = await watched(bus.url);
    const asked = { source_agent: 'A', action: 'may_i', requires_human: true, human_options: ['yes', 'no'] };
    const { id } = await client.publish({ ...asked, human_timeout_minutes: 5 }, { idempotencyKey: 'one' });
    const more = await client.publishBatch([asked, { ...asked, id: 'b' }, { ...asked, id: 'b', target: 'x' }], {
      idempotencyKey: 'many',
    });
    assert.deepEqual([more.created, more.refused], [2, 1]);
    await client.shown(id, 'cli');
    await client.respond(id, { response: 'yes', responder: 'ann', via: 'cli' });
    await client.cancel('b', { cancelled_by: 'A', reason: 'changed my mind' });
    assert.equal((await client.event(id, { waitSeconds: 1 })).human_response, 'yes');
    await client.acknowledge(id, 'HERMES');
    await client.events({ limit: 2, source_agent: 'A', action: 'may_i', status: 'completed' });
    await client.pending({ limit: 1 });
    await client.inbox('HERMES', { limit: 2, unacknowledged_only: true });
    const added = await client.addSubscription({ agent_name: 'SCRIBE', action_pattern: 'a_*', only_if_new: true });
    await client.changeSubscription(added.id, { priority: 3, enabled: false, except: ['a_b'], mode: 'tail' });
    await client.subscriptions({ agent: 'SCRIBE', deleted: true });
    await client.removeSubscription(added.id);
    await client.explain('a_b', true);
    await client.addSubscription({ agent_name: 'TEA.calls', action_pattern: 'tea_*', only_if_new: true });
    assert.ok((await client.capabilities()).capabilities.some(({ name }) => name === 'tea.spill'));
    const spill = await client.callCapability('tea.spill', { target: 'dev' }, { waitSeconds: 0, via: 'test' });
    assert.equal((await client.callState(spill.id, { waitSeconds: 0 })).status, 'running');
    const pendingCall = await client.askForCall(spill.id, {
      arguments: { target: 'dev', cups: 2 },
      says: ['There are 2.'],
    });
    assert.equal(pendingCall.status, 'pending_approval');
    await client.health();
    await tryDeliveries(client);
    await trySecrets(bus, as);
    const beat = { every_seconds: 10, version: '1', health: 'http://127.0.0.1:1/health', working_on: null, handled: 1 };
    assert.equal((await client.heartbeat('WORKER', beat)).lost_after_seconds, 30);
    assert.equal((await client.heartbeat('WORKER', { stopped: true })).state, 'stopped');
    assert.ok((await client.agents()).some(({ agent, state }) => agent === 'WORKER' && state === 'stopped'));
    await client.makeCheckpoint();
    await client.planRetention();
    await client.runRetention();
    await assert.rejects(client.event('nothing'), { code: 'not-found' });
    await assert.rejects(client.respond(id, { response: 'no', responder: 'bob', via: 'cli' }), {
      code: 'already-resolved',
    });
    await assert.rejects(client.publish({ ...asked, id: 'b', target: 'x' }), { code: 'conflict' });
    const tried = Object.keys(client).filter((name) => !['url', 'follow', 'takeDeliveries'].includes(name));
    assert.equal(called.size, tried.length, 'every method is tried here but those that read a stream');
  });
});
