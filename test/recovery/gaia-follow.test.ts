import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { it, type TestContext } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { identityOf, isAlive, type ProcessIdentity } from '../../src/recovery/run/live-process.ts';
import { gaiaLauncher, makeStand, run, type Stand } from './gaia.fixtures.ts';

/** Starts a restore whose process stops itself at a point of its run, and waits until it has. */
async function startStopped(
  t: TestContext,
  stand: Stand,
  stopAt: number,
): Promise<{ follower: ReturnType<typeof spawn>; said: () => string; runner: number }> {
  const args = [gaiaLauncher, 'restore', 'dev', '--yes', '--config', stand.config];
  const env = { PATH: process.env.PATH, LEVEREDGE_HOME: stand.home, GAIA_STOP_AT: String(stopAt) };
  const follower = spawn(process.execPath, args, { env, stdio: ['ignore', 'ignore', 'pipe'], timeout: 30_000 });
  let text = '';
  follower.stderr.setEncoding('utf8').on('data', (chunk) => {
    text += chunk;
  });
  for (let i = 0; i < 200; i++) {
    await pause(50);
    const { stdout } = await stand.gaia('status', '--json');
    const { holder } = JSON.parse(stdout) as { holder: { pid: number; verb: string } | null };
    if (holder === null) continue;
    if (!/State:\s+T/.test(readFileSync(`/proc/${holder.pid}/status`, 'utf8'))) continue;
    // A test that fails leaves no process that is stopped for ever.
    const runner = identityOf(holder.pid) as ProcessIdentity;
    t.after(() => {
      if (isAlive(runner)) process.kill(runner.pid, 'SIGKILL');
    });
    return { follower, said: () => text, runner: holder.pid };
  }
  throw new Error(`it never stopped: ${text}`);
}

it('Ctrl-C while a restore is watched ends the watching with 130; the restore goes on, and can be watched again', {
  timeout: 60_000,
}, async (t) => {
  const stand = makeStand(t, { more: 'health: none' });
  assert.equal((await stand.gaia('backup', 'dev')).exit, 0);
  writeFileSync(join(stand.root, 'notes'), 'changed\n');
  const { follower, said, runner } = await startStopped(t, stand, 3);
  const ended = new Promise((resolve) => follower.on('close', resolve));
  follower.kill('SIGINT');
  assert.equal(await ended, 130);
  assert.match(said(), /The run goes on without you\. Watch it again: gaia status --follow/);
  for (const words of [
    ['restore', 'dev', '--yes'],
    ['backup', 'dev'],
    ['undo', 'dev', '--yes'],
    ['resume'],
    ['prune', '--yes'],
  ]) {
    const { exit, stderr } = await stand.gaia(...words);
    assert.equal(exit, 6, `${words.join(' ')}: ${stderr}`);
    assert.match(stderr, new RegExp(`Another run works on these backups \\(restore dev \\S+, process ${runner}`));
  }
  assert.equal((await stand.gaia('list')).exit, 0);
  const again = stand.gaia('status', '--follow');
  await pause(300);
  process.kill(runner, 'SIGCONT');
  const watched = await again;
  assert.equal(watched.exit, 0, watched.stderr);
  assert.match(watched.stdout, /The backup is in its place/);
  assert.equal(readFileSync(join(stand.root, 'notes'), 'utf8'), 'the first state\n');
});

it('the watching lasts until the lock is free, so that what is done next is not refused', {
  timeout: 60_000,
}, async (t) => {
  const stand = makeStand(t, { more: 'health: none' });
  assert.equal((await stand.gaia('backup', 'dev')).exit, 0);
  const points = join(stand.home, 'points');
  const counted = await run(process.execPath, [gaiaLauncher, 'restore', 'dev', '--yes', '--config', stand.config], {
    LEVEREDGE_HOME: stand.home,
    GAIA_POINTS_TO: points,
  });
  assert.equal(counted.exit, 0, counted.stderr);
  const last = readFileSync(points, 'utf8').trimEnd().split('\n').at(-1) as string;
  assert.match(last, /after end done$/);
  const { follower, said, runner } = await startStopped(t, stand, Number(last.split(' ')[0]));
  const ended = new Promise((resolve) => follower.on('close', resolve));
  assert.equal(await Promise.race([ended, pause(500, 'waits')]), 'waits', said());
  process.kill(runner, 'SIGCONT');
  assert.equal(await ended, 0, said());
  assert.equal((await stand.gaia('undo', 'dev', '--yes')).exit, 0);
});
