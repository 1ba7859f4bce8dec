import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { makeLog } from '../base/log.ts';
import { publicKeyIn } from './audit-key.ts';
import { maxEventsUnsigned, maxMsUnsigned, startCheckpointer } from './checkpointer.ts';
import { isSigned } from './store/signed-checkpoint.ts';
import { openSqliteStore } from './store/sqlite/open.ts';
import { aFact, stored, testClock } from './store/store.fixtures.ts';
import type { Store } from './store/store.ts';

async function aBus(t: TestContext) {
  const home = mkdtempSync(join(tmpdir(), 'leveredge-checkpoints-'));
  const clock = testClock();
  const file = join(home, 'events.db');
  const said: string[] = [];
  const log = makeLog((line) => said.push(line), clock.read);
  let store = await openSqliteStore({ file, clock: clock.read });
  t.after(async () => {
    await store.close();
    rmSync(home, { recursive: true, force: true });
  });
  const again = async () => {
    await store.close();
    store = await openSqliteStore({ file, clock: clock.read });
    return store;
  };
  return { home, clock, said, log, store, again, start: (on: Store) => startCheckpointer(on, home, clock.read, log) };
}

const some = (store: Store, n: number) => Promise.all(Array.from({ length: n }, () => stored(store, aFact())));
const seqs = async (store: Store) => (await store.checkpoints(0, 100)).map(({ seq }) => seq);

/** Lets what was begun come to its end. */
async function until(holds: () => Promise<boolean>): Promise<void> {
  for (let n = 0; n < 500 && !(await holds()); n++) await new Promise((go) => setImmediate(go));
  assert.ok(await holds());
}

describe('signing the chain', () => {
  it('is done once there is something to sign, and not twice for the same', async (t) => {
    const { home, store, start } = await aBus(t);
    const checkpointer = await start(store);
    assert.equal(await checkpointer.make(), null);
    await some(store, 3);
    const [made, again] = await Promise.all([checkpointer.make(), checkpointer.make()]);
    assert.deepEqual(again, made);
    assert.equal(made?.seq, 3);
    assert.equal(made?.epoch, store.epoch);
    assert.ok(isSigned(made as NonNullable<typeof made>, publicKeyIn(home)?.publicKey as never));
    assert.ok(!isSigned({ ...(made as NonNullable<typeof made>), seq: 4 }, publicKeyIn(home)?.publicKey as never));
    await checkpointer.stop();
    assert.deepEqual(await seqs(store), [3]);
  });

  it('is done after so many events, and at the end', async (t) => {
    const { store, start } = await aBus(t);
    const checkpointer = await start(store);
    await some(store, maxEventsUnsigned - 1);
    await new Promise((go) => setImmediate(go));
    assert.deepEqual(await seqs(store), []);
    await some(store, 1);
    await until(async () => (await seqs(store)).length === 1);
    await some(store, 1);
    await checkpointer.stop();
    assert.deepEqual(await seqs(store), [maxEventsUnsigned, maxEventsUnsigned + 1]);
  });

  it('is done after so much time, when there is something new', async (t) => {
    t.mock.timers.enable({ apis: ['setInterval'] });
    const { store, start, clock } = await aBus(t);
    const checkpointer = await start(store);
    clock.now += maxMsUnsigned;
    t.mock.timers.tick(60_000);
    await some(store, 1);
    assert.deepEqual(await seqs(store), []);
    t.mock.timers.tick(60_000);
    await until(async () => (await seqs(store)).length === 1);
    await some(store, 1);
    clock.now += maxMsUnsigned - 1;
    t.mock.timers.tick(60_000);
    await new Promise((go) => setImmediate(go));
    assert.deepEqual(await seqs(store), [1]);
    await checkpointer.stop();
  });

  it('goes on with a new key where the old one was lost, and an event says so', async (t) => {
    const { home, said, store, again, start } = await aBus(t);
    const first = await start(store);
    await some(store, 1);
    await first.stop();
    rmSync(join(home, 'shared/credentials/event-bus-audit.key'));
    const reopened = await again();
    const second = await start(reopened);
    assert.match(said.join(), /signed with a new key/);
    const [event] = (await reopened.events({}, { limit: 1 })).events;
    assert.equal(event?.action, 'audit_key_changed');
    await second.stop();
    const keys = (await reopened.checkpoints(0, 10)).map(({ key_id }) => key_id);
    assert.deepEqual(keys, [event?.details?.previous_key_id, event?.details?.key_id]);
  });

  it('is left out where the key cannot be used, and the log says so', async (t) => {
    const { home, said, store, start } = await aBus(t);
    const key = join(home, 'shared/credentials/event-bus-audit.key');
    mkdirSync(dirname(key), { recursive: true });
    writeFileSync(key, 'garbage');
    const checkpointer = await start(store);
    assert.match(said.join(), /error no checkpoints are signed/);
    await assert.rejects(checkpointer.make(), { code: 'unavailable' });
    await some(store, 1);
    await checkpointer.stop();
    assert.deepEqual(await seqs(store), []);
  });
});
