import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { gaiaLauncher, makeStand, type Stand } from '../recovery/gaia.fixtures.ts';
import { composeFile, type Engine, noEngine, startEngine } from './docker.fixtures.ts';
import { composeIn, engineProgram, isPodman, isUsual } from './engines.fixtures.ts';

const missing = noEngine();
if (missing !== undefined)
  console.log(`NOT RUN: restores of compose projects need a Docker Engine of their own: ${missing}`);

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  return port;
}

describe('a target with a compose project', { skip: missing !== undefined, timeout: 1_800_000 }, () => {
  const home = mkdtempSync(join(tmpdir(), 'fire-compose-'));
  let engine: Engine;
  let stand: Stand;
  let port: number;
  const page = () => join(stand.root, 'site', 'health.html');
  const docker = (...args: string[]) => execFileSync(engineProgram, args, { encoding: 'utf8' }).trim();
  const compose = (...args: string[]) => composeIn(stand.root, args);
  const containers = () =>
    docker('ps', '-q')
      .split('\n')
      .filter((line) => line !== '');
  const policy = () =>
    docker('inspect', '--format', '{{.HostConfig.RestartPolicy.Name}}', ...docker('ps', '-aq').split('\n'));

  async function says(): Promise<string> {
    try {
      const answer = await fetch(`http://127.0.0.1:${port}/health.html`);
      return answer.ok ? (await answer.text()).trim() : String(answer.status);
    } catch {
      return 'nothing';
    }
  }

  async function untilSays(wanted: string): Promise<void> {
    for (const end = performance.now() + 20_000; (await says()) !== wanted; await pause(100))
      assert.ok(performance.now() < end, `the service says ${await says()} instead of ${wanted}`);
  }

  before(async () => {
    engine = await startEngine();
    port = await freePort();
    const health = `health: { endpoints: [ { name: web, url: "http://127.0.0.1:${port}/health.html" } ], within_seconds: 8, consecutive: 2 }`;
    stand = makeStand({ after: () => undefined }, { home, more: `compose: compose.yml\n${health}` });
    writeFileSync(join(stand.root, 'compose.yml'), composeFile(port));
    writeFileSync(
      join(stand.root, 'compose.override.yml'),
      'version: "3"\nservices: { web: { environment: { MARK: here } } }\n',
    );
    mkdirSync(join(stand.root, 'site'));
    writeFileSync(page(), 'first\n');
    compose('up', '-d');
    await untilSays('first');
    assert.equal((await stand.gaia('backup', 'dev')).exit, 0);
  });

  after(async () => {
    if (stand !== undefined)
      for (const id of docker('ps', '-aq')
        .split('\n')
        .filter((line) => line !== ''))
        docker('rm', '-f', id);
    await engine?.end();
    rmSync(home, { recursive: true, force: true });
  });

  it('is stopped, swapped, started and found well: exit 0, proven', async () => {
    writeFileSync(page(), 'changed\n');
    const before = containers();
    const ended = await stand.json(0, 'restore', 'dev', '--yes');
    assert.deepEqual([ended.outcome, ended.health], ['committed', 'proven']);
    // Served by the restored folder, not by the one that was put aside.
    await untilSays('first');
    assert.equal(readFileSync(page(), 'utf8'), 'first\n');
    assert.deepEqual([containers(), policy()], [before, 'always'], 'the same container, and not a new one');
    assert.match(docker('inspect', '--format', '{{.Config.Env}}', ...containers()), /MARK=here/);
    assert.match((await stand.gaia('doctor')).stdout, /services +dev: 1 of 1 containers run/);
    assert.equal((await stand.json(0, 'undo', 'dev', '--yes')).outcome, 'committed');
    await untilSays('changed');
  });

  it('comes back when the whole folder is gone while it runs', async () => {
    rmSync(stand.root, { recursive: true });
    const { exit, stderr, stdout } = await stand.gaia('restore', 'dev', '--yes');
    assert.equal(exit, 0, stdout + stderr);
    await untilSays('first');
    compose('down');
    rmSync(stand.root, { recursive: true });
    assert.equal((await stand.json(0, 'restore', 'dev', '--yes')).health, 'proven');
    await untilSays('first');
    assert.match(docker('inspect', '--format', '{{.Config.Env}}', ...containers()), /MARK=here/);
  });

  it('goes back by itself to the old state when the new one is never well: exit 10, with the last lines', async () => {
    rmSync(page());
    assert.equal((await stand.gaia('backup', 'dev')).exit, 0);
    writeFileSync(page(), 'good\n');
    await untilSays('good');
    const { exit, stdout, stderr } = await stand.gaia('restore', 'dev', '--yes');
    assert.equal(exit, 10, stdout + stderr);
    assert.match(stdout + stderr, /web \(http:\/\/127\.0\.0\.1:\d+\/health\.html\) answers 404/);
    assert.match(stdout + stderr, /last lines of its services:\n(.*\n)*? {2}web.*response:404/);
    await untilSays('good');
    assert.equal(policy(), 'always');
  });

  it('leaves what it made itself with the restart policy of its file', async () => {
    compose('down');
    const { exit, stdout, stderr } = await stand.gaia('restore', 'dev', '--yes');
    assert.equal(exit, 10, stdout + stderr);
    await untilSays('good');
    assert.equal(policy(), 'always');
  });

  for (const direction of ['forward', 'back'] as const)
    it(`stays down over a kill -9 and a reboot, until it is resumed ${direction}`, async () => {
      const first = (await stand.gaia('list')).stdout.trim().split('\n').at(-1)?.split('\t')[0] as string;
      writeFileSync(page(), 'before the crash\n');
      const points = join(home, `points-${direction}`);
      assert.equal(await stopAt('after quiesce done', ['restore', 'dev', '--backup', first, '--yes'], points), true);
      assert.deepEqual(containers(), []);
      await engine.reboot();
      assert.deepEqual(containers(), [], 'something started on a half-swapped tree');
      const resumed = await stand.gaia('resume', ...(direction === 'back' ? ['--back'] : []));
      const [log] = /\S*\/log\b/.exec(resumed.stderr) ?? [];
      assert.equal(
        resumed.exit,
        0,
        resumed.stdout + resumed.stderr + (log === undefined ? '' : readFileSync(log, 'utf8')),
      );
      await untilSays(direction === 'back' ? 'before the crash' : 'first');
      assert.equal(policy(), 'always');
    });

  it('ends whole and running after a kill -9 at every point of a restore', { timeout: 600_000 }, async () => {
    const first = (await stand.gaia('list')).stdout.trim().split('\n').at(-1)?.split('\t')[0] as string;
    const words = ['restore', 'dev', '--backup', first, '--yes'];
    const file = join(home, 'points');
    assert.equal(await stopAt('no such point', words, file), false);
    const count = readFileSync(file, 'utf8').trim().split('\n').length;
    assert.ok(count > 30, `only ${count} points`);
    // With another compose than the usual one some of them do.
    for (let n = 1; n <= count; n += isUsual ? 1 : 6) {
      const back = Math.ceil(n / (isUsual ? 1 : 6)) % 2 === 0;
      writeFileSync(page(), `before ${n}\n`);
      assert.equal(await stopAt(String(n), words, file), true, `it did not stop at ${n}`);
      const point = readFileSync(file, 'utf8').trim().split('\n').at(-1);
      const { exit, stdout, stderr } = await stand.gaia('resume', ...(back ? ['--back'] : []), '--here');
      // Before it has begun there is nothing to resume; after its last line neither.
      if (exit === 5) assert.match(String(point), /before lock|after end/, stderr);
      else assert.equal(exit, 0, `${point}: ${stdout}${stderr}`);
      const isNew = /taken|old state/.test(stdout) ? false : exit === 0 || /after end/.test(String(point));
      await untilSays(isNew ? 'first' : `before ${n}`);
      assert.deepEqual([containers().length, policy()], [1, 'always'], String(point));
    }
  });

  it('says in the plan what is stopped and what is asked', async () => {
    const { stdout } = await stand.gaia('plan', 'dev');
    assert.match(stdout, /Stops: {5}.*\/compose\.yml, and starts it again\n {2}Asks: {6}web, http/);
  });

  it('refuses before anything is touched where there is no Docker to ask', { skip: isPodman }, async () => {
    writeFileSync(page(), 'as it was\n');
    await engine.end();
    const { exit, stderr } = await stand.gaia('restore', 'dev', '--yes');
    assert.equal(exit, 4, stderr);
    assert.match(stderr, /Docker could not be asked/);
    assert.equal((await stand.gaia('plan', 'dev')).exit, 4);
    assert.match((await stand.gaia('doctor')).stdout, /WRONG +services +dev: Docker could not be asked/);
    assert.equal(readFileSync(page(), 'utf8'), 'as it was\n');
    engine = await startEngine();
  });

  /** Whether GAIA stopped itself at that point; it is killed there. */
  async function stopAt(point: string, words: string[], points: string): Promise<boolean> {
    const call = (env: Record<string, string>) =>
      spawn(process.execPath, [gaiaLauncher, ...words, '--here', '--config', stand.config], {
        env: { PATH: process.env.PATH, LEVEREDGE_HOME: home, ...env },
        stdio: 'ignore',
      });
    writeFileSync(points, '');
    const child = call({ GAIA_POINTS_TO: points, GAIA_STOP_AT: point });
    const ended = once(child, 'close');
    for (const end = performance.now() + 60_000; performance.now() < end; await pause(20)) {
      if (child.exitCode !== null) return false;
      if (/^State:\s+T/m.test(readFileSync(`/proc/${child.pid}/status`, 'utf8'))) {
        child.kill('SIGKILL');
        await ended;
        return true;
      }
    }
    child.kill('SIGKILL');
    return false;
  }
});
