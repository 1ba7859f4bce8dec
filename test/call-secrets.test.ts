import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import fc from 'fast-check';
import { Fault } from '../src/base/fault.ts';
import type { JsonObject } from '../src/base/json.ts';
import type { Client } from '../src/client/client.ts';
import { payloadHash } from '../src/events/capability.ts';
import { tokenFor } from './bus-token.fixtures.ts';
import { callStand } from './calls.fixtures.ts';
import { streamOf, vault, vaultScopes, whereItStands } from './vault.fixtures.ts';

const placeholder = /^secret:[\w-]{43}$/;

describe('a secret of a call', { timeout: 120_000 }, () => {
  const on = callStand();
  const bodies: string[] = [];
  let agent: Client;
  let ada: Client;
  let eve: Client;
  let stream: Awaited<ReturnType<typeof streamOf>>;
  before(async () => {
    agent = await on.as('VAULT', 'agent', ...vaultScopes);
    stream = await streamOf(on.bus.url);
    [ada, eve] = [await on.as('ADA', 'tool', 'read', 'call:vault.*'), await on.as('EVE', 'tool', 'admin')];
  });

  after(() => stream.end());

  /** Everything that anybody can read, but what is meant for the two whose secret it is. */
  async function everywhere(log: string) {
    const { events } = await on.client.events({ limit: 1000 });
    await stream.until(events[0]?.id ?? '');
    return {
      'the log of the bus': on.bus.log(),
      'the log of the agent': log,
      'the events': JSON.stringify(events),
      'the dead letters': JSON.stringify(await on.client.deadLetters()),
      'the metrics': await (await fetch(`${on.bus.url}/metrics`)).text(),
      'the stream': stream.text(),
      'what was answered': bodies.join('\n'),
    };
  }

  async function assertNowhere(value: string, log = ''): Promise<void> {
    assert.deepEqual(whereItStands(value, on.bus.home, await everywhere(log)), []);
  }

  async function refusalOf(call: Promise<unknown>): Promise<Fault> {
    const fault = await call.then(
      () => assert.fail('it is refused'),
      (error: unknown) => error as Fault,
    );
    bodies.push(JSON.stringify([fault.message, fault.hint, fault.mistakes, fault.extra]));
    return fault;
  }

  const kept = async (call: Promise<{ id: string }>) => {
    const state = await call;
    bodies.push(JSON.stringify(state));
    return state.id;
  };

  it('would be found where it stood', async () => {
    const { id } = await on.client.publish({
      source_agent: 'ME',
      action: 'told',
      details: { it: 'not-a-secret-at-all' },
    });
    const found = whereItStands('not-a-secret-at-all', on.bus.home, await everywhere('not-a-secret-at-all'));
    assert.ok(id);
    for (const where of [/events\.db(-wal)?$/, /^the log of the agent$/, /^the events$/, /^the stream$/])
      assert.ok(
        found.some((each) => where.test(each)),
        `${where} among ${found}`,
      );
  });

  it('comes to the agent and goes back to whoever called, and stands nowhere on the way', async (t) => {
    const { kept: inside, log } = await vault(t, agent);
    const value = 'tr0ub4dor & "3"\nsecond line';
    const put = await ada.callCapability('vault.put', { name: 'db', value, target: 'dev' });
    assert.deepEqual([put.status, put.result], ['done', { name: 'db', length: value.length }]);
    assert.equal(inside.get('db'), value);
    assert.match(put.arguments.value as string, placeholder);
    const shown = await ada.callCapability('vault.reveal', { name: 'db' });
    assert.match(shown.result?.value as string, placeholder);
    assert.notEqual(shown.result?.value, put.arguments.value);
    assert.deepEqual(await ada.callSecrets(shown.id), { arguments: {}, result: { value } });
    assert.deepEqual((await ada.callSecrets(shown.id)).result, { value }, 'a lost answer is no loss');
    bodies.push(JSON.stringify([put, shown]));
    await assertNowhere(value, log());
  });

  it('is for those two alone, with a token, and only while it is needed', async (t) => {
    const go = Promise.withResolvers<void>();
    const held: JsonObject[] = [];
    const run = async (args: JsonObject) => {
      held.push(args);
      await go.promise;
      return { name: 'x', length: 1 };
    };
    await vault(t, agent, new Map([['db', 'hunter2hunter2']]), { put: { run } });
    const { id } = await ada.callCapability('vault.put', { name: 'x', value: 'swordfish-1' }, { waitSeconds: 0 });
    assert.deepEqual((await agent.callSecrets(id)).arguments, { value: 'swordfish-1' });
    assert.deepEqual(await ada.callSecrets(id), { arguments: {}, result: {} });
    for (const [who, code] of [
      [on.client, 'unauthorized'],
      [eve, 'forbidden'],
      [await on.as('VAULT', 'tool', 'read', 'ack:self'), 'forbidden'],
      [await on.as('ADA', 'person', 'read'), 'forbidden'],
    ] as const) {
      assert.equal((await refusalOf(who.callSecrets(id))).code, code);
      assert.equal((await refusalOf(who.keepCallSecrets(id, { value: 'x' }))).code, code);
    }
    assert.equal((await refusalOf(on.client.callCapability('vault.reveal', { name: 'x' }))).code, 'unauthorized');
    go.resolve();
    await ada.callState(id, { waitSeconds: 10 });
    assert.equal((await refusalOf(agent.callSecrets(id))).code, 'conflict');
    assert.equal((await refusalOf(agent.keepCallSecrets(id, {}))).code, 'conflict');
    const shown = await ada.callCapability('vault.reveal', { name: 'db' });
    assert.equal((await refusalOf(eve.callSecrets(shown.id))).code, 'forbidden');
    for (const secret of ['swordfish-1', 'hunter2hunter2']) await assertNowhere(secret);
  });

  it('is named by no mistake and no failure, whoever makes it', async (t) => {
    const secret = 'Pa55word-of-nobody';
    const fail = async ({ value }: JsonObject) => {
      throw new Fault('conflict', `psql: wrong password ${value}`, {
        hint: `Not ${encodeURIComponent(`${value}`)} or ${JSON.stringify({ value })}`,
      });
    };
    const odd = async ({ value }: JsonObject) => ({ name: value as string, length: `${value}` });
    const { log, stop } = await vault(t, agent, new Map(), {
      put: { run: fail },
      replace: { run: fail, prepare: fail },
    });
    const fault = await refusalOf(ada.callCapability('vault.put', { name: 'x', value: secret }));
    assert.deepEqual([fault.code, fault.message], ['conflict', 'psql: wrong password [secret]']);
    await refusalOf(ada.callCapability('vault.replace', { name: 'x', value: secret }));
    const long = secret.repeat(200);
    for (const args of [
      { name: '', value: secret },
      { name: 'x', value: [secret] },
      { name: 'x', value: long },
      { value: secret, x: secret },
    ])
      assert.equal((await refusalOf(ada.callCapability('vault.put', args))).code, 'invalid');
    await assertNowhere(secret, log());
    await stop();
    const other = await vault(t, agent, new Map(), { put: { run: odd } });
    assert.equal((await refusalOf(ada.callCapability('vault.put', { name: 'x', value: secret }))).code, 'internal');
    await assertNowhere(secret, other.log());
  });

  it('is in no answer to a body that is no JSON, or that a number in it makes impossible to keep', async () => {
    const { secret } = await tokenFor(on.bus, {
      ...{ name: 'RAW', kind: 'tool', scopes: ['read', 'call:*', 'ack:self'] },
    });
    for (const path of ['/capabilities/vault.put', '/calls/x/secrets'])
      for (const body of [
        '{"name":"x","value": Sesame99open}',
        '{"name":"x","value":"Sesame99open',
        '{"name":"x","value":8273645546372819182736455}',
        '{"result":{"value":8273645546372819182736455}}',
        '{"name":"x","value":"Sesame99open\\ud800"}',
        '"Sesame99open"',
      ]) {
        const answer = await fetch(on.bus.url + path, {
          ...{ method: 'POST', body, headers: { authorization: `Bearer ${secret}` } },
        });
        const text = await answer.text();
        assert.ok([400, 422].includes(answer.status), text);
        assert.doesNotMatch(text, /Sesame99open|82736455|open/);
      }
  });

  it('is bound by the approval, shown to nobody who approves, and forgotten after a no', async (t) => {
    const { kept: inside, log } = await vault(t, agent, new Map([['db', 'the-old-one']]));
    const anna = await on.approver();
    const begin = async (value: string) => {
      const call = await ada.callCapability('vault.replace', { name: 'db', value });
      assert.equal(call.status, 'pending_approval');
      assert.ok(call.approval);
      bodies.push(JSON.stringify(call));
      return { ...call, approval: call.approval };
    };
    const [one, two] = [await begin('the-new-one'), await begin('the-other-one')];
    assert.equal(one.approval.question, `Replace db by ${one.arguments.value}?\nIt would be [secret].`);
    const { capability, arguments: args, asked_by } = one;
    assert.equal(one.approval.payload_hash, payloadHash({ capability, arguments: args, asked_by }));
    assert.notEqual(one.approval.payload_hash, two.approval.payload_hash);
    const foreign = agent.askForCall(one.id, {
      arguments: { ...args, value: two.arguments.value as string },
      says: [],
    });
    assert.equal((await foreign).arguments.value, args.value, 'what was asked stays');
    await anna.respond(two.approval.id, { response: 'no', payload_hash: two.approval.payload_hash });
    assert.equal((await ada.callState(two.id, { waitSeconds: 10 })).status, 'refused');
    assert.equal((await refusalOf(agent.callSecrets(two.id))).code, 'conflict');
    await anna.respond(one.approval.id, { response: 'yes', payload_hash: one.approval.payload_hash });
    assert.equal((await ada.callState(one.id, { waitSeconds: 10 })).status, 'done');
    assert.equal(inside.get('db'), 'the-new-one');
    assert.deepEqual((await ada.callSecrets(one.id)).result, { value: 'the-old-one' });
    for (const secret of ['the-new-one', 'the-other-one', 'the-old-one']) await assertNowhere(secret, log());
  });

  it('is asked about with the placeholder of the call, and no other', async (t) => {
    const seen: string[] = [];
    const prepare = async () => {
      throw new Fault('conflict', 'not by itself');
    };
    await vault(t, agent, new Map(), { replace: { prepare, run: async () => ({ name: 'x' }) } });
    const fault = await refusalOf(ada.callCapability('vault.replace', { name: 'db', value: 'open-sesame-7' }));
    const id = fault.extra.call as string;
    for (const value of ['open-sesame-7', `secret:${'x'.repeat(43)}`]) {
      const refused = await refusalOf(agent.askForCall(id, { arguments: { name: 'db', value }, says: [] }));
      seen.push(refused.code);
    }
    assert.deepEqual(seen, ['invalid', 'invalid']);
    await assertNowhere('open-sesame-7');
  });

  it('is the same call under the same key, also when it is over, and another with another secret', async (t) => {
    const { kept: inside } = await vault(t, agent);
    const put = (value: string) => ada.callCapability('vault.put', { name: 'k', value }, { idempotencyKey: 'key-1' });
    const first = await kept(put('first-secret'));
    inside.clear();
    assert.equal(await kept(put('first-secret')), first);
    assert.equal((await refusalOf(put('other-secret'))).code, 'conflict');
    assert.equal(inside.size, 0);
    for (const secret of ['first-secret', 'other-secret']) await assertNowhere(secret);
  });

  it('is forgotten in time', async (t) => {
    await vault(t, agent, new Map([['db', 'soon-forgotten']]));
    const { id } = await ada.callCapability('vault.reveal', { name: 'db' });
    await on.bus.advance(9 * 60_000);
    assert.deepEqual((await ada.callSecrets(id)).result, { value: 'soon-forgotten' });
    await on.bus.advance(2 * 60_000);
    assert.equal((await refusalOf(ada.callSecrets(id))).code, 'not-found');
  });

  it('stands nowhere, whatever it is', async (t) => {
    const { kept: inside, log } = await vault(t, agent);
    const odd = [
      '{"value":"x-y-z"}',
      'secret:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA',
      'call-0123456789',
      '[secret] []',
      '$& $1 \\n\\u0041',
    ];
    const any = fc.oneof(
      fc.string({ unit: 'binary', minLength: 12, maxLength: 60 }),
      fc.string({ unit: 'grapheme', minLength: 12, maxLength: 60 }),
      fc.json().map((text) => `${text}#${crypto.randomUUID()}`),
      fc.constantFrom(...odd).map((text) => `${text}${crypto.randomUUID().slice(0, 8)}`),
    );
    await fc.assert(
      fc.asyncProperty(any, async (value) => {
        fc.pre(value.isWellFormed() && value.length <= 2000 && new Set(value).size > 5);
        const put = await ada.callCapability('vault.put', { name: 'any', value, note: value });
        assert.equal(inside.get('any'), value);
        const shown = await ada.callCapability('vault.reveal', { name: 'any' });
        assert.equal((await ada.callSecrets(shown.id)).result.value, value);
        bodies.push(JSON.stringify([put, shown]));
        await assertNowhere(value, log());
      }),
      { numRuns: 25 },
    );
  });
});
