import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdirSync, readdirSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { callerOf } from '../bus-caller.fixtures.ts';
import { startBusProcess, temporaryHome } from '../bus-server.fixtures.ts';

const note = {
  backup: 'events-1.db',
  backup_taken_at: '2026-01-16T10:00:00.000Z',
  restored_at: '2026-01-16T12:00:00.000Z',
};

/** A home with some events, and the bookmark of one of them. */
async function aHome(t: TestContext) {
  const home = temporaryHome(t);
  const bus = await startBusProcess({ home }, t);
  const call = await callerOf(bus);
  for (let n = 0; n < 3; n++) await call.publish({ id: `e${n}` });
  const { bookmark, timestamp } = (await call.get('/events/e2')).body;
  await bus.stop();
  const file = join(dirname(bus.databaseFile), 'RESTORED.json');
  return { home, file, bookmark, timestamp, epoch: bookmark.split('.')[0] };
}

describe('a database that was put back from a backup', () => {
  it('begins a new life once: another epoch, an event that says what is lost, and 410 for what was before', async (t) => {
    const { home, file, bookmark, timestamp, epoch } = await aHome(t);
    writeFileSync(file, JSON.stringify({ ...note, by: 'somebody' }));
    const bus = await startBusProcess({ home, worker: true }, t);
    assert.match(bus.notices.join(), /was put back from the backup events-1\.db\. Bookmarks of before are refused/);
    const call = await callerOf(bus);
    const health = (await call.get('/health')).body;
    assert.notEqual(health.epoch, epoch);
    assert.equal(health.head, 4);
    assert.equal((await call.get(`/events?before=${bookmark}`)).status, 410);
    const [said] = (await call.get('/events?limit=1')).body.events;
    assert.deepEqual([said.source_agent, said.action], ['EVENT-BUS', 'bus_restored']);
    assert.ok(said.subscribed_agents.includes('HERMES'));
    const lives = { epoch: health.epoch, previous_epoch: epoch };
    assert.deepEqual(said.details, { ...note, ...lives, head: 3, last_event_at: timestamp, lost_seconds: 7200 });
    assert.equal((await call.get(`/events?before=${said.bookmark}`)).body.count, 3);
    await bus.stop();
    assert.deepEqual([existsSync(file), existsSync(`${file}.done`)], [false, true]);

    const again = await startBusProcess({ home }, t);
    assert.deepEqual(again.notices, []);
    assert.equal((await (await callerOf(again)).get('/health')).body.epoch, health.epoch);
  });

  it('does so once also when the bus was killed before the file was moved away, and again after another restore', async (t) => {
    const { home, file } = await aHome(t);
    writeFileSync(file, JSON.stringify(note));
    const first = await startBusProcess({ home }, t);
    const { epoch } = (await (await callerOf(first)).get('/health')).body;
    await first.stop();
    renameSync(`${file}.done`, file);
    const second = await startBusProcess({ home }, t);
    const health = (await (await callerOf(second)).get('/health')).body;
    assert.deepEqual([health.epoch, health.head], [epoch, 4]);
    await second.stop();
    assert.ok(!existsSync(file));
    writeFileSync(file, JSON.stringify(note));
    const third = await startBusProcess({ home }, t);
    assert.notEqual((await (await callerOf(third)).get('/health')).body.epoch, epoch);
  });

  it('does so whatever is in the file, and says what was wrong with it', async (t) => {
    const { home, file } = await aHome(t);
    const epochs = new Set<string>();
    const cases: [content: string | null, says: RegExp][] = [
      ['', /cannot be read/],
      ['{"backup":', /cannot be read/],
      ['[1]', /it is no JSON object/],
      ['{}', /put back from a backup\./],
      ['{"backup": 7, "restored_at": "x"}', /put back from a backup\./],
      ['x'.repeat(70_000), /larger than 64 KiB/],
      [null, /cannot be read: EISDIR/],
    ];
    for (const [content, says] of cases) {
      if (content === null) mkdirSync(file);
      else writeFileSync(file, content);
      const bus = await startBusProcess({ home }, t);
      assert.match(bus.notices.join(), says);
      const call = await callerOf(bus);
      epochs.add((await call.get('/health')).body.epoch);
      const [said] = (await call.get('/events?limit=1')).body.events;
      assert.deepEqual([said.action, said.details.backup, said.details.lost_seconds], ['bus_restored', null, null]);
      await bus.stop();
      assert.ok(!existsSync(file));
      if (content === 'x'.repeat(70_000)) renameSync(`${file}.done`, `${file}.away`);
    }
    assert.equal(epochs.size, cases.length);
  });

  it('says so when the file stays, and counts it once all the same', {
    skip: process.getuid?.() === 0 && 'root may rename everything',
  }, async (t) => {
    const { home, file } = await aHome(t);
    writeFileSync(file, '{}');
    chmodSync(dirname(file), 0o500);
    t.after(() => chmodSync(dirname(file), 0o700));
    const bus = await startBusProcess({ home }, t);
    assert.match(bus.notices.join(), /cannot be renamed/);
    assert.ok(readdirSync(dirname(file)).includes('RESTORED.json'));
  });
});
