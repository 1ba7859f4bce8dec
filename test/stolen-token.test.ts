import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { agentScopes } from '../src/capabilities/agent-scopes.ts';
import { allCapabilities } from '../src/capabilities/all-capabilities.ts';
import { type AgentName, agentNames } from '../src/channels/cli/door.ts';
import { type Client, makeClient } from '../src/client/client.ts';
import { callQueueOf, ownerOf, returnedAction, returnedId } from '../src/events/capability.ts';
import { mayCall } from '../src/events/scope.ts';
import { type BusProcess, startBusProcess } from './bus-server.fixtures.ts';
import { tokenFor } from './bus-token.fixtures.ts';

type Scene = { thief: Client; name: string; owner: Client; other: string; question: string; approval: Approval };
type Approval = { id: string; payload_hash: string };
/** Tried with the token of an agent, exactly as its page has it made. */
type Attempt = [says: string, of: (scene: Scene) => Promise<unknown>];

const published = (source_agent: string, action: string, more: object = {}) => ({ source_agent, action, ...more });
const delivery = (agent: string) => ({ agent, id: '1-1', lease: 'x' });

/** What docs/security-model.md says that it cannot do. */
const barred: readonly Attempt[] = [
  ['speak for another', ({ thief, other }) => thief.publish(published(other, 'loop_cut'))],
  ['say that something failed', ({ thief, name }) => thief.publish(published(name, 'deploy_failed'))],
  ['announce a change', ({ thief, name }) => thief.publish(published(name, 'deploy_started'))],
  ['say that a restore is done', ({ thief, name }) => thief.publish(published(name, 'restore_completed'))],
  [
    'ask a person',
    ({ thief, name }) => thief.publish(published(name, 'loop_cut', { requires_human: true, human_question: 'Pay?' })),
  ],
  ['answer a question', ({ thief, question }) => thief.respond(question, { response: 'yes' })],
  ['approve', ({ thief, approval: { id, payload_hash } }) => thief.respond(id, { response: 'yes', payload_hash })],
  [
    'approve in a person’s name',
    ({ thief, approval: { id, payload_hash } }) => {
      return thief.respond(id, { response: 'yes', payload_hash, responder: 'anna' });
    },
  ],
  ['take a question back', ({ thief, question }) => thief.cancel(question, {})],
  ['take what another is owed', ({ thief, other }) => thief.claim(other)],
  ['take the calls of another', ({ thief, other }) => thief.claim(callQueueOf(other))],
  ['settle what another is owed', ({ thief, other }) => thief.ackDelivery(delivery(other))],
  ['give back what another holds', ({ thief, other }) => thief.nackDelivery(delivery(other), { dead: true })],
  ['acknowledge for another', ({ thief, other, question }) => thief.acknowledge(question, other)],
  ['say that another has ended', ({ thief, other }) => thief.heartbeat(other, { stopped: true })],
  [
    'choose what another hears',
    ({ thief, other }) =>
      thief.addSubscription({ agent_name: other, action_pattern: 'x', priority: 1, only_if_new: true }),
  ],
  [
    'change what anybody hears',
    async ({ thief, owner, name }) => {
      const [own] = await owner.subscriptions({ agent: name });
      return thief.changeSubscription(own?.id ?? 'none', { priority: 9 });
    },
  ],
  ['deliver a dead letter again', ({ thief, name }) => thief.redrive(name, '1-1')],
  ['purge', ({ thief }) => thief.runRetention()],
  ['sign a checkpoint', ({ thief }) => thief.makeCheckpoint()],
];

describe('a token of an agent that somebody has stolen', { timeout: 60_000 }, () => {
  let bus: BusProcess;
  let owner: Client;
  let person: Client;
  const thieves = new Map<AgentName, Client>();

  before(async () => {
    bus = await startBusProcess({ yaml: 'bus: { auth: required }' });
    const as = async (name: string, kind: 'agent' | 'person', scopes: readonly string[]) =>
      makeClient({ url: bus.url, token: (await tokenFor(bus, { name, kind, scopes: [...scopes] })).secret });
    owner = await as('owner', 'person', ['admin']);
    person = await as('anna', 'person', ['read', 'approve']);
    for (const name of agentNames) thieves.set(name, await as(name.toUpperCase(), 'agent', agentScopes[name]));
    // The queues of their calls, which they make when they start.
    for (const name of agentNames)
      await owner.addSubscription({ agent_name: callQueueOf(name.toUpperCase()), action_pattern: `${name}_*_called` });
  });
  after(() => bus.stop());

  const newest = async () => (await owner.events({ limit: 1 })).events[0]?.id;

  /** A call of a rollback, and the question whether it may be done. */
  async function asked(): Promise<{ call: string; approval: Approval }> {
    const { id } = await owner.callCapability('hades.rollback', { target: 'dev' }, { waitSeconds: 0 });
    const hades = thieves.get('hades') as Client;
    const { approval } = await hades.askForCall(id, { arguments: { target: 'dev', backup: 'dev-1' }, says: [] });
    return { call: id, approval: approval ?? assert.fail() };
  }

  for (const agent of agentNames) {
    const name = agent.toUpperCase();
    const scene = async (): Promise<Scene> => ({
      ...{ thief: thieves.get(agent) as Client, name, owner, approval: (await asked()).approval },
      other: name === 'HADES' ? 'CHRONOS' : 'HADES',
      question: (await owner.publish(published('ME', 'may_i', { requires_human: true }))).id,
    });

    for (const [says, attempt] of barred)
      it(`of ${name} cannot ${says}`, async () => {
        const at = await scene();
        const before = await newest();
        await assert.rejects(attempt(at), { code: 'forbidden' });
        assert.equal(await newest(), before);
        assert.equal((await owner.event(at.approval.id)).human_state, 'open');
      });

    it(`of ${name} cannot publish a call, whatever name it gives`, async () => {
      const { thief, other } = await scene();
      const before = await newest();
      for (const source of ['EVENT-BUS', other, name])
        await assert.rejects(thief.publish(published(source, 'aegis_reveal_called')), {
          code: /forbidden|invalid/ as never,
        });
      assert.equal(await newest(), before);
    });

    it(`of ${name} calls nothing that changes something, but what its scopes name, and for that a person is asked`, async () => {
      const { thief } = await scene();
      const scopes: readonly string[] = agentScopes[agent];
      const principal = { kind: 'agent' as const, name, scopes, tokenId: 'x' };
      for (const capability of allCapabilities.filter(({ risk }) => risk !== 'read')) {
        const before = await newest();
        const call = thief.callCapability(capability.name, capability.example, { waitSeconds: 0 });
        if (mayCall(principal, capability)) {
          assert.deepEqual([name, capability.risk], ['HADES', 'destructive']);
          assert.equal((await call).status, 'running', 'not before it was prepared, and a person has said yes');
        } else {
          await assert.rejects(call, { code: 'forbidden' }, capability.name);
          assert.equal(await newest(), before);
        }
      }
    });

    it(`of ${name} reads everything, takes its own work away from it, and lies about that`, async () => {
      const { thief, question } = await scene();
      assert.equal((await thief.event(question)).id, question);
      assert.equal((await thief.events()).count > 0, true);
      await thief.claim(name);
      await thief.claim(callQueueOf(name));
      await thief.heartbeat(name, { stopped: true });
      await thief.addSubscription({ agent_name: name, action_pattern: '*', priority: 1, only_if_new: true });
      const look = allCapabilities.find(({ name: each, risk }) => ownerOf(each) === name && risk === 'read');
      assert.ok(look);
      const { id } = await owner.callCapability(look.name, look.example, { waitSeconds: 0 });
      const error = { code: 'not-found', message: 'There is nothing.' };
      const details = { capability: look.name, took_ms: 1, ok: false, error };
      await thief.publish({ id: returnedId(look.name, id), ...published(name, returnedAction(look.name)), details });
      assert.equal((await owner.callState(id)).error?.message, 'There is nothing.');
    });
  }

  it('is not that of a person, who may approve even a call of their own, with its hash', async () => {
    const scopes = ['read', 'approve', 'call:hades.*'];
    const { secret } = await tokenFor(bus, { name: 'berta', kind: 'person', scopes });
    const berta = makeClient({ url: bus.url, token: secret });
    const { id } = await berta.callCapability('hades.rollback', { target: 'dev' }, { waitSeconds: 0 });
    const hades = thieves.get('hades') as Client;
    const { approval } = await hades.askForCall(id, { arguments: { target: 'dev', backup: 'dev-1' }, says: [] });
    const { id: question, payload_hash } = approval ?? assert.fail();
    await assert.rejects(berta.respond(question, { response: 'yes' }), { code: 'invalid' });
    const yes = { response: 'yes', payload_hash };
    await assert.rejects(berta.respond(question, { ...yes, responder: 'anna' }), { code: 'forbidden' });
    await berta.respond(question, yes);
    assert.equal((await berta.callState(id)).approval?.responded_by, 'berta');
  });

  it('of HADES prepares what is asked, but the first line of the question says what would be done', async () => {
    const { id } = await owner.callCapability('hades.rollback', { target: 'dev' }, { waitSeconds: 0 });
    const hades = thieves.get('hades') as Client;
    const says = ['It only tidies up. Say yes.'];
    const { approval } = await hades.askForCall(id, { arguments: { target: 'prod', backup: 'prod-1' }, says });
    assert.match(approval?.question ?? '', /^Roll prod back to prod-1\?\n/);
    const { id: question, payload_hash } = approval ?? assert.fail();
    await person.respond(question, { response: 'no', payload_hash });
    assert.equal((await owner.callState(id)).status, 'refused');
  });
});
