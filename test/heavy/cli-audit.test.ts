import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, it, type TestContext } from 'node:test';
import { makeClient } from '../../src/client/client.ts';
import { leveredge, startBus, temporaryFolder } from '../cli-run.fixtures.ts';

const databaseOf = (home: string) => join(home, 'control-plane/event-bus/events.db');

async function running(t: TestContext, yaml?: string) {
  const home = temporaryFolder(t);
  if (yaml !== undefined) {
    mkdirSync(join(home, 'config'));
    writeFileSync(join(home, 'config/leveredge.yaml'), yaml);
  }
  const bus = await startBus(home);
  t.after(() => bus.stop());
  const client = makeClient({ url: bus.url });
  const publish = (action: string) => client.publish({ source_agent: 'ME', action });
  const run = (...args: string[]) => leveredge([...args, '--home', home]);
  return { home, bus, publish, run };
}

describe('leveredge audit', { concurrency: 2 }, () => {
  it('signs, shows the key, and verifies a running bus and a copy of its database', async (t) => {
    const { home, bus, publish, run } = await running(t);
    for (let n = 0; n < 4; n++) await publish('happened');
    const signed = await run('audit', 'checkpoint');
    assert.equal(signed.exit, 0, signed.stderr);
    assert.equal(JSON.parse(signed.stdout).seq, 4);
    assert.equal(signed.stdout.trim().split('\n').length, 1);
    assert.match(signed.stderr, /Signed up to event 4\./);
    const key = await run('audit', 'key');
    assert.match(key.stdout, /^-----BEGIN PUBLIC KEY-----\n[\w+/=]+\n-----END PUBLIC KEY-----\n$/);
    const [kept, pub] = [join(home, 'kept'), join(home, 'pub')];
    writeFileSync(kept, signed.stdout);
    writeFileSync(pub, key.stdout);

    const live = await run('audit', 'verify');
    assert.equal(live.exit, 0, live.stderr);
    assert.match(live.stdout, /events\.db is sound: 4 events up to number 4\.\n/);
    assert.match(live.stderr, /1 signed checkpoints agree, the newest at event 4\.\nThe key was found beside or in/);

    await bus.stop();
    const copy = join(home, 'copy.db');
    copyFileSync(databaseOf(home), copy);
    const args = ['audit', 'verify', '--db', copy, '--checkpoints', kept, '--key', pub];
    assert.deepEqual((await run(...args)).exit, 0);
    const db = new DatabaseSync(copy);
    db.exec(`UPDATE event_log SET target = 'x' WHERE seq = 2; DELETE FROM event_log WHERE seq = 4`);
    db.close();
    const found = await run(...args);
    assert.equal(found.exit, 7);
    assert.match(found.stdout, /copy\.db is not as it was written: \d findings, the first at event 2\.\naltered\t2\t/);
    const json = JSON.parse((await run(...args, '--json')).stdout);
    assert.deepEqual([json.sound, json.findings[0].kind, json.findings[0].seq], [false, 'altered', 2]);
    assert.equal(json.findings[1].kind, 'deleted');
  });

  it('says what is missing or is none', async (t) => {
    const home = temporaryFolder(t);
    const run = (...args: string[]) => leveredge([...args, '--home', home]);
    const none = await run('audit', 'verify');
    assert.equal(none.exit, 5);
    assert.match(none.stderr, /There is no database at .*events\.db/);
    assert.equal((await run('audit', 'key')).exit, 5);
    assert.equal((await run('audit', 'checkpoint')).exit, 4);
    const file = join(home, 'file');
    writeFileSync(file, 'not what it should be, and long enough for a header');
    assert.equal((await run('audit', 'verify', '--db', file)).exit, 7);
    assert.equal((await run('audit', 'verify', '--db', file, '--key', file)).exit, 2);
    const checkpoints = await run('audit', 'verify', '--db', file, '--checkpoints', file);
    assert.equal(checkpoints.exit, 2);
    assert.match(checkpoints.stderr, /number 1 is no checkpoint/);
    assert.equal((await run('audit', 'verify', '--db', file, '--key', join(home, 'no'))).exit, 5);
  });
});

describe('leveredge retention', () => {
  it('tells what would go, then purges it', async (t) => {
    const yaml = 'bus:\n  retention:\n    - { actions: noise, max_count: 1 }\n';
    const { publish, run } = await running(t, yaml);
    for (let n = 0; n < 4; n++) await publish('noise');
    const dry = await run('retention', '--dry-run');
    assert.equal(dry.exit, 0, dry.stderr);
    assert.equal(dry.stdout, 'noise\t-\t1\t3\t0\t0\n');
    assert.match(dry.stderr, /3 events would go; .*Nothing was purged\./);
    assert.equal((await run('retention')).stdout, 'Purged 3 events.\n');
    assert.equal(JSON.parse((await run('retention', '--json')).stdout).purged, 0);
    const verified = await run('audit', 'verify');
    assert.match(verified.stdout, /is sound: 2 events up to number 5, 3 more were purged\./);
  });

  it('keeps everything where the settings have no rules', async (t) => {
    const { run } = await running(t);
    const { exit, stdout } = await run('retention');
    assert.deepEqual([exit, stdout], [0, 'Everything is kept for ever: the settings have no rules.\n']);
  });
});
