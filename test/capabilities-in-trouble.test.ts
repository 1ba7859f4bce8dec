import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import type { Handler } from '../src/agents/agent.ts';
import { Fault } from '../src/base/fault.ts';
import { returnedId } from '../src/events/capability.ts';
import { callStand } from './calls.fixtures.ts';
import { tea } from './tea.fixtures.ts';

describe('a call that meets trouble', { timeout: 60_000 }, () => {
  const on = callStand();

  it('whose result or failure is too large for an event is told so, and is done once', async (t) => {
    let times = 0;
    const run: Handler['run'] = async ({ target }) => {
      times++;
      if (target === 'prod') throw new Fault('conflict', 'no '.repeat(200_000));
      return { cups: 1, for: 'x'.repeat(300_000) };
    };
    await tea(t, on.client, { look: { run }, brew: { run } });
    for (const name of ['tea.look', 'tea.brew'])
      await assert.rejects(on.client.callCapability(name, { target: 'dev' }), {
        ...{
          code: 'too-large',
          message: `What came of ${name} is too large to be told: 293 KiB, and 240 KiB are the limit.`,
        },
      });
    await assert.rejects(on.client.callCapability('tea.brew', { target: 'prod' }), { code: 'conflict' });
    assert.equal(times, 3);
  });

  it('is not done again and again when its agent’s token may not tell what came of it, but fails until it is redriven', async (t) => {
    const { did, stop } = await tea(t, await on.as('TEA', 'agent', 'ack:self', 'read'));
    const { id } = await on.client.callCapability('tea.brew', { target: 'dev' }, { waitSeconds: 0 });
    const failed = await on.client.callState(id, { waitSeconds: 10 });
    assert.deepEqual([failed.status, failed.error?.code, did.length], ['failed', 'internal', 1]);
    assert.match(
      failed.error?.message ?? '',
      /^The call is a dead letter: TEA gave it up \(.*it has no scope publish\)\.$/,
    );
    const [, agent, letter] = /leveredge dead-letters redrive (\S+) (\S+)$/.exec(failed.error?.hint ?? '') ?? [];
    await stop();
    await on.client.redrive(agent as string, letter as string);
    assert.equal((await on.client.callState(id)).status, 'running');
    await tea(t, on.client);
    assert.equal((await on.client.callState(id, { waitSeconds: 10 })).status, 'done');
  });

  it('that a person approved and its agent gives up fails, too', async (t) => {
    const token = await on.as('TEA', 'agent', 'ack:self', 'read');
    await tea(t, token);
    const { id, approval } = await on.client.callCapability('tea.spill', { target: 'dev' });
    assert.ok(approval);
    const yes = { response: 'yes', payload_hash: approval.payload_hash };
    await (await on.approver('chloe')).respond(approval.id, yes);
    const { status, error } = await on.client.callState(id, { waitSeconds: 10 });
    assert.deepEqual([status, error?.code], ['failed', 'internal']);
  });

  it('is asked for under a key, and nobody can take its id or that of its question before', async (t) => {
    await tea(t, on.client);
    const key = { idempotencyKey: 'guessable' };
    const { id, approval } = await on.client.callCapability('tea.spill', { target: 'dev' }, key);
    const source = { source_agent: 'EVE', action: 'x' };
    const detail = 'begins as only ids of the bus do (event-bus-, call-); give another, or none';
    for (const taken of [id, approval?.id as string, 'call-', 'event-bus-x'])
      await assert.rejects(on.client.publish({ ...source, id: taken }), (fault: Fault) => {
        assert.deepEqual([fault.code, fault.mistakes], ['invalid', [{ pointer: '/id', detail }]]);
        return true;
      });
    const [first, second] = (await on.client.publishBatch([{ ...source, id }, source])).results;
    assert.deepEqual([first?.status, second?.status], ['refused', 'created']);
    const cloud = { specversion: '1.0', id, source: '/agents/EVE', type: 'x' };
    const answer = await fetch(`${on.bus.url}/events`, {
      ...{ method: 'POST', body: JSON.stringify(cloud), headers: { 'content-type': 'application/cloudevents+json' } },
    });
    assert.deepEqual(
      [answer.status, ((await answer.json()) as { errors: unknown }).errors],
      [422, [{ pointer: '/id', detail }]],
    );
    for (const free of ['Call-x', 'caller-1', 'event-buses', 'my-call-1'])
      assert.equal((await on.client.publish({ ...source, id: free })).id, free);
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
    await tea(t, on.client, { brew: { run } });
    const brew = () => on.client.callCapability('tea.brew', { target: 'dev' }, { waitSeconds: 0 });
    const begun = await Promise.all(Array.from({ length: 12 }, brew));
    assert.equal((await on.client.callCapability('tea.look', { target: 'dev' })).status, 'done');
    go.resolve();
    for (const { id } of begun) assert.equal((await on.client.callState(id, { waitSeconds: 10 })).status, 'done');
  });

  it('is refused while its agent has never run, and there is no queue that it could wait in', async () => {
    const before = (await on.client.events({ limit: 1 })).events[0]?.id;
    await assert.rejects(on.client.callCapability('ada.brew', { target: 'dev' }), {
      ...{ code: 'unavailable', message: /^ADA has never run on this bus/, hint: 'Start it: leveredge agent ada' },
    });
    assert.equal((await on.client.events({ limit: 1 })).events[0]?.id, before);
  });

  it('fails, and waits for no end, when another has taken the id under which its result is told', async (t) => {
    const go = Promise.withResolvers<void>();
    const run: Handler['run'] = async () => {
      await go.promise;
      return { cups: 1, for: 'all' };
    };
    const { did } = await tea(t, on.client, { brew: { run } });
    const begin = async (name: string) => {
      const { id } = await on.client.callCapability(
        name,
        { target: 'dev' },
        { waitSeconds: name === 'tea.spill' ? 10 : 0 },
      );
      return id;
    };
    const [running, asked] = [await begin('tea.brew'), await begin('tea.spill')];
    const forged = { source_agent: 'EVE', action: 'x' };
    await on.client.publish({ ...forged, id: returnedId('tea.brew', running) });
    await on.client.publish({ ...forged, id: returnedId('tea.spill', asked) });
    go.resolve();
    const { approval } = await on.client.callState(asked);
    assert.ok(approval);
    await (await on.approver('berta')).respond(approval.id, { response: 'yes', payload_hash: approval.payload_hash });
    for (const id of [running, asked]) {
      const { status, error } = await on.client.callState(id, { waitSeconds: 10 });
      assert.deepEqual([status, error?.code], ['failed', 'conflict']);
    }
    const deadOf = async () =>
      (await on.client.agents()).find(({ agent }) => agent === 'TEA.calls')?.deliveries.dead ?? 0;
    for (let n = 0; (await deadOf()) === 0; n++) {
      assert.ok(n < 500);
      await pause(10);
    }
    assert.deepEqual(did, []);
  });
});
