import assert from 'node:assert/strict';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { publicKeyIn } from '../src/bus/audit-key.ts';
import { isSigned } from '../src/bus/store/signed-checkpoint.ts';
import { verifyFile } from '../src/bus/store/sqlite/verify-file.ts';
import { callerOf, type Wire } from './bus-caller.fixtures.ts';
import { startBusProcess, temporaryHome } from './bus-server.fixtures.ts';

const verify = (file: string) =>
  verifyFile({ file, checkpoints: [], keys: [], trustsOwnKeys: true, progress: () => undefined });

describe('the audit chain over HTTP', () => {
  it('is signed when asked, and at a clean stop, and verifies while the bus runs and after', async (t) => {
    const home = temporaryHome(t);
    const bus = await startBusProcess({ home, worker: true }, t);
    const call = await callerOf(bus);
    assert.equal((await call.post('/audit/checkpoint')).status, 404, 'nothing is there to sign');
    for (let n = 0; n < 5; n++) await call.publish({});
    const { status, body } = await call.post('/audit/checkpoint');
    assert.equal(status, 200);
    assert.equal(body.seq, 5);
    assert.deepEqual((await call.post('/audit/checkpoint')).body, body, 'safe to repeat');
    const key = publicKeyIn(home)?.publicKey;
    assert.ok(key && isSigned({ ...body, at: Date.parse(body.at) }, key));
    assert.deepEqual((await call.get('/audit/checkpoints')).body, { checkpoints: [body], count: 1, next: null });
    assert.equal(verify(bus.databaseFile).found, 0);
    await call.publish({});
    await bus.stop();
    const { found, checkpoints } = verify(bus.databaseFile);
    assert.deepEqual([found, checkpoints], [0, { sound: 2, newest: 6, lost: 0 }]);
  });

  it('pages through the checkpoints', async (t) => {
    const bus = await startBusProcess({}, t);
    const call = await callerOf(bus);
    for (let n = 0; n < 3; n++) {
      await call.publish({});
      await call.post('/audit/checkpoint');
    }
    const first = (await call.get('/audit/checkpoints?limit=2')).body;
    assert.deepEqual([first.checkpoints.map((c: Wire) => c.seq), first.next], [[1, 2], 2]);
    const second = (await call.get('/audit/checkpoints?limit=2&after=2')).body;
    assert.deepEqual([second.checkpoints.map((c: Wire) => c.seq), second.next], [[3], null]);
    for (const query of ['after=x', 'after=-1', 'after=1.5', 'limit=0'])
      assert.equal((await call.get(`/audit/checkpoints?${query}`)).status, 422, query);
  });

  it('runs on, and signs nothing, where the key cannot be read', async (t) => {
    const home = temporaryHome(t);
    const first = await startBusProcess({ home }, t);
    await first.stop();
    const key = join(home, 'shared/credentials/event-bus-audit.key');
    assert.match(readFileSync(key, 'utf8'), /^-----BEGIN PRIVATE KEY-----/);
    rmSync(key);
    const second = await startBusProcess({ home }, t);
    const [changed] = (await (await callerOf(second)).get('/events')).body.events;
    assert.equal(changed.action, 'audit_key_changed');
    await second.stop();
    writeFileSync(key, 'garbage');
    const third = await startBusProcess({ home }, t);
    const call = await callerOf(third);
    await call.publish({});
    assert.equal((await call.post('/audit/checkpoint')).status, 503);
    assert.match(third.log(), /no checkpoints are signed/);
    const { found, checkpoints } = verify(third.databaseFile);
    assert.deepEqual([found, checkpoints.sound], [0, 1]);
  });
});

describe('retention over HTTP', () => {
  const yaml = "bus: { retention: [{ actions: 'noise_*', max_count: 2 }] }";

  it('tells what would go, purges when asked, and lists go on', async (t) => {
    const bus = await startBusProcess({ worker: true, yaml }, t);
    const call = await callerOf(bus);
    assert.equal((await call.get('/retention')).body.rules[0].due, 0);
    for (let n = 0; n < 6; n++) await call.publish({ action: n % 2 ? 'noise_a' : 'noise_b', id: `n${n}` });
    await call.publish({ action: 'kept' });
    const { bookmark } = (await call.get('/events/n1')).body;
    const [rule] = (await call.get('/retention')).body.rules;
    const expected = { actions: 'noise_*', max_age_days: null, max_count: 2, due: 4 };
    assert.deepEqual(rule, { ...expected, kept_open_questions: 0, kept_owed_at_priority_1: 0 });
    const { body } = await call.post('/retention:run');
    const byAction = { noise_a: 2, noise_b: 2 };
    assert.deepEqual(body, { status: 'done', purged: 4, by_action: byAction, dropped_deliveries: {} });
    assert.equal((await call.get('/events/n1')).status, 404);
    const list = (await call.get('/events')).body;
    assert.deepEqual(
      list.events.map((e: Wire) => e.action),
      ['events_purged', 'kept', 'noise_a', 'noise_b'],
    );
    assert.equal((await call.get(`/events?before=${bookmark}`)).status, 200, 'a bookmark of what went is good');
    assert.equal((await call.get('/health')).body.head, 8);
    assert.equal((await call.post('/retention:run')).body.purged, 0);
    assert.equal((await call.post('/retentionXrun')).status, 404);
    assert.equal(verify(bus.databaseFile).found, 0);
  });

  it('keeps everything without rules', async (t) => {
    const bus = await startBusProcess({}, t);
    const call = await callerOf(bus);
    await call.publish({});
    assert.deepEqual((await call.get('/retention')).body, { rules: [] });
    assert.equal((await call.post('/retention:run')).body.purged, 0);
  });

  it('begins at the start of the bus', async (t) => {
    const home = temporaryHome(t);
    const first = await startBusProcess({ home }, t);
    const call = await callerOf(first);
    for (let n = 0; n < 5; n++) await call.publish({ action: 'noise_a' });
    await first.stop();
    const second = await startBusProcess({ home, yaml }, t);
    const again = await callerOf(second);
    for (let n = 0; n < 100; n++) {
      if ((await again.get('/events')).body.count === 3) break;
      await new Promise((go) => setTimeout(go, 20));
    }
    const { events } = (await again.get('/events')).body;
    assert.deepEqual(
      events.map((e: Wire) => e.action),
      ['events_purged', 'noise_a', 'noise_a'],
    );
  });
});
