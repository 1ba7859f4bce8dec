import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { gaiaLauncher } from '../recovery/gaia.fixtures.ts';
import { noEngine } from './docker.fixtures.ts';
import { noServer } from './postgres.fixtures.ts';
import { makeStack, type Stack } from './stack-stand.fixtures.ts';

const missing = noEngine() ?? noServer();
if (missing !== undefined) console.log(`NOT RUN: restores of a whole stack need Docker and PostgreSQL: ${missing}`);

describe('a stack whose database server is not there', { skip: missing !== undefined, timeout: 1_800_000 }, () => {
  let stack: Stack;
  before(async () => {
    stack = await makeStack();
  });
  after(() => stack?.end());

  const points = () => join(stack.home, 'points');
  const data = () => join(stack.root, 'pgdata');
  const sum = () => stack.sql('SELECT sum(balance) FROM account');

  function launch(env: Record<string, string>, ...words: string[]) {
    const child = spawn(
      process.execPath,
      [gaiaLauncher, 'restore', 'dev', '--yes', '--here', '--config', stack.config, ...words],
      {
        env: { PATH: process.env.PATH, LEVEREDGE_HOME: stack.home, ...env },
        stdio: 'ignore',
      },
    );
    return { child, ended: once(child, 'close') };
  }

  async function killedAt(point: string, ...words: string[]): Promise<void> {
    const { child, ended } = launch({ GAIA_STOP_AT: point }, ...words);
    for (const end = performance.now() + 60_000; ; await pause(20)) {
      assert.ok(performance.now() < end && child.exitCode === null, `it did not stop at ${point}`);
      if (/^State:\s+T/m.test(readFileSync(`/proc/${child.pid}/status`, 'utf8'))) break;
    }
    child.kill('SIGKILL');
    await ended;
  }

  it('is started first where it only was stopped, and everything runs in the end', async () => {
    stack.sql('UPDATE account SET balance = 7');
    stack.version('2');
    stack.compose('stop');
    const plan = await stack.json(0, 'plan', 'dev');
    assert.match(String(plan.warnings), /does not run; it is started first/);
    const restored = await stack.gaia('restore', 'dev', '--yes');
    assert.equal(restored.exit, 0, restored.stderr);
    assert.equal(await stack.says(), 'well 1');
    assert.equal(sum(), '100000');
  });

  it('gets a new data folder after the disk was lost', async () => {
    stack.compose('down');
    rmSync(stack.root, { recursive: true });
    for (const name of readdirSync(dirname(stack.root))) rmSync(join(dirname(stack.root), name), { recursive: true });
    const plan = await stack.json(0, 'plan', 'dev');
    assert.match(String(plan.warnings), /is loaded into a new server/);
    const restored = await stack.gaia('restore', 'dev', '--yes');
    assert.equal(restored.exit, 0, restored.stderr);
    assert.equal(await stack.says(), 'well 1');
    assert.equal(sum(), '100000');
    assert.equal(stack.docker('inspect', '--format', '{{.HostConfig.RestartPolicy.Name}}', stack.idOf('db')), 'always');
  });

  it('that does not start is refused, and gets a new data folder when told so; undo brings the old one back', async () => {
    stack.sql('UPDATE account SET balance = 9');
    stack.version('2');
    stack.compose('stop');
    renameSync(join(data(), 'global'), join(data(), 'global.lost'));
    mkdirSync(join(data(), 'global'));
    chownSync(join(data(), 'global'), 999, 999);
    const refused = await stack.gaia('restore', 'dev', '--yes');
    assert.equal(refused.exit, 4, refused.stderr);
    assert.match(refused.stderr, /--fresh-server/);
    const restored = await stack.gaia('restore', 'dev', '--fresh-server', '--yes');
    assert.equal(restored.exit, 0, restored.stderr);
    assert.equal(await stack.says(), 'well 1');
    assert.equal(sum(), '100000');
    const aside = readdirSync(dirname(stack.root)).filter((name) => /pre-restore/.test(name));
    assert.ok(existsSync(join(dirname(stack.root), aside.at(-1) as string, 'pgdata', 'global.lost')), aside.join());
  });

  it('gets a new data folder though it runs, and gives it back when the new state is not well', async () => {
    stack.sql("UPDATE status SET said = 'broken'");
    const { name } = (await stack.json(0, 'backup', 'dev')) as { name: string };
    stack.sql("UPDATE status SET said = 'well'");
    stack.sql('UPDATE account SET balance = 5');
    stack.version('4');
    const { ino } = statSync(data());
    const back = await stack.gaia('restore', 'dev', '--backup', name, '--fresh-server', '--yes');
    assert.equal(back.exit, 10, back.stderr);
    assert.equal(await stack.says(), 'well 4');
    assert.equal(sum(), '5000');
    assert.equal(statSync(data()).ino, ino);
    assert.doesNotMatch(stack.own(), /__new_/);
    stack.removeBackup(name);
  });

  it('with --only db gets a new data folder, and the files stay', async () => {
    stack.version('5');
    const { ino } = statSync(data());
    const restored = await stack.gaia('restore', 'dev', '--only', 'db', '--fresh-server', '--yes');
    assert.equal(restored.exit, 0, restored.stderr);
    assert.equal(await stack.says(), 'well 5');
    assert.equal(sum(), '100000');
    assert.notEqual(statSync(data()).ino, ino);
    stack.sql('UPDATE account SET balance = 6');
    const undone = await stack.gaia('undo', 'dev', '--yes');
    assert.equal(undone.exit, 0, undone.stderr);
    assert.equal(sum(), '5000');
    assert.equal(statSync(data()).ino, ino);
  });

  it('ends whole after a kill at any point of it, and nothing starts on half a tree when the machine starts again', async () => {
    await launch({ GAIA_POINTS_TO: points() }, '--fresh-server').ended;
    const names = readFileSync(points(), 'utf8')
      .trim()
      .split('\n')
      .map((line) => line.replace(/^\d+ /, ''));
    const tried = names.filter((name) => /after (quiesce|load|swap|start)|late databases|between/.test(name));
    assert.ok(tried.includes('after late databases are swapped'), names.join());
    for (const [n, point] of tried.entries()) {
      const direction = n % 2 === 0 ? 'forward' : 'back';
      stack.version('old');
      stack.sql('UPDATE account SET balance = 8');
      await killedAt(point, '--fresh-server');
      if (point === 'between the renames') {
        await stack.engine.reboot();
        await pause(1500);
        assert.equal(stack.docker('ps', '-q'), '');
      }
      const resumed = await stack.gaia('resume', ...(direction === 'back' ? ['--back'] : []));
      const text = `${point}, ${direction}: ${resumed.stderr}`;
      assert.equal(resumed.exit, 0, text);
      assert.equal(await stack.says(), direction === 'forward' ? 'well 1' : 'well old', text);
      assert.equal(sum(), direction === 'forward' ? '100000' : '8000', text);
    }
  });

  for (const direction of ['forward', 'back'] as const)
    it(`is started to go on, ${direction}, when it went down in the middle`, async () => {
      stack.version('old');
      stack.sql('UPDATE account SET balance = 8');
      await killedAt('after databases are swapped');
      stack.docker('stop', stack.idOf('db'));
      const resumed = await stack.gaia('resume', ...(direction === 'back' ? ['--back'] : []));
      assert.equal(resumed.exit, 0, resumed.stderr);
      assert.equal(await stack.says(), direction === 'forward' ? 'well 1' : 'well old');
      assert.equal(sum(), direction === 'forward' ? '100000' : '8000');
      assert.doesNotMatch(stack.own(), /__new_/);
    });
});
