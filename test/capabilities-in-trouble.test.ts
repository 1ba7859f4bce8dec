import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import type { Handler } from '../src/agents/agent.ts';
import { Fault } from '../src/base/fault.ts';
import { type Client, makeClient } from '../src/client/client.ts';
import { returnedId } from '../src/events/capability.ts';
import { type BusProcess, startBusProcess } from './bus-server.fixtures.ts';
import { tokenFor } from './bus-token.fixtures.ts';
import { tea } from './tea.fixtures.ts';

describe('a call that meets trouble', { timeout: 60_000 }, () => {
  let bus: BusProcess;
  let client: Client;
  const as = async (name: string, kind: 'agent' | 'person' | 'tool', ...scopes: string[]) =>
    makeClient({ url: bus.url, token: (await tokenFor(bus, { name, kind, scopes })).secret });
  const approver = (name = 'anna') => as(name, 'person', 'read', 'approve');

  before(async () => {
    bus = await startBusProcess();
    client = makeClient({ url: bus.url });
  });
  after(() => bus.stop());

  it('whose result or failure is too large for an event is told so, and is done once', async (t) => {
    let times = 0;
    const run: Handler['run'] = async ({ target }) => {
      times++;
      if (target === 'prod') throw new Fault('conflict', 'no '.repeat(200_000));
      return { cups: 1, for: 'x'.repeat(300_000) };
    };
    await tea(t, client, { look: { run }, brew: { run } });
    for (const name of ['tea.look', 'tea.brew'])
      await assert.rejects(client.callCapability(name, { target: 'dev' }), {
        ...{
          code: 'too-large',
          message: `What came of ${name} is too large to be told: 293 KiB, and 240 KiB are the limit.`,
        },
      });
    await assert.rejects(client.callCapability('tea.brew', { target: 'prod' }), { code: 'conflict' });
    assert.equal(times, 3);
  });

  it('is not done again and again when its agent’s token may not tell what came of it', async (t) => {
    const { did } = await tea(t, await as('TEA', 'agent', 'ack:self', 'read'));
    const dead = async () => (await client.agents()).find(({ agent }) => agent === 'TEA.calls')?.deliveries.dead ?? 0;
    const before = await dead();
    await client.callCapability('tea.brew', { target: 'dev' }, { waitSeconds: 0 });
    for (let n = 0; (await dead()) === before; n++) {
      assert.ok(n < 300, 'it is given up');
      await pause(10);
    }
    assert.equal(did.length, 1);
  });

  it('that reads does not wait for many that change something and wait for their turn', async (t) => {
    const go = Promise.withResolvers<void>();
    let atWork = 0;
    const run: Handler['run'] = async () => {
      assert.equal(++atWork, 1, 'one after the other');
      await go.promise;
      atWork--;
      return { cups: 1, for: 'all' };
    };
    await tea(t, client, { brew: { run } });
    const brew = () => client.callCapability('tea.brew', { target: 'dev' }, { waitSeconds: 0 });
    const begun = await Promise.all(Array.from({ length: 12 }, brew));
    assert.equal((await client.callCapability('tea.look', { target: 'dev' })).status, 'done');
    go.resolve();
    for (const { id } of begun) assert.equal((await client.callState(id, { waitSeconds: 10 })).status, 'done');
  });

  it('is refused while its agent has never run, and there is no queue that it could wait in', async () => {
    const before = (await client.events({ limit: 1 })).events[0]?.id;
    await assert.rejects(client.callCapability('ada.brew', { target: 'dev' }), {
      ...{ code: 'unavailable', message: /^ADA has never run on this bus/, hint: 'Start it: leveredge agent ada' },
    });
    assert.equal((await client.events({ limit: 1 })).events[0]?.id, before);
  });

  it('fails, and waits for no end, when another has taken the id under which its result is told', async (t) => {
    const go = Promise.withResolvers<void>();
    const run: Handler['run'] = async () => {
      await go.promise;
      return { cups: 1, for: 'all' };
    };
    const { did } = await tea(t, client, { brew: { run } });
    const begin = async (name: string) => {
      const { id } = await client.callCapability(
        name,
        { target: 'dev' },
        { waitSeconds: name === 'tea.spill' ? 10 : 0 },
      );
      return id;
    };
    const [running, asked] = [await begin('tea.brew'), await begin('tea.spill')];
    const forged = { source_agent: 'EVE', action: 'x' };
    await client.publish({ ...forged, id: returnedId('tea.brew', running) });
    await client.publish({ ...forged, id: returnedId('tea.spill', asked) });
    go.resolve();
    const { approval } = await client.callState(asked);
    assert.ok(approval);
    await (await approver('berta')).respond(approval.id, { response: 'yes', payload_hash: approval.payload_hash });
    for (const id of [running, asked]) {
      const { status, error } = await client.callState(id, { waitSeconds: 10 });
      assert.deepEqual([status, error?.code], ['failed', 'conflict']);
    }
    const deadOf = async () => (await client.agents()).find(({ agent }) => agent === 'TEA.calls')?.deliveries.dead ?? 0;
    for (let n = 0; (await deadOf()) === 0; n++) {
      assert.ok(n < 500);
      await pause(10);
    }
    assert.deepEqual(did, []);
  });
});
