import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { copyOf, differences, gaiaLauncher } from '../recovery/gaia.fixtures.ts';
import { noEngine } from './docker.fixtures.ts';
import { noServer } from './postgres.fixtures.ts';
import { makeStack, type Stack } from './stack-stand.fixtures.ts';

const missing = noEngine() ?? noServer();
if (missing !== undefined) console.log(`NOT RUN: drills need Docker and PostgreSQL: ${missing}`);

describe('a drill', { skip: missing !== undefined, timeout: 1_800_000 }, () => {
  let stack: Stack;
  before(async () => {
    stack = await makeStack({ networked: true });
  });
  after(() => stack?.end());

  const lines = (text: string) => text.split('\n').filter((line) => line !== '');
  /** Everything that is there of the engine, and beside the target. */
  const all = () => ({
    containers: lines(stack.docker('ps', '-aq', '--no-trunc')).sort(),
    networks: lines(stack.docker('network', 'ls', '-q')).sort(),
    volumes: lines(stack.docker('volume', 'ls', '-q')).sort(),
    folders: readdirSync(dirname(stack.root)).sort(),
  });

  it('proves a backup, touches nothing that is live, and leaves nothing', async (t) => {
    stack.sql('UPDATE account SET balance = 7');
    stack.version('2');
    const before = all();
    const copy = await copyOf(join(stack.root, 'site'), join(stack.home, 'site-before'));
    t.after(() => undefined);
    const proven = await stack.json(0, 'drill', 'dev');
    assert.equal(proven.result, 'proven');
    assert.deepEqual(
      (proven.phases as { name: string }[]).map(({ name }) => name),
      ['unpack', 'databases', 'start', 'health'],
    );
    assert.ok((proven.rto_seconds as number) > 0 && (proven.rpo_seconds as number) >= 0);
    assert.deepEqual(all(), before);
    assert.equal(await differences(copy, join(stack.root, 'site')), '');
    assert.equal(stack.sql('SELECT sum(balance) FROM account'), '7000');
    assert.equal(await stack.says(), 'well 2');
    assert.match((await stack.gaia('list')).stdout, /proven on \d{4}-\d\d-\d\d/);
  });

  it('says why a backup does not come back, with the last lines of its services', async () => {
    stack.sql("UPDATE status SET said = 'broken'");
    const { name } = (await stack.json(0, 'backup', 'dev')) as { name: string };
    stack.sql("UPDATE status SET said = 'well'");
    const before = all();
    const failed = await stack.gaia('drill', 'dev', '--backup', name);
    assert.equal(failed.exit, 1, failed.stderr);
    assert.match(failed.stderr, /web .* answers 503/);
    assert.match(failed.stderr, /the application says: broken/);
    assert.deepEqual(all(), before);
    const { backups } = (await stack.json(0, 'list')) as { backups: { name: string; drilled_at: string | null }[] };
    assert.equal(backups.find((each) => each.name === name)?.drilled_at, null);
    stack.removeBackup(name);
  });

  it('that is killed is cleaned up after by the next command', async () => {
    const before = all();
    const child = spawn(process.execPath, [gaiaLauncher, 'drill', 'dev', '--config', stack.config], {
      env: { PATH: process.env.PATH, LEVEREDGE_HOME: stack.home },
      stdio: 'ignore',
    });
    const ended = once(child, 'close');
    for (const end = performance.now() + 60_000; all().containers.length === before.containers.length; await pause(50))
      assert.ok(performance.now() < end && child.exitCode === null, 'it made no container');
    child.kill('SIGKILL');
    await ended;
    assert.notDeepEqual(all(), before);
    assert.match(readFileSync(stack.config, 'utf8'), /compose/);
    const next = await stack.gaia('backup', 'dev');
    assert.equal(next.exit, 0, next.stderr);
    assert.match(next.stderr, /Removed what the drill .* had left/);
    assert.deepEqual(all(), before);
  });
});
