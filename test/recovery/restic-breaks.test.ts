import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, it } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { copyOf, differences, folder, leftBehind, rowsOf } from './gaia.fixtures.ts';
import {
  backupFiles,
  fill,
  makeResticStand,
  notHere,
  packsOf,
  type ResticStand,
  resticsAt,
  serve,
  start,
  until,
} from './restic.fixtures.ts';

const missing = notHere('restic', 'rclone');
if (missing !== undefined)
  console.log(`NOT RUN: a repository of restic that breaks off in the middle: there is no ${missing}`);

/** How long a person waits at most until it is said that the server is gone. */
const patienceMs = 60_000;
const backUp = async (stand: ResticStand) => String((await stand.json(0, 'backup', 'dev')).name);

/** What restic has fetched so far for a restore. */
function staged(stand: ResticStand): boolean {
  const parent = dirname(stand.root);
  return readdirSync(parent).some(
    (name) => name.startsWith('.gaia-stage') && existsSync(join(parent, name, '.restic')),
  );
}

describe('a repository of restic that breaks off in the middle', {
  skip: missing !== undefined,
  timeout: 240_000,
  concurrency: true,
}, () => {
  it('of a backup is told in time, leaves no backup, and the next one works', async (t) => {
    const home = folder(t);
    const server = await serve(t, join(home, 'repository'));
    const stand = makeResticStand(t, { home, address: server.address });
    fill(stand.root, 64);
    const before = backupFiles(stand.backups);
    const running = start(stand, 'backup', 'dev');
    await until('a pack', () => packsOf(stand.repository).length > 0);
    const began = performance.now();
    await server.stop();
    const { exit, stderr } = await running.ended;
    assert.equal(exit, 4, stderr);
    assert.ok(performance.now() - began < patienceMs, 'it took too long');
    assert.match(stderr, /cannot be reached: (dial|read|write)/);
    assert.doesNotMatch(stderr, /hunter2/);
    assert.deepEqual(backupFiles(stand.backups), before);
    await server.start();
    const name = await backUp(stand);
    assert.equal((await stand.json(0, 'verify', name)).state, 'sound');
  });

  it('of a restore changes nothing, and the next one works', async (t) => {
    const home = folder(t);
    const server = await serve(t, join(home, 'repository'));
    const stand = makeResticStand(t, { home, address: server.address });
    fill(stand.root, 64);
    await backUp(stand);
    writeFileSync(join(stand.root, 'notes'), 'changed\n');
    const before = await copyOf(stand.root, join(home, 'before'));
    const running = start(stand, 'restore', 'dev', '--yes', '--here');
    await until('a stage', () => staged(stand));
    const began = performance.now();
    await server.stop();
    const { exit, stderr } = await running.ended;
    assert.equal(exit, 4, stderr);
    assert.ok(performance.now() - began < patienceMs, 'it took too long');
    assert.match(stderr, /cannot be reached[\s\S]*Nothing was changed/);
    assert.equal(await differences(before, stand.root), '');
    assert.deepEqual(leftBehind(stand.home), []);
    await server.start();
    await stand.json(0, 'restore', 'dev', '--yes');
    assert.equal(readFileSync(join(stand.root, 'notes'), 'utf8'), 'the first state\n');
  });

  it('because GAIA was killed leaves nothing that looks like a backup, and the next one cleans up', async (t) => {
    const stand = makeResticStand(t);
    fill(stand.root, 32);
    const set = join(stand.backups, 'dev', '.restic-set');
    const points: [string, () => boolean][] = [
      ['its set', () => existsSync(set)],
      ['a pack', () => packsOf(stand.repository).length > 0],
      ['a snapshot', () => readdirSync(join(stand.repository, 'snapshots')).length > 0],
      ['its list', () => existsSync(join(set, 'list', 'catalogue'))],
    ];
    for (const [what, isSo] of points) {
      const running = start(stand, 'backup', 'dev');
      await until(what, isSo);
      running.child.kill('SIGKILL');
      await running.ended;
      const { backups } = (await stand.json(0, 'list')) as { backups: unknown[] };
      assert.deepEqual(backups, [], what);
      const none = await stand.gaia('restore', 'dev', '--yes');
      assert.equal(none.exit, 5, none.stderr);
    }
    const name = await backUp(stand);
    assert.deepEqual(
      readdirSync(join(stand.backups, 'dev')).sort(),
      ['.manifest.json', '.manifest.json.sig', '.restic'].map((end) => name.replace('.restic', end)).sort(),
    );
    assert.equal((await stand.json(0, 'verify', name, '--deep')).state, 'sound');
  });

  it('because GAIA was killed while it staged ends whole, forward and back', async (t) => {
    const stand = makeResticStand(t);
    fill(stand.root, 128);
    const name = await backUp(stand);
    const newTree = await copyOf(stand.root, join(stand.home, 'new'));
    writeFileSync(join(stand.root, 'notes'), 'changed\n');
    writeFileSync(join(stand.root, 'random-1'), 'changed\n');
    const oldTree = await copyOf(stand.root, join(stand.home, 'old'));
    for (const back of [true, false]) {
      const running = start(stand, 'restore', 'dev', '--yes', '--here');
      await until('a stage', () => staged(stand));
      running.child.kill('SIGKILL');
      await running.ended;
      await pause(200);
      assert.deepEqual(resticsAt(stand.home), [], 'restic works on alone');
      const refused = await stand.gaia('backup', 'dev');
      assert.equal(refused.exit, 6, refused.stderr);
      await stand.json(0, 'resume', '--here', ...(back ? ['--back'] : []));
      const ignored = ['state', 'state/events.db', 'state/RESTORED.json'].flatMap((each) => ['--ignore', each]);
      assert.equal(await differences(back ? oldTree : newTree, stand.root, ...ignored), '', name);
      assert.equal(rowsOf(stand.database), 10);
      assert.deepEqual(leftBehind(stand.home), []);
    }
    const requests = (readdirSync(join(stand.backups, '.gaia', 'runs'), { recursive: true }) as string[])
      .filter((each) => each.endsWith('request.json'))
      .map((each) => statSync(join(stand.backups, '.gaia', 'runs', each)).mode & 0o777);
    assert.ok(requests.length > 0 && requests.every((mode) => mode === 0o600), String(requests));
  });
});
