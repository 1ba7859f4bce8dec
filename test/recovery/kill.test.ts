import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import {
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, it } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { readJournal } from '../../src/recovery/run/journal.ts';
import {
  copyOf,
  differences,
  folder,
  gaiaLauncher,
  leftBehind,
  makeStand,
  rowsOf,
  run,
  type Stand,
} from './gaia.fixtures.ts';
import { killedAt } from './kill.fixtures.ts';

/** Each point is tried in both directions; every so many also with a kill during the resume. */
const killResumeEvery = 4;
const randomRounds = 8;

type Prepared = { stand: Stand; oldTree: string; newTree: string };

/** A tree with what renames could lose, a backup of it, another state in its place, and what both must look like. */
async function prepare(
  t: Parameters<typeof folder>[0],
  layout: Parameters<typeof makeStand>[1] = {},
): Promise<Prepared> {
  const stand = makeStand(t, layout);
  const kept = folder(t);
  mkdirSync(join(stand.root, 'sub', 'deep'), { recursive: true });
  writeFileSync(join(stand.root, 'sub', 'deep', 'a'), 'a'.repeat(5000), { mode: 0o640 });
  linkSync(join(stand.root, 'sub', 'deep', 'a'), join(stand.root, 'sub', 'same'));
  symlinkSync('deep/a', join(stand.root, 'sub', 'link'));
  await run('setfattr', ['-n', 'user.note', '-v', 'kept', join(stand.root, 'sub')]);
  assert.equal((await stand.gaia('backup', 'dev')).exit, 0);
  writeFileSync(join(stand.root, 'notes'), 'the second state\n');
  rmSync(join(stand.root, 'sub', 'link'));
  mkdirSync(join(stand.root, 'added'), { mode: 0o750 });
  writeFileSync(join(stand.root, 'added', 'later'), 'later');
  await run('chmod', ['0711', stand.root]);
  const oldTree = await copyOf(stand.root, join(kept, 'old'));
  const reference = await stand.gaia('restore', 'dev', '--yes');
  assert.equal(reference.exit, 9, reference.stderr);
  const newTree = await copyOf(stand.root, join(kept, 'new'));
  assert.notEqual(await differences(oldTree, newTree), '');
  return { stand, oldTree, newTree };
}

/** The second state again, and nothing beside it. */
async function reset({ stand, oldTree }: Prepared): Promise<void> {
  const parent = dirname(stand.root);
  for (const name of readdirSync(parent)) rmSync(join(parent, name), { recursive: true, force: true });
  await copyOf(oldTree, stand.root);
  rmSync(join(stand.backups, '.gaia', 'runs'), { recursive: true, force: true });
}

const note = ['--ignore', 'state/RESTORED.json'];

/** Which of the two states is there, whole; fails when it is neither. `state` holds the note, whose time is another. */
async function stateThere({ stand, oldTree, newTree }: Prepared): Promise<'old' | 'new'> {
  const fromNew = await differences(newTree, stand.root, ...note, '--ignore', 'state');
  if (fromNew === '') {
    assert.equal(rowsOf(stand.database), 10);
    return 'new';
  }
  const fromOld = await differences(oldTree, stand.root, ...note);
  assert.equal(fromOld, '', `neither the old state nor the new one:\n${fromNew}`);
  return 'old';
}

async function pointsOf(prepared: Prepared, args: string[]): Promise<string[]> {
  const file = join(prepared.stand.home, 'points');
  rmSync(file, { force: true });
  await reset(prepared);
  const counted = await run(process.execPath, [gaiaLauncher, ...args, '--here', '--config', prepared.stand.config], {
    LEVEREDGE_HOME: prepared.stand.home,
    GAIA_POINTS_TO: file,
  });
  assert.equal(counted.exit, 9, counted.stderr);
  return readFileSync(file, 'utf8').trim().split('\n');
}

async function tryPoint(
  prepared: Prepared,
  n: number,
  point: string,
  direction: 'forward' | 'back',
  alsoResume: boolean,
): Promise<void> {
  const { stand } = prepared;
  const where = `killed at point ${point}, then ${direction}`;
  await reset(prepared);
  assert.equal(await killedAt(stand, n, ['restore', 'dev', '--yes']), true, where);
  const words = direction === 'back' ? ['resume', '--back'] : ['resume'];
  if (alsoResume) await killedAt(stand, 1 + (n % 5), words);
  const resumed = await stand.gaia(...words, '--here');
  const there = await stateThere(prepared);
  // Nothing to resume: it had not begun, or had ended already.
  if (resumed.exit === 5)
    assert.ok(/before lock|after end|before preflight/.test(point) || alsoResume, `${where}: ${resumed.stderr}`);
  else if (direction === 'forward') assert.deepEqual([resumed.exit, there], [9, 'new'], `${where}\n${resumed.stderr}`);
  else {
    const committed = /commit|end/.test(point) && !/before commit/.test(point);
    assert.deepEqual([resumed.exit, there], committed ? [9, 'new'] : [0, 'old'], `${where}\n${resumed.stderr}`);
  }
  assert.deepEqual(leftBehind(stand.home), [], where);
  const status = await stand.gaia('status', '--json');
  assert.equal(JSON.parse(status.stdout).interrupted.length, 0, where);
}

/** What a kill leaves in the moment in which progress is written. */
function leaveHalfWritten(backups: string): void {
  const runs = join(backups, '.gaia', 'runs');
  const newest = existsSync(runs) ? readdirSync(runs).sort().at(-1) : undefined;
  const folder = newest === undefined ? undefined : join(runs, newest);
  if (folder === undefined || readJournal(join(folder, 'journal.ndjson')).at(-1)?.step === 'end') return;
  if (readJournal(join(folder, 'journal.ndjson')).length > 0)
    writeFileSync(join(folder, '.progress.json.partial'), '{"pha');
}

describe('a restore that is killed', { timeout: 1_200_000 }, () => {
  it('at each line of its journal and between its renames ends whole, forward and back', async (t) => {
    const prepared = await prepare(t);
    const points = await pointsOf(prepared, ['restore', 'dev', '--yes']);
    assert.ok(
      points.some((point) => point.endsWith('between the renames')),
      points.join('\n'),
    );
    for (const [i, point] of points.entries())
      for (const direction of ['forward', 'back'] as const)
        await tryPoint(prepared, i + 1, point, direction, i % killResumeEvery === 0);
    console.log(`killed at ${points.length} points, twice each`);
  });

  it('at each of these points, where an excluded folder stays and its neighbours are swapped one by one', async (t) => {
    const prepared = await prepare(t, { more: 'exclude: [sub/deep/stays]' });
    mkdirSync(join(prepared.oldTree, 'sub', 'deep', 'stays'));
    mkdirSync(join(prepared.newTree, 'sub', 'deep', 'stays'));
    // The folders that stay keep the times that the two states had without it.
    await run('touch', ['-r', join(prepared.stand.root, 'sub', 'deep'), join(prepared.newTree, 'sub', 'deep')]);
    await reset(prepared);
    const points = await pointsOf(prepared, ['restore', 'dev', '--yes']);
    const swapping = points.map((point, i) => ({ point, n: i + 1 })).filter(({ point }) => /rename|swap/.test(point));
    assert.ok(swapping.length > 8, points.join('\n'));
    for (const { point, n } of swapping)
      for (const direction of ['forward', 'back'] as const) await tryPoint(prepared, n, point, direction, false);
  });

  it('while tar writes ends whole, forward and back', async (t) => {
    const stand = makeStand(t);
    for (let i = 0; i < 400; i++)
      writeFileSync(join(stand.root, `random-${i}`), crypto.getRandomValues(new Uint8Array(65536)));
    assert.equal((await stand.gaia('backup', 'dev')).exit, 0);
    const newTree = await copyOf(stand.root, join(folder(t), 'new'));
    for (let i = 0; i < 200; i++) rmSync(join(stand.root, `random-${i}`));
    const oldTree = await copyOf(stand.root, join(folder(t), 'old'));
    for (let round = 0; round < randomRounds; round++) {
      await reset({ stand, oldTree, newTree });
      const child = spawn(
        process.execPath,
        [gaiaLauncher, 'restore', 'dev', '--yes', '--here', '--config', stand.config],
        {
          env: { PATH: process.env.PATH, LEVEREDGE_HOME: stand.home },
          stdio: 'ignore',
        },
      );
      const ended = new Promise((resolve) => child.on('close', resolve));
      await pause(150 + round * 60);
      child.kill('SIGKILL');
      await ended;
      leaveHalfWritten(stand.backups);
      const back = round % 2 === 1;
      const here = round % 4 < 2;
      const { exit, stderr } = await stand.gaia('resume', ...(back ? ['--back'] : []), ...(here ? ['--here'] : []));
      assert.ok([0, 5, 9].includes(exit as number), stderr);
      const ignore = [...note, '--ignore', 'state', '--ignore', 'state/events.db'];
      const [fromNew, fromOld] = [
        await differences(newTree, stand.root, ...ignore),
        await differences(oldTree, stand.root, ...ignore),
      ];
      assert.ok(fromNew === '' || fromOld === '', `round ${round}: ${fromNew}${fromOld}`);
      // Of one that was killed before it began, the note of who it is may be half written, in a folder of its own.
      const left = leftBehind(stand.home).filter((name) => !name.endsWith('/.runner.json.partial'));
      assert.deepEqual(left, []);
    }
  });

  it('and its undo too', async (t) => {
    const prepared = await prepare(t);
    const { stand } = prepared;
    const undoing = async () => {
      await reset(prepared);
      assert.equal((await stand.gaia('restore', 'dev', '--yes')).exit, 9);
    };
    for (let n = 1; ; n++) {
      await undoing();
      const killed = await killedAt(stand, n, ['undo', 'dev', '--yes']);
      if (!killed) {
        assert.ok(n > 8, `only ${n} points`);
        break;
      }
      const back = n % 2 === 0;
      const resumed = await stand.gaia('resume', ...(back ? ['--back'] : []), '--here');
      const there = await stateThere(prepared);
      if (resumed.exit === 5) continue;
      assert.deepEqual(
        [resumed.exit, there],
        back && resumed.exit === 0 ? [0, 'new'] : [9, 'old'],
        `point ${n}: ${resumed.stderr}`,
      );
    }
  });
});
