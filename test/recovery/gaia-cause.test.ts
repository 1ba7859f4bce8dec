import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { basename, dirname, join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { readJournal } from '../../src/recovery/run/journal.ts';
import { isAlive } from '../../src/recovery/run/live-process.ts';
import { holderOf } from '../../src/recovery/run/lock.ts';
import { gaiaLauncher, leftBehind, makeStand, run, type Stand } from './gaia.fixtures.ts';
import { killedAt, stateOf } from './kill.fixtures.ts';

type Result = { run: string; outcome: string; exit: number; cause: string | null; done_before: boolean };
type Listed = { id: string; cause: string | null; state: string };

const notesOf = ({ root }: Stand) => readFileSync(join(root, 'notes'), 'utf8');
const changeNotes = ({ root }: Stand, text: string) => writeFileSync(join(root, 'notes'), text);
const putAside = ({ root }: Stand) =>
  readdirSync(dirname(root)).filter((name) => name.startsWith(`${basename(root)}.pre-restore.`));
const ask = (stand: Stand, exit: number, ...words: string[]) => stand.json(exit, ...words) as Promise<unknown>;
const restoreFor = async (stand: Stand, exit: number, cause: string, ...more: string[]) =>
  (await ask(stand, exit, 'restore', 'dev', '--yes', '--cause', cause, ...more)) as Result;

async function runsOf(stand: Stand, cause: string): Promise<Listed[]> {
  const { stdout } = await stand.gaia('status', '--json');
  return (JSON.parse(stdout) as { runs: Listed[] }).runs.filter((each) => each.cause === cause);
}

/** A stand with a backup of its first state, and another state in its place. */
async function changed(t: TestContext, more = 'health: none'): Promise<Stand> {
  const stand = makeStand(t, { more });
  assert.equal((await stand.gaia('backup', 'dev')).exit, 0);
  changeNotes(stand, 'the second state\n');
  return stand;
}

describe('a restore and an undo with a cause', { timeout: 600_000 }, () => {
  it('are done once, and asked again they answer what became of them', async (t) => {
    const stand = await changed(t);
    const first = await restoreFor(stand, 0, 'e1');
    assert.deepEqual([first.outcome, first.cause, first.done_before], ['committed', 'e1', false]);
    assert.equal(notesOf(stand), 'the first state\n');
    changeNotes(stand, 'written after it\n');
    assert.deepEqual(await restoreFor(stand, 0, 'e1'), { ...first, done_before: true });
    assert.equal(notesOf(stand), 'written after it\n');
    const { exit, stdout } = await stand.gaia('restore', 'dev', '--cause', 'e1');
    assert.equal(exit, 0);
    assert.match(
      stdout,
      new RegExp(`^Done before for e1 \\(${first.run}\\); nothing was done now\\.\nThe backup is in`),
    );
    const undone = (await ask(stand, 0, 'undo', 'dev', '--yes', '--cause', 'e2')) as Result;
    assert.equal(notesOf(stand), 'the second state\n');
    for (const words of [['dev'], []])
      assert.deepEqual(await ask(stand, 0, 'undo', ...words, '--yes', '--cause', 'e2'), {
        ...undone,
        done_before: true,
      });
    assert.equal(notesOf(stand), 'the second state\n');
    assert.deepEqual(await restoreFor(stand, 0, 'e1'), { ...first, done_before: true });
    assert.deepEqual([(await runsOf(stand, 'e1')).length, putAside(stand).length], [1, 1]);
    assert.match((await stand.gaia('status')).stdout, new RegExp(`\\(${undone.run}, for e2\\)`));
    assert.equal((await restoreFor(stand, 0, 'e3')).done_before, false);
    assert.equal(notesOf(stand), 'the first state\n');
  });

  it('undo no other run than the one that is named', async (t) => {
    const stand = await changed(t);
    const [first, second] = [await restoreFor(stand, 0, 'e1'), await restoreFor(stand, 0, 'e2')];
    const undo = ['undo', 'dev', '--yes', '--cause', 'e3', '--run'];
    const refused = await stand.gaia(...undo, first.run);
    assert.deepEqual([refused.exit, refused.stderr.includes(second.run)], [6, true]);
    assert.equal(((await ask(stand, 0, ...undo, second.run)) as Result).outcome, 'committed');
    assert.equal(((await ask(stand, 0, ...undo, second.run)) as Result).done_before, true);
  });

  it('tell the bus of what they follow from, once', async (t) => {
    const stand = await changed(t);
    const outbox = join(stand.backups, '.gaia', 'outbox');
    const told = () =>
      readdirSync(outbox, { withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map(({ name }) => JSON.parse(readFileSync(join(outbox, name), 'utf8')))
        .map(({ action, causation_id }) => `${action} ${causation_id}`)
        .filter((said) => said.startsWith('restore'))
        .sort();
    await restoreFor(stand, 0, 'e1');
    await restoreFor(stand, 0, 'e1');
    assert.deepEqual(told(), ['restore_completed e1', 'restore_started e1']);
    await ask(stand, 0, 'undo', 'dev', '--yes', '--cause', 'e2');
    await ask(stand, 0, 'restore', 'dev', '--yes');
    const all = ['e1', 'e2', 'undefined'].flatMap((cause) => [
      `restore_completed ${cause}`,
      `restore_started ${cause}`,
    ]);
    assert.deepEqual(told(), all.sort());
  });

  it('are refused when the cause has a run of something else', async (t) => {
    const stand = await changed(t);
    const other = join(stand.home, 'data-plane', 'prod');
    mkdirSync(other);
    writeFileSync(join(other, 'notes'), 'of prod\n');
    writeFileSync(stand.config, `${readFileSync(stand.config, 'utf8')}    prod: { root: ${other} }\n`);
    assert.equal((await stand.gaia('backup', 'prod')).exit, 0);
    const { hash } = await stand.json(0, 'plan', 'dev');
    const { run: id } = await restoreFor(stand, 0, 'e1', '--plan', String(hash));
    for (const words of [
      ['restore', 'prod'],
      ['undo', 'dev'],
      ['undo'],
      ['restore', 'dev', '--only', 'db'],
      ['restore', 'dev', '--plan', 'another'],
      ['restore', 'dev', '--backup', 'prod'],
    ]) {
      const { exit, stderr } = await stand.gaia(...words, '--yes', '--cause', 'e1');
      assert.equal(exit, 2, `${words.join(' ')}: ${stderr}`);
      assert.match(stderr, new RegExp(`For e1 there is the restore of dev from dev-\\S+ \\(${id}\\)`));
    }
    assert.equal((await restoreFor(stand, 0, 'e1', '--plan', String(hash), '--backup', 'dev-')).done_before, true);
    for (const words of [
      ['restore', 'full', '--cause', 'e2'],
      ['restore', 'dev', '--cause', 'two words'],
      ['undo', 'dev', '--cause', ''],
    ])
      assert.equal((await stand.gaia(...words, '--yes')).exit, 2, words.join(' '));
    assert.deepEqual([putAside(stand).length, (await runsOf(stand, 'e2')).length], [1, 0]);
  });

  it('need to be confirmed as ever, and do what was planned or nothing', async (t) => {
    const stand = await changed(t);
    for (const [exit, ...more] of [[2] as const, [6, '--yes', '--plan', 'another'] as const])
      assert.equal((await stand.gaia('restore', 'dev', '--cause', 'e1', ...more)).exit, exit);
    assert.deepEqual([notesOf(stand), await runsOf(stand, 'e1')], ['the second state\n', []]);
    await restoreFor(stand, 0, 'e1');
  });

  it('that were rolled back are not tried again', async (t) => {
    let isAsked = 0;
    let root = '';
    const server = createServer((_, answer) => {
      isAsked++;
      answer.statusCode = readFileSync(join(root, 'notes'), 'utf8') === 'the first state\n' ? 503 : 200;
      answer.end();
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    t.after(() => server.close());
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
    const more = `health: { endpoints: [ { name: web, url: "${url}" } ], within_seconds: 2, consecutive: 1 }`;
    const stand = await changed(t, more);
    root = stand.root;
    const first = await restoreFor(stand, 10, 'e1');
    assert.equal(first.outcome, 'taken back');
    const times = isAsked;
    assert.deepEqual(await restoreFor(stand, 10, 'e1'), { ...first, done_before: true });
    // One that is killed on its way back ends as if it had not been.
    for (const point of ['before take back begin', 'after take back begin', 'after take back done']) {
      const cause = point.replaceAll(' ', '-');
      assert.equal(await killedAt(stand, point, ['restore', 'dev', '--yes', '--cause', cause]), true, point);
      const { outcome, done_before } = await restoreFor(stand, 10, cause);
      assert.deepEqual([outcome, done_before], ['taken back', false], point);
      assert.equal((await restoreFor(stand, 10, cause)).done_before, true);
    }
    assert.ok(isAsked > times);
    assert.deepEqual([notesOf(stand), putAside(stand)], ['the second state\n', []]);
  });

  it('that a person has taken back stay so, and that is no success', async (t) => {
    const stand = await changed(t);
    assert.equal(await killedAt(stand, 'after swap begin', ['restore', 'dev', '--yes', '--cause', 'e1']), true);
    assert.equal((await stand.gaia('resume', '--back')).exit, 0);
    const { outcome, exit, done_before } = await restoreFor(stand, 10, 'e1');
    assert.deepEqual([outcome, exit, done_before], ['taken back', 10, true]);
    assert.equal(notesOf(stand), 'the second state\n');
  });
});

/** A restore whose own process has stopped itself at a point, with the one that watches it. */
async function startStopped(t: TestContext, stand: Stand, stopAt: string) {
  const words = [gaiaLauncher, 'restore', 'dev', '--yes', '--cause', 'e1', '--config', stand.config];
  const env = { PATH: process.env.PATH, LEVEREDGE_HOME: stand.home, GAIA_STOP_AT: stopAt };
  const asking = spawn(process.execPath, words, { env, stdio: 'ignore', timeout: 30_000 });
  for (let i = 0; i < 600; i++) {
    await pause(20);
    const holder = holderOf({ state: join(stand.backups, '.gaia') });
    if (holder === undefined || stateOf(holder.pid) !== 'T') continue;
    // A test that fails leaves no process that is stopped for ever.
    t.after(() => {
      if (isAlive(holder)) process.kill(holder.pid, 'SIGKILL');
    });
    return { asking, runner: holder.pid };
  }
  throw new Error('it never stopped');
}

const points = [
  'before lock done',
  'after lock done',
  'after preflight done',
  'after stage begin',
  'after compare done',
  'before swap begin',
  'after swap begin',
  'after swap done',
  'after start done',
  'before commit begin',
  'after commit begin',
  'before end done',
  'after end done',
];

describe('a restore with a cause that is killed', { timeout: 600_000 }, () => {
  for (const point of points)
    it(`at the point “${point}” and asked again is there once`, async (t) => {
      const stand = await changed(t);
      const words = ['restore', 'dev', '--yes', '--cause', 'e1'];
      assert.equal(await killedAt(stand, point, words), true);
      // Killed again in what the second one does, if that does anything.
      const again = await killedAt(stand, 3, words);
      const third = await restoreFor(stand, 0, 'e1');
      assert.equal(third.done_before, !again, point);
      assert.equal(notesOf(stand), 'the first state\n');
      changeNotes(stand, 'written after it\n');
      assert.deepEqual(await restoreFor(stand, 0, 'e1'), { ...third, done_before: true });
      assert.equal(notesOf(stand), 'written after it\n');
      assert.equal(putAside(stand).length, 1);
      assert.deepEqual(leftBehind(stand.home), []);
      assert.deepEqual(
        (await runsOf(stand, 'e1')).map(({ id, state }) => [id, state]),
        [[third.run, 'ended']],
      );
    });

  it('in its undo and asked again is undone once', async (t) => {
    for (const point of ['before lock done', 'after preflight done', 'after swap begin', 'after end done']) {
      const stand = await changed(t);
      await restoreFor(stand, 0, 'e1');
      const words = ['undo', 'dev', '--yes', '--cause', 'e2'];
      assert.equal(await killedAt(stand, point, words), true, point);
      const { done_before } = (await ask(stand, 0, ...words)) as Result;
      assert.equal(done_before, point === 'after end done', point);
      assert.equal(((await ask(stand, 0, ...words)) as Result).done_before, true);
      assert.deepEqual([notesOf(stand), putAside(stand).length], ['the second state\n', 1], point);
    }
  });

  it('while its own process goes on is waited for, and taken up when that is killed too', async (t) => {
    const stand = await changed(t);
    const { asking, runner } = await startStopped(t, stand, 'after swap begin');
    asking.kill('SIGKILL');
    const { exit, stderr } = await stand.gaia('restore', 'dev', '--yes', '--cause', 'e1');
    assert.equal(exit, 6, stderr);
    assert.match(stderr, new RegExp(`Another run works on these backups \\(restore dev \\S+, process ${runner}`));
    process.kill(runner, 'SIGKILL');
    const { done_before } = await restoreFor(stand, 0, 'e1');
    assert.deepEqual([done_before, notesOf(stand), putAside(stand).length], [false, 'the first state\n', 1]);
  });

  it('before it began does not begin later, when it was asked again', async (t) => {
    const stand = await changed(t);
    assert.equal(await killedAt(stand, 'before lock done', ['restore', 'dev', '--yes', '--cause', 'e1']), true);
    const runs = join(stand.backups, '.gaia', 'runs');
    const [late] = readdirSync(runs);
    const begin = () =>
      run(process.execPath, [gaiaLauncher, '__run', join(runs, late as string), '--how', 'begin'], {
        LEVEREDGE_HOME: stand.home,
      });
    await restoreFor(stand, 0, 'e1');
    changeNotes(stand, 'written after it\n');
    assert.equal((await begin()).exit, 6);
    // Also where two were asked for in the same moment, and neither was withdrawn.
    renameSync(join(runs, late as string, 'withdrawn.json'), join(runs, late as string, 'request.json'));
    assert.equal((await begin()).exit, 6);
    assert.match(readFileSync(join(runs, late as string, 'failure.json'), 'utf8'), /was begun already/);
    assert.deepEqual([notesOf(stand), putAside(stand).length], ['written after it\n', 1]);
    assert.deepEqual(readJournal(join(runs, late as string, 'journal.ndjson')), []);
  });

  it('or asked for twice at once is done by one of them', async (t) => {
    const stand = await changed(t);
    const words = ['restore', 'dev', '--yes', '--cause', 'e1'];
    const ends = await Promise.all([stand.gaia(...words), stand.gaia(...words), stand.gaia(...words, '--here')]);
    const exits = ends.map(({ exit }) => exit);
    assert.ok(
      exits.every((exit) => exit === 0 || exit === 6),
      ends.map(({ exit, stderr }) => `${exit} ${stderr}`).join('\n'),
    );
    assert.equal((await restoreFor(stand, 0, 'e1')).done_before, true);
    assert.deepEqual([putAside(stand).length, (await runsOf(stand, 'e1')).length], [1, 1]);
  });
});
