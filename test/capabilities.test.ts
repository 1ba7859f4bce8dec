import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import type { Handler } from '../src/agents/agent.ts';
import { Fault } from '../src/base/fault.ts';
import { allCapabilities } from '../src/capabilities/all-capabilities.ts';
import type { Client } from '../src/client/client.ts';
import { payloadHash, returnedId } from '../src/events/capability.ts';
import { callStand } from './calls.fixtures.ts';
import { adaCapabilities, tea, teaCapabilities } from './tea.fixtures.ts';
import { vaultCapabilities } from './vault.fixtures.ts';

const hourMs = 3_600_000;
const everything = [...allCapabilities, ...teaCapabilities, ...adaCapabilities, ...vaultCapabilities];

describe('a call of a capability', { timeout: 60_000 }, () => {
  const on = callStand();

  it('is done by its agent, and both the call and what came of it are events', async (t) => {
    const { did } = await tea(t, on.client);
    const ada = await on.as('ADA', 'tool', 'read', 'call:tea.*');
    const call = await ada.callCapability('tea.brew', { target: 'dev', cups: 2 }, { via: 'mcp' });
    assert.deepEqual([call.status, call.result], ['done', { cups: 2, for: 'ADA' }]);
    assert.equal(did.length, 1);
    const asked = await on.client.event(call.id);
    assert.deepEqual([asked.source_agent, asked.action, asked.target], ['EVENT-BUS', 'tea_brew_called', 'dev']);
    const asked_by = { kind: 'tool', name: 'ADA' };
    assert.deepEqual(asked.details, {
      ...{ capability: 'tea.brew', arguments: { target: 'dev', cups: 2 } },
      ...{ asked_by, via: 'mcp' },
    });
    const said = await on.client.event(returnedId('tea.brew', call.id));
    assert.deepEqual([said.source_agent, said.action, said.causation_id], ['TEA', 'tea_brew_returned', call.id]);
    assert.deepEqual(said.details?.result, { cups: 2, for: 'ADA' });
    assert.deepEqual(await on.client.callState(call.id), call);
  });

  it('belongs to the matter of the event that it follows from', async (t) => {
    await tea(t, on.client);
    await on.client.publish({ id: 'why', source_agent: 'ME', action: 'thirsty', correlation_id: 'matter' });
    const { id } = await on.client.callCapability('tea.look', { target: 'dev' }, { cause: 'why' });
    const { causation_id, correlation_id } = await on.client.event(id);
    assert.deepEqual([causation_id, correlation_id], ['why', 'matter']);
    const none = on.client.callCapability('tea.look', { target: 'dev' }, { cause: 'never-was' });
    await assert.rejects(none, { code: 'not-found' });
  });

  it('refuses what its schema does, and publishes nothing then', async () => {
    const newest = async () => (await on.client.events({ limit: 1 })).events[0]?.id;
    const before = await newest();
    for (const args of [{}, { target: '' }, { target: 'dev', cups: 0 }, { target: 'dev', cup: 1 }, { target: 7 }])
      await assert.rejects(on.client.callCapability('tea.brew', args), { code: 'invalid' });
    await assert.rejects(on.client.callCapability('tea.drink', {}), { code: 'not-found' });
    assert.equal(await newest(), before);
  });

  it('tells what its agent refuses as a refusal, and a mistake of the agent as one of ours', async (t) => {
    const run = async () => {
      throw new Fault('conflict', 'The pot is broken.', { hint: 'Buy one.' });
    };
    const broken = async () => ({ tea: true });
    await tea(t, on.client, { look: { run: broken }, brew: { run } });
    const refused = on.client.callCapability('tea.brew', { target: 'dev' });
    await assert.rejects(refused, (fault: Fault) => {
      assert.deepEqual([fault.code, fault.message, fault.hint], ['conflict', 'The pot is broken.', 'Buy one.']);
      assert.equal(typeof fault.extra.call, 'string');
      return true;
    });
    await assert.rejects(on.client.callCapability('tea.look', { target: 'dev' }), { code: 'internal' });
  });

  it('that takes long is answered as it is, and done all the same; a read does not wait for it', async (t) => {
    const go = Promise.withResolvers<void>();
    const run: Handler['run'] = async () => {
      await go.promise;
      return { cups: 1, for: 'all' };
    };
    await tea(t, on.client, { brew: { run } });
    const { id, status } = await on.client.callCapability('tea.brew', { target: 'dev' }, { waitSeconds: 0 });
    assert.equal(status, 'running');
    assert.equal((await on.client.callCapability('tea.look', { target: 'dev' })).status, 'done');
    go.resolve();
    assert.equal((await on.client.callState(id, { waitSeconds: 10 })).status, 'done');
  });

  it('is taken by an agent whose token is for itself alone', async (t) => {
    const { did } = await tea(t, await on.as('TEA', 'agent', 'publish:tea_*', 'ack:self', 'read'));
    const { id } = await on.client.callCapability('tea.spill', { target: 'dev' });
    assert.equal((await on.client.callCapability('tea.brew', { target: 'dev' })).status, 'done');
    assert.equal((await on.client.callState(id)).status, 'pending_approval');
    assert.equal(did.length, 1);
    const eve = await on.as('EVE', 'agent', 'publish:tea_*', 'ack:self', 'read');
    const wanted = { agent_name: 'TEA.calls', action_pattern: 'x', only_if_new: true };
    await assert.rejects(eve.addSubscription(wanted), { code: 'forbidden' });
    await assert.rejects(eve.claim('TEA.calls', { max: 1 }), { code: 'forbidden' });
  });

  it('waits for an agent that is not there', async (t) => {
    const { id } = await on.client.callCapability('tea.brew', { target: 'dev' }, { waitSeconds: 0 });
    const { did } = await tea(t, on.client);
    assert.equal((await on.client.callState(id, { waitSeconds: 10 })).status, 'done');
    assert.deepEqual(
      did.map(({ call }) => call),
      [id],
    );
  });

  it('with the same key is the same call, and with another meaning a conflict', async (t) => {
    const { did } = await tea(t, on.client);
    const key = { idempotencyKey: 'k1' };
    const calls = [1, 2].map(() => on.client.callCapability('tea.brew', { target: 'dev' }, key));
    const [one, two] = await Promise.all(calls);
    assert.equal(one?.id, two?.id);
    assert.equal(did.length, 1);
    await assert.rejects(on.client.callCapability('tea.brew', { target: 'prod' }, key), { code: 'conflict' });
    const other = await (await on.as('EVE', 'tool', 'read', 'call:*')).callCapability(
      'tea.brew',
      { target: 'prod' },
      key,
    );
    assert.equal(other.status, 'done');
  });

  it('is for those whose token says so', async () => {
    const reader = await on.as('READER', 'tool', 'read');
    const brewer = await on.as('BREWER', 'tool', 'read', 'call:tea.b*');
    const publisher = await on.as('PUB', 'agent', 'publish:*', 'ack:self', 'ask');
    const names = async (who: Client) => (await who.capabilities()).capabilities.map(({ name }) => name);
    const reads = everything.filter(({ risk }) => risk === 'read').map(({ name }) => name);
    assert.deepEqual(await names(reader), reads);
    const mayBrew = everything.filter(({ name, risk }) => risk === 'read' || name === 'tea.brew');
    assert.deepEqual(
      await names(brewer),
      mayBrew.map(({ name }) => name),
    );
    for (const { name, risk, example } of everything) {
      if (risk !== 'read') await assert.rejects(reader.callCapability(name, example), { code: 'forbidden' });
      await assert.rejects(publisher.callCapability(name, example), { code: 'forbidden' });
    }
    await assert.rejects(brewer.callCapability('tea.spill', { target: 'dev' }), { code: 'forbidden' });
  });

  it('cannot be forged: an event that looks like a call does nothing, nor one that looks like its result', async (t) => {
    const { did } = await tea(t, on.client);
    const call = {
      capability: 'tea.brew',
      arguments: { target: 'dev', cups: 1 },
      asked_by: { kind: 'person', name: 'anna' },
      via: 'x',
    };
    const forged = { action: 'tea_brew_called', details: call };
    await assert.rejects(on.client.publish({ ...forged, source_agent: 'EVENT-BUS' }), { code: 'invalid' });
    const { id } = await on.client.publish({ ...forged, source_agent: 'EVE' });
    await assert.rejects(on.client.callState(id), { code: 'not-found' });
    for (let n = 0; (await on.client.event(id)).status !== 'acknowledged'; n++) {
      assert.ok(n < 500);
      await pause(10);
    }
    assert.deepEqual(did, []);
    const result = { capability: 'tea.spill', ok: true, result: { cups: 9, for: 'eve' }, took_ms: 0 };
    const spill = await on.client.callCapability('tea.spill', { target: 'dev' });
    await on.client.publish({
      ...{ id: returnedId('tea.spill', spill.id), source_agent: 'EVE' },
      ...{ action: 'tea_spill_returned', details: result },
    });
    assert.equal((await on.client.callState(spill.id)).status, 'pending_approval');
  });

  describe('that is destructive', () => {
    const begin = async (who = on.client) => {
      const call = await who.callCapability('tea.spill', { target: 'dev', cups: 2 });
      assert.equal(call.status, 'pending_approval');
      assert.ok(call.approval);
      return { id: call.id, approval: call.approval, call };
    };

    it('is done once after a person said yes to what was prepared', async (t) => {
      const { did } = await tea(t, on.client);
      const asker = await on.as('ARIA', 'agent', 'read', 'call:tea.*');
      const { id, approval, call } = await begin(asker);
      assert.deepEqual(call.arguments, { target: 'dev', cups: 7 });
      assert.equal(approval.question, 'Spill 7 of dev?\nThere are 7.');
      assert.deepEqual(did, []);
      const { source_agent, payload_hash, human_fallback } = await on.client.event(approval.id);
      const asked_by = { kind: 'agent' as const, name: 'ARIA' };
      const hash = payloadHash({ capability: 'tea.spill', arguments: call.arguments, asked_by });
      assert.deepEqual([source_agent, payload_hash, human_fallback], ['EVENT-BUS', hash, 'no']);
      await (await on.approver()).respond(approval.id, { response: 'yes', payload_hash: hash });
      const through = await on.client.callState(id, { waitSeconds: 10 });
      assert.deepEqual([through.status, through.result], ['done', { cups: 7, for: 'ARIA' }]);
      assert.deepEqual([through.approval?.response, through.approval?.responded_by], ['yes', 'anna']);
      assert.deepEqual(did, [{ what: 'spill', args: { target: 'dev', cups: 7 }, call: id }]);
    });

    it('is not done after a no, nor when it is taken back or nobody answers', async (t) => {
      const { did } = await tea(t, on.client);
      const anna = await on.approver();
      const [first, second] = [await begin(), await begin()];
      await anna.respond(first.approval.id, { response: 'no', payload_hash: first.approval.payload_hash });
      assert.equal((await on.client.callState(first.id, { waitSeconds: 10 })).status, 'refused');
      await on.bus.advance(hourMs + 1000);
      assert.equal((await on.client.callState(second.id, { waitSeconds: 10 })).status, 'refused');
      const late = anna.respond(second.approval.id, { response: 'yes', payload_hash: second.approval.payload_hash });
      await assert.rejects(late, { code: 'already-resolved' });
      await pause(300);
      assert.deepEqual(did, []);
    });

    it('is approved by a person’s token alone, and only for just what was shown', async (t) => {
      const { did } = await tea(t, on.client);
      const { id, approval } = await begin();
      const yes = { response: 'yes', payload_hash: approval.payload_hash };
      const agents = [on.client, await on.as('TEA', 'agent', 'admin'), await on.as('bot', 'tool', 'read', 'approve')];
      for (const who of [...agents, await on.as('berta', 'person', 'read', 'answer')])
        await assert.rejects(who.respond(approval.id, yes), { code: /forbidden|unauthorized/ as unknown as string });
      const anna = await on.approver();
      const changed = payloadHash({
        ...{ capability: 'tea.spill', arguments: { target: 'prod', cups: 7 } },
        asked_by: { kind: 'anonymous', name: null },
      });
      await assert.rejects(anna.respond(approval.id, { ...yes, payload_hash: changed }), { code: 'conflict' });
      assert.equal((await on.client.callState(id)).status, 'pending_approval');
      assert.deepEqual(did, []);
      await anna.respond(approval.id, yes);
      assert.equal((await on.client.callState(id, { waitSeconds: 10 })).status, 'done');
      assert.equal(did.length, 1);
    });

    it('is done after a yes however many events led to it, or said not to be done before anybody is asked', async (t) => {
      const { did } = await tea(t, on.client);
      const chain = `chain-${process.pid}`;
      for (let n = 0; n <= 16; n++)
        await on.client.publish({
          ...{ id: `${chain}-${n}`, source_agent: 'ME', action: 'thirsty' },
          ...(n > 0 && { causation_id: `${chain}-${n - 1}` }),
        });
      const after = (n: number) => on.client.callCapability('tea.spill', { target: 'dev' }, { cause: `${chain}-${n}` });
      const { id, approval } = await after(15);
      assert.ok(approval);
      await (await on.approver('chana')).respond(approval.id, { response: 'yes', payload_hash: approval.payload_hash });
      assert.equal((await on.client.callState(id, { waitSeconds: 10 })).status, 'done');
      assert.equal(did.length, 1);
      await assert.rejects(after(16), { code: 'conflict', message: /^TEA does not do it/ });
    });

    it('is asked for once, however often it is prepared, and says when it cannot be prepared', async (t) => {
      let times = 0;
      const spill: Handler = {
        async prepare(args) {
          if (args.target === 'prod') throw new Fault('not-found', 'There is no tea.');
          times++;
          return { arguments: { ...args, cups: times }, says: [] };
        },
        run: async () => ({ cups: 1, for: 'x' }),
      };
      await tea(t, on.client, { spill });
      const { id, approval } = await begin();
      const again = await on.client.askForCall(id, { arguments: { target: 'dev', cups: 9 }, says: [] });
      assert.deepEqual(again.approval, approval);
      assert.deepEqual(again.arguments, { target: 'dev', cups: 1 });
      const other = await on.as('OTHER', 'agent', 'ack:self', 'read');
      await assert.rejects(other.askForCall(id, { arguments: {}, says: [] }), { code: 'forbidden' });
      await assert.rejects(on.client.callCapability('tea.spill', { target: 'prod' }), { code: 'not-found' });
    });

    it('is done once also when its agent is ended in the middle, or was away when the person answered', async (t) => {
      const runs: string[] = [];
      const began = Promise.withResolvers<void>();
      const prepare: Handler['prepare'] = async (args) => ({ arguments: { ...args, cups: 1 }, says: [] });
      const hangs: Handler['run'] = async (_, { id, signal }) => {
        runs.push(id);
        began.resolve();
        await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
        throw new Error('not reached');
      };
      const first = await tea(t, on.client, { spill: { prepare, run: hangs } });
      const { id, approval } = await begin();
      await (await on.approver()).respond(approval.id, { response: 'yes', payload_hash: approval.payload_hash });
      await began.promise;
      await first.stop();
      const second = await tea(t, on.client);
      const through = await on.client.callState(id, { waitSeconds: 20 });
      assert.equal(through.status, 'done');
      // The same call to its handler, which knows by its id what it has begun.
      assert.deepEqual([...runs, ...second.did.map(({ call }) => call)], [id, id]);
    });
  });
});
