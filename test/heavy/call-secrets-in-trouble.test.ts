import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, renameSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import type { Handler } from '../../src/agents/agent.ts';
import { verifyDatabase } from '../../src/bin/verify-database.ts';
import { copyOnline } from '../../src/bus/store/sqlite/online-copy.ts';
import { openReadOnlyStore } from '../../src/bus/store/sqlite/read-only.ts';
import { makeClient } from '../../src/client/client.ts';
import { type BusProcess, startBusProcess, temporaryHome } from '../bus-server.fixtures.ts';
import { tokenFor } from '../bus-token.fixtures.ts';
import { vault, vaultScopes, whereItStands } from '../vault.fixtures.ts';

const secret = 'correct-horse-battery';
const keyIn = (home: string) => join(home, 'shared/credentials/event-bus-secrets.key');

/** A bus on a home that outlives it, and the two whose secrets there are. */
async function stand(t: TestContext, options: object = {}) {
  const home = temporaryHome(t);
  const bus = await startBusProcess({ home, worker: true, ...options }, t);
  const secretOf = async (name: string, kind: 'agent' | 'tool' | 'person', ...scopes: string[]) =>
    (await tokenFor(bus, { name, kind, scopes })).secret;
  const tokens = {
    agent: await secretOf('VAULT', 'agent', ...vaultScopes),
    ada: await secretOf('ADA', 'tool', 'read', 'call:*'),
    anna: await secretOf('anna', 'person', 'read', 'approve'),
  };
  const as = (who: keyof typeof tokens) => makeClient({ url: bus.url, token: tokens[who] });
  const again = () => startBusProcess({ home, port: bus.port, worker: true }, t);
  return { home, bus, tokens, agent: as('agent'), ada: as('ada'), anna: as('anna'), again };
}

/** What is kept beside the events, as the file has it. */
async function keptIn({ databaseFile }: Pick<BusProcess, 'databaseFile'>): Promise<string[]> {
  const store = openReadOnlyStore(databaseFile);
  const kept = (await store?.keptSecrets(100))?.map(({ side }) => side) ?? [];
  await store?.close();
  return kept;
}

async function until(what: () => boolean | Promise<boolean>): Promise<void> {
  for (let n = 0; !(await what()); n++) {
    assert.ok(n < 1500, `never came to be: ${what}`);
    await pause(10);
  }
}

describe('a secret of a call that meets trouble', { concurrency: 2, timeout: 120_000 }, () => {
  it('survives that the bus and the agent are killed while it waits, and is gone when it is done', async (t) => {
    const { home, bus, agent, ada, again } = await stand(t);
    const never = Promise.withResolvers<void>();
    const began = Promise.withResolvers<void>();
    const hangs: Handler['run'] = async (_, { signal }) => {
      began.resolve();
      await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
      return never.promise.then(() => ({}));
    };
    const first = await vault(t, agent, new Map(), { put: { run: hangs } });
    const { id } = await ada.callCapability('vault.put', { name: 'x', value: secret }, { waitSeconds: 0 });
    await began.promise;
    await bus.kill();
    await first.stop();
    assert.deepEqual(whereItStands(secret, home, { log: bus.log() + first.log() }), []);
    const next = await again();
    assert.deepEqual(await keptIn(next), ['arguments']);
    const second = await vault(t, agent);
    assert.equal((await ada.callState(id, { waitSeconds: 30 })).status, 'done');
    assert.equal(second.kept.get('x'), secret);
    await until(async () => (await keptIn(next)).length === 0);
    assert.deepEqual(whereItStands(secret, home, { log: next.log() + second.log() }), []);
  });

  it('survives that its agent is killed while it has the value, and is given to the next', async (t) => {
    const { home, bus, agent, ada, tokens } = await stand(t);
    const child = spawn(process.execPath, [join(import.meta.dirname, '../vault.fixtures.ts')], {
      ...{ stdio: ['ignore', 'pipe', 'inherit'], env: { VAULT_URL: bus.url, VAULT_TOKEN: tokens.agent } },
    });
    t.after(() => child.kill('SIGKILL'));
    // Until then nothing could take the call.
    await until(async () => (await agent.subscriptions({ agent: 'VAULT.calls' })).length > 0);
    const began = once(child.stdout as Readable, 'data');
    const { id } = await ada.callCapability('vault.put', { name: 'x', value: secret }, { waitSeconds: 0 });
    assert.equal(String(await began), 'began\n');
    child.kill('SIGKILL');
    await once(child, 'close');
    const next = await vault(t, agent);
    assert.equal((await ada.callState(id, { waitSeconds: 30 })).status, 'done');
    assert.equal(next.kept.get('x'), secret);
    assert.deepEqual(whereItStands(secret, home, { log: bus.log() + next.log() }), []);
  });

  it('is kept while its call is a dead letter, and there when that is redriven', async (t) => {
    const { bus, agent, ada } = await stand(t);
    const { secret: mute } = await tokenFor(bus, { name: 'VAULT', kind: 'agent', scopes: ['ack:self', 'read'] });
    const first = await vault(t, makeClient({ url: bus.url, token: mute }));
    const { id } = await ada.callCapability('vault.put', { name: 'x', value: secret }, { waitSeconds: 0 });
    const { status, error } = await ada.callState(id, { waitSeconds: 10 });
    assert.deepEqual([status, error?.code], ['failed', 'internal']);
    assert.deepEqual(whereItStands(secret, bus.home, { error: JSON.stringify(error), log: first.log() }), []);
    await first.stop();
    await pause(500);
    assert.deepEqual(await keptIn(bus), ['arguments']);
    await makeClient({ url: bus.url }).redriveAll('VAULT.calls');
    const second = await vault(t, agent);
    assert.equal((await ada.callState(id, { waitSeconds: 30 })).status, 'done');
    assert.equal(second.kept.get('x'), secret);
  });

  it('is approved before a restart of both, and done once with the value after it', async (t) => {
    const { home, bus, agent, ada, anna, again } = await stand(t);
    const first = await vault(t, agent);
    const { id, approval } = await ada.callCapability('vault.replace', { name: 'x', value: secret });
    assert.ok(approval);
    await first.stop();
    await anna.respond(approval.id, { response: 'yes', payload_hash: approval.payload_hash });
    await bus.kill();
    const next = await again();
    const second = await vault(t, agent);
    assert.equal((await ada.callState(id, { waitSeconds: 30 })).status, 'done');
    assert.equal(second.kept.get('x'), secret);
    assert.deepEqual(whereItStands(secret, home, { log: next.log() + second.log() }), []);
  });

  it('is handed over again when its agent was killed before it could tell the result', async (t) => {
    const { bus, agent, ada } = await stand(t);
    const { id } = await (async () => {
      const gone = await vault(t, agent);
      await gone.stop();
      return ada.callCapability('vault.reveal', { name: 'x' }, { waitSeconds: 0 });
    })();
    const before = await agent.keepCallSecrets(id, { value: 'an earlier one' });
    assert.deepEqual(await keptIn(bus), ['result']);
    await vault(t, agent, new Map([['x', secret]]));
    const { result } = await ada.callState(id, { waitSeconds: 30 });
    assert.notEqual(result?.value, before.result.value);
    assert.deepEqual((await ada.callSecrets(id)).result, { value: secret });
  });

  it('is forgotten when nobody approves in time', async (t) => {
    const { bus, agent, ada } = await stand(t, { worker: false });
    await vault(t, agent);
    const { id } = await ada.callCapability('vault.replace', { name: 'x', value: secret });
    assert.deepEqual(await keptIn(bus), ['arguments']);
    await bus.advance(61 * 60_000);
    assert.equal((await ada.callState(id, { waitSeconds: 10 })).status, 'refused');
    await until(async () => (await keptIn(bus)).length === 0);
  });

  it('is forgotten after a day when its agent never comes, and the call then says so', async (t) => {
    const { bus, agent, ada } = await stand(t, { worker: false });
    await (await vault(t, agent)).stop();
    const { id } = await ada.callCapability('vault.put', { name: 'x', value: secret }, { waitSeconds: 0 });
    await bus.advance(25 * 3_600_000);
    await vault(t, agent);
    const { status, error } = await ada.callState(id, { waitSeconds: 20 });
    assert.deepEqual([status, error?.code], ['failed', 'not-found']);
    assert.match(error?.message ?? '', /^The secret value of the call \S+ is not kept any more/);
    await until(async () => (await keptIn(bus)).length === 0);
  });

  it('is in no copy of the database, which is sound, and cannot be opened with another key', async (t) => {
    const { home, bus, agent, ada } = await stand(t);
    await (await vault(t, agent)).stop();
    const { id } = await ada.callCapability('vault.put', { name: 'x', value: secret }, { waitSeconds: 0 });
    const copy = join(home, 'copy.db');
    await copyOnline(bus.databaseFile, copy);
    assert.deepEqual(await keptIn({ databaseFile: copy }), ['arguments']);
    const asked = { file: copy, checkpoints: undefined, keys: [], home, progress: () => undefined };
    assert.deepEqual((await verifyDatabase(asked)).findings, []);
    assert.equal(readFileSync(copy).includes(secret), false);
    assert.equal(statSync(keyIn(home)).mode & 0o777, 0o600);
    assert.equal(await bus.stop(), 0);
    renameSync(keyIn(home), `${keyIn(home)}.lost`);
    await startBusProcess({ home, port: bus.port, worker: true }, t);
    await vault(t, agent);
    const { status, error } = await ada.callState(id, { waitSeconds: 20 });
    assert.deepEqual([status, error?.code], ['failed', 'not-found']);
    assert.ok(existsSync(keyIn(home)), 'another was made');
  });
});
