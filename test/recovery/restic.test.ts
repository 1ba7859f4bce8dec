import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { copyOf, differences, fillDatabase, folder, isRoot, leftBehind, rowsOf, run } from './gaia.fixtures.ts';
import { makeResticStand, notHere, type ResticStand, serve } from './restic.fixtures.ts';

const missing = isRoot ? notHere('restic', 'setfattr') : 'root';
if (missing !== undefined) console.log(`NOT RUN: backups in a repository of restic: there is no ${missing}`);

const noServer = notHere('rclone') && 'there is no rclone';
if (noServer) console.log(`NOT RUN: restic through a server: ${noServer}`);

const maker = join(import.meta.dirname, 'nasty-tree.py');

/** Without what restic does not know: it writes the bytes of holes, and makes two symlinks of two names of one. */
function withoutWhatIsLost(tree: string): void {
  for (const each of ['sparse', 'all hole', 'hole at end', 'many holes'])
    writeFileSync(join(tree, each), readFileSync(join(tree, each)));
  rmSync(join(tree, 'hard symlink'), { force: true });
}

const backUp = async (stand: ResticStand, ...words: string[]) =>
  String((await stand.json(0, 'backup', 'dev', ...words)).name);

describe('backups in a repository of restic', { skip: missing !== undefined, timeout: 120_000 }, () => {
  it('bring a tree back with every attribute that restic knows, through GAIA and by hand', async (t) => {
    // A folder inside the staged tree's path may not make it longer than the kernel takes, so the stand lies high up.
    const root = '/tmp/gaia-nasty-restic';
    const gone = () => {
      for (const each of readdirSync('/tmp').filter((found) => found.startsWith('gaia-nasty-restic')))
        rmSync(join('/tmp', each), { recursive: true, force: true });
    };
    gone();
    t.after(gone);
    const stand = makeResticStand(t, { root });
    const nasty = join(root, 'r');
    assert.equal((await run('python3', [maker, nasty])).exit, 0);
    withoutWhatIsLost(nasty);
    const kept = await copyOf(nasty, `${root}-kept`);
    const backup = await stand.gaia('backup', 'dev');
    assert.equal(backup.exit, 0, backup.stdout + backup.stderr);
    assert.match(backup.stderr, /a socket/, 'what was left out is said');
    assert.match(backup.stderr, /a fifo/);
    assert.match(backup.stderr, /restic before 0\.16 does not: files\/dev\/r\/symlink not utf-8/);
    assert.equal((await stand.json(0, 'verify', 'latest', '--target', 'dev', '--deep')).state, 'sound');
    rmSync(nasty, { recursive: true });
    const restored = await stand.gaia('restore', 'dev', '--yes');
    assert.equal(restored.exit, 0, restored.stdout + restored.stderr);
    assert.equal(await differences(kept, nasty, '--kinds-left-out'), '');
    assert.equal(existsSync(join(nasty, 'a socket')), false);
    assert.equal(rowsOf(stand.database), 10);
    assert.deepEqual(leftBehind(stand.home), []);
    rmSync(nasty, { recursive: true });
    const pointer = readdirSync(join(stand.backups, 'dev')).find((each) => each.endsWith('.restic')) as string;
    const byHand = await run('sh', [join(stand.backups, 'dev', pointer)]);
    assert.equal(byHand.exit, 0, byHand.stderr);
    const ignored = ['--ignore', 'symlink not utf-8'];
    assert.equal(await differences(kept, nasty, '--kinds-left-out', ...ignored), '');
    assert.equal(rowsOf(stand.database), 10);
    assert.equal(JSON.parse(readFileSync(join(root, 'state', 'RESTORED.json'), 'utf8')).backup, pointer);
  });

  it('are restored in parts, undone, and verified', async (t) => {
    const stand = makeResticStand(t);
    const at = (path: string) => join(stand.root, path);
    const read = (path: string) => readFileSync(at(path), 'utf8');
    mkdirSync(at('größe/*[a]$HOME'), { recursive: true });
    writeFileSync(at('größe/*[a]$HOME/maß'), 'first');
    writeFileSync(at('größe/xa'), 'first');
    await backUp(stand);
    const change = (says: string) => {
      for (const path of ['größe/*[a]$HOME/maß', 'größe/xa', 'notes']) writeFileSync(at(path), says);
    };
    change('second');
    fillDatabase(stand.database, 5);
    await stand.json(0, 'restore', 'dev', '--yes', '--only', 'größe/*[a]$HOME');
    assert.deepEqual([read('größe/*[a]$HOME/maß'), read('größe/xa'), read('notes')], ['first', 'second', 'second']);
    assert.equal(rowsOf(stand.database), 15);
    await stand.json(0, 'restore', 'dev', '--yes', '--only', 'db');
    assert.equal(rowsOf(stand.database), 10);
    assert.equal(read('notes'), 'second');
    fillDatabase(stand.database, 3);
    await stand.json(0, 'restore', 'dev', '--yes', '--only', 'files');
    assert.deepEqual([read('größe/xa'), read('notes')], ['first', 'the first state\n']);
    assert.equal(rowsOf(stand.database), 13);
    change('third');
    await stand.json(0, 'restore', 'dev', '--yes');
    assert.equal(rowsOf(stand.database), 10);
    await stand.json(0, 'undo', 'dev', '--yes');
    assert.deepEqual([read('größe/*[a]$HOME/maß'), read('notes')], ['third', 'third']);
    assert.equal(rowsOf(stand.database), 13);
    const none = await stand.gaia('restore', 'dev', '--yes', '--only', 'größe/no such');
    assert.equal(none.exit, 5, none.stderr);
    assert.equal((await stand.json(0, 'verify', 'latest', '--target', 'dev')).state, 'sound');
    assert.deepEqual(leftBehind(stand.home), []);
  });

  it('hold the databases alone where only they are wanted', async (t) => {
    const stand = makeResticStand(t);
    const whole = await backUp(stand);
    fillDatabase(stand.database, 5);
    const alone = await backUp(stand, '--only', 'db');
    const held = await stand.restic('ls', '--tag', `leveredge-databases,backup=${alone}`, 'latest');
    assert.match(held, /events\.db/);
    assert.doesNotMatch(held, /notes/);
    const refused = await stand.gaia('restore', 'dev', '--backup', alone, '--yes');
    assert.equal(refused.exit, 2, refused.stderr);
    fillDatabase(stand.database, 5);
    await stand.json(0, 'restore', 'dev', '--only', 'db', '--yes');
    assert.equal(rowsOf(stand.database), 15);
    assert.equal((await stand.json(0, 'verify', alone, '--deep')).state, 'sound');
    await stand.json(0, 'restore', 'dev', '--yes');
    assert.equal(rowsOf(stand.database), 10, whole);
  });

  it('go through a server that wants a password, which is shown nowhere', { skip: noServer }, async (t) => {
    const home = folder(t);
    const repository = join(home, 'repository');
    const server = await serve(t, repository);
    const stand = makeResticStand(t, { home, repository, address: server.address });
    const shown: string[] = [];
    for (const [exit, ...words] of [
      [0, 'backup', 'dev'],
      [0, 'verify', 'latest', '--target', 'dev', '--deep'],
      [0, 'restore', 'dev', '--yes'],
      [0, 'repository', 'list'],
      [0, 'repository', 'check'],
      [0, 'repository', 'new'],
      [0, 'runbook', 'latest', '--target', 'dev'],
      [0, 'plan', 'dev'],
      [0, 'list', '--json'],
      [0, 'prune', '--yes'],
      [0, 'doctor'],
    ] as const) {
      const { exit: ended, stdout, stderr } = await stand.gaia(...words);
      shown.push(stdout, stderr);
      assert.equal(ended, exit, `${words.join(' ')}: ${stdout}${stderr}`);
    }
    assert.equal(readFileSync(join(stand.root, 'notes'), 'utf8'), 'the first state\n');
    await server.stop();
    const down = await stand.gaia('repository', 'list');
    assert.equal(down.exit, 4, down.stderr);
    shown.push(down.stderr);
    assert.doesNotMatch(shown.join('\n'), /hunter2/);
    const found = await run('grep', ['-rl', 'hunter2', home]);
    const runs = found.stdout.split('\n').filter((file) => file !== '' && file !== stand.config);
    for (const file of runs) {
      assert.match(file, /\/runs\/[^/]+\/request\.json$/);
      assert.equal(statSync(file).mode & 0o777, 0o600, file);
    }
  });

  it('are found again in the repository when the folder of backups is lost', async (t) => {
    const stand = makeResticStand(t);
    const first = await backUp(stand);
    writeFileSync(join(stand.root, 'notes'), 'second');
    const second = await backUp(stand);
    rmSync(stand.backups, { recursive: true });
    // A name has the second in it, and nothing knows any more that it is taken.
    await pause(1_100);
    // One that is made before anybody thinks of it does not hide the others.
    writeFileSync(join(stand.root, 'notes'), 'third');
    const third = await backUp(stand);
    const { fetched, orphans } = await stand.json(0, 'repository', 'fetch');
    assert.deepEqual([(fetched as string[]).sort(), orphans], [[first, second].sort(), []]);
    const { backups } = (await stand.json(0, 'list')) as { backups: { name: string; state: string }[] };
    assert.deepEqual(
      backups.map(({ name, state }) => [name, state]),
      [third, second, first].map((name) => [name, 'sound']),
    );
    for (const [name, says] of [
      [first, 'the first state\n'],
      [second, 'second'],
    ] as const) {
      await stand.json(0, 'restore', 'dev', '--yes', '--backup', name);
      assert.equal(readFileSync(join(stand.root, 'notes'), 'utf8'), says);
    }
    assert.match((await stand.gaia('repository', 'fetch')).stdout, /Nothing is missing/);
  });
});
