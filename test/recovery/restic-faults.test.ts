import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { cannotMount, smallDisk } from '../faults/small-disk.ts';
import { leftBehind, rowsOf, run } from './gaia.fixtures.ts';
import {
  backupFiles,
  fill,
  makeResticStand,
  notHere,
  overwrite,
  packsOf,
  type ResticStand,
  start,
  until,
} from './restic.fixtures.ts';

const missing = notHere('restic');
if (missing !== undefined)
  console.log(`NOT RUN: a repository of restic that is not as it should be: there is no ${missing}`);
const noMount = cannotMount();
if (noMount !== undefined) console.log(`SKIPPED: a full repository, and a machine without restic: ${noMount}`);

const backUp = async (stand: ResticStand) => String((await stand.json(0, 'backup', 'dev')).name);
const notes = ({ root }: ResticStand) => readFileSync(join(root, 'notes'), 'utf8');

/** Exit code and sentence of each command; nothing live was changed, and no backup came of it. */
async function refused(stand: ResticStand, exit: number, says: RegExp, ...commands: string[][]): Promise<void> {
  const [before, files] = [notes(stand), backupFiles(stand.backups)];
  for (const words of commands) {
    const began = performance.now();
    const ended = await stand.gaia(...words);
    const all = `${words.join(' ')}: ${ended.stdout}${ended.stderr}`;
    assert.equal(ended.exit, exit, all);
    assert.match(`${ended.stdout}${ended.stderr}`, says, all);
    assert.doesNotMatch(ended.stderr, /\n\s+at /, 'a stack was shown');
    assert.ok(performance.now() - began < 30_000, `${words} took too long`);
  }
  assert.equal(notes(stand), before);
  assert.deepEqual(backupFiles(stand.backups), files);
  assert.deepEqual(leftBehind(stand.home), []);
}

const everything = [
  ['backup', 'dev'],
  ['restore', 'dev', '--yes'],
  ['verify', 'latest', '--target', 'dev'],
  ['repository', 'list'],
  ['repository', 'check'],
  ['repository', 'fetch'],
];

/** A stand with a backup of some MiB, and another state in its place. */
async function withBackup(t: TestContext): Promise<{ stand: ResticStand; name: string }> {
  const stand = makeResticStand(t);
  fill(stand.root, 2);
  const name = await backUp(stand);
  writeFileSync(join(stand.root, 'notes'), 'changed\n');
  return { stand, name };
}

/** Without the list that is kept here: as on another machine. */
function forgetLists(stand: ResticStand): void {
  rmSync(join(stand.backups, '.gaia', 'lists'), { recursive: true, force: true });
}

describe('a repository of restic', { skip: missing !== undefined, timeout: 120_000 }, () => {
  it('in which something reads back as something else than was written holds no backup', async (t) => {
    const { stand, name } = await withBackup(t);
    const wrong = join(stand.repository, 'data', '00', `00${'ab'.repeat(31)}`);
    mkdirSync(dirname(wrong), { recursive: true });
    writeFileSync(wrong, 'not what its name says');
    await refused(stand, 7, /reads back as something else: .*\/data\/00\/00abab/, ['backup', 'dev']);
    // What was stored of it is forgotten again, so that a fetch brings it from nowhere.
    assert.equal(
      (await stand.restic('snapshots', '--tag', 'leveredge-whole', '--json')).match(/"short_id"/g)?.length,
      1,
    );
    assert.notEqual(await backUp(stand), name);
  });

  it('that is not there, or does not open, is told in a sentence', async (t) => {
    const { stand } = await withBackup(t);
    const { passwordFile, repository } = stand;
    writeFileSync(passwordFile, 'wrong\n');
    forgetLists(stand);
    await refused(stand, 3, /The password does not open .*repository/, ...everything, ['repository', 'new']);
    writeFileSync(passwordFile, '');
    await refused(stand, 2, /restic-password is empty/, ['backup', 'dev'], ['restore', 'dev', '--yes']);
    rmSync(passwordFile);
    await refused(stand, 5, /There is no .*restic-password.*\n.*recovery kit/, ['backup', 'dev']);
    writeFileSync(passwordFile, 'pw\n');
    chmodSync(passwordFile, 0o644);
    await refused(stand, 3, /restic-password/, ['backup', 'dev']);
    chmodSync(passwordFile, 0o600);
    renameSync(repository, `${repository}.away`);
    await refused(stand, 5, /There is no repository at .*\n.*gaia repository new/, ...everything);
    const made = await stand.gaia('repository', 'new');
    assert.equal(made.exit, 0, made.stderr);
    assert.match(made.stdout + made.stderr, /made[\s\S]*gaia kit/);
    await refused(stand, 5, /does not have that backup any more|no backups of LeverEdge/, ['restore', 'dev', '--yes']);
    rmSync(repository, { recursive: true });
    renameSync(`${repository}.away`, repository);
    await stand.json(0, 'restore', 'dev', '--yes');
    assert.equal(notes(stand), 'the first state\n');
  });

  it('needs restic, and says so where there is none', { skip: noMount }, async (t) => {
    const { stand } = await withBackup(t);
    for (const words of [...everything, ['repository', 'new']]) {
      const { program, args, env } = stand.command(...words);
      const script = 'mount --bind /dev/null "$(command -v restic)" && exec "$@"';
      const ended = await run('unshare', ['--mount', 'sh', '-c', script, 'sh', program, ...args], {
        LEVEREDGE_HOME: String(env.LEVEREDGE_HOME),
      });
      assert.equal(ended.exit, 5, ended.stdout + ended.stderr);
      assert.match(ended.stderr, /There is no restic on this machine[\s\S]*apt-get install restic/);
    }
    assert.equal(notes(stand), 'changed\n');
    assert.deepEqual(leftBehind(stand.home), []);
  });

  it('that somebody works on is left alone, and one that somebody has left locked is not', async (t) => {
    const { stand } = await withBackup(t);
    const env = { RESTIC_REPOSITORY: stand.repository, RESTIC_PASSWORD_FILE: stand.passwordFile };
    const other = spawn('restic', ['--no-cache', '--limit-download', '1', 'check', '--read-data'], {
      env: { PATH: process.env.PATH, HOME: stand.home, ...env },
      stdio: 'ignore',
    });
    t.after(() => other.kill('SIGKILL'));
    await until('a lock', () => readdirSync(join(stand.repository, 'locks')).some((name) => !name.includes('tmp')));
    other.kill('SIGSTOP');
    forgetLists(stand);
    await refused(stand, 6, /Somebody else works on .*PID \d+[\s\S]*restic unlock/, ...everything);
    const ended = once(other, 'exit');
    other.kill('SIGKILL');
    await ended;
    await stand.json(0, 'restore', 'dev', '--yes');
    assert.equal(notes(stand), 'the first state\n');
    await backUp(stand);
    assert.deepEqual(readdirSync(join(stand.repository, 'locks')), []);
  });

  it('whose contents are damaged is found out before anything live is touched', async (t) => {
    const { stand, name } = await withBackup(t);
    const [largest = ''] = packsOf(stand.repository);
    const flip = () =>
      overwrite(largest, (bytes) => {
        bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
      });
    flip();
    const damagedCommands = [
      ['verify', name],
      ['restore', 'dev', '--yes', '--backup', name],
    ];
    await refused(stand, 7, /is damaged|DAMAGED/, ...damagedCommands);
    flip();
    assert.equal((await stand.json(0, 'verify', name)).state, 'sound');
    // Contents, and then the pack that says which files there are, of which restic has a copy in its cache.
    const cache = join(stand.home, 'cache');
    const cached = (readdirSync(cache, { recursive: true }) as string[]).filter((path) => /\/data\/../.test(path));
    const ofTrees = packsOf(stand.repository).filter((pack) => cached.some((path) => path.endsWith(basename(pack))));
    assert.ok(ofTrees.length > 0, 'nothing is cached');
    const move = (packs: readonly string[], back: boolean) => {
      for (const pack of packs) {
        const aside = join(stand.home, basename(pack));
        renameSync(back ? aside : pack, back ? pack : aside);
      }
    };
    move([largest], false);
    await refused(
      stand,
      7,
      /is damaged|DAMAGED/,
      ['repository', 'check'],
      ['restore', 'dev', '--yes', '--backup', name],
    );
    move([largest], true);
    move(ofTrees, false);
    await refused(stand, 7, /DAMAGED/, ['verify', name]);
    move(ofTrees, true);
    // restic itself passes over a folder that it cannot read when it prints a whole snapshot.
    for (const pack of ofTrees) {
      const whole = readFileSync(pack);
      overwrite(pack, (bytes) => bytes.fill(0, 0, bytes.length - 600));
      await refused(stand, 7, /DAMAGED/, ['verify', name]);
      overwrite(pack, (bytes) => whole.copy(bytes));
    }
    assert.equal((await stand.json(0, 'verify', name, '--deep')).state, 'sound');
    await stand.json(0, 'repository', 'check');
    await stand.json(0, 'restore', 'dev', '--yes');
  });

  it('that is full leaves nothing that looks like a backup, and goes on when there is room', {
    skip: noMount,
  }, async (t) => {
    const disk = smallDisk(4);
    t.after(() => disk.remove());
    const repository = join(disk.folder, 'repository');
    const stand = makeResticStand(t, { repository });
    const before = backupFiles(stand.backups);
    fill(stand.root, 6);
    const full = await stand.gaia('backup', 'dev');
    assert.equal(full.exit, 1, full.stderr);
    assert.match(full.stderr, /There is no room left at .*[\s\S]*gaia prune/);
    assert.deepEqual(backupFiles(stand.backups), before);
    disk.growTo(32);
    const name = await backUp(stand);
    assert.equal((await stand.json(0, 'verify', name, '--deep')).state, 'sound');
  });

  it('that can only be read is read all the same', { skip: noMount }, async (t) => {
    const disk = smallDisk(16);
    t.after(() => disk.remove());
    const stand = makeResticStand(t, { repository: join(disk.folder, 'repository') });
    const name = await backUp(stand);
    writeFileSync(join(stand.root, 'notes'), 'changed\n');
    assert.equal((await run('mount', ['-o', 'remount,ro', disk.folder])).exit, 0);
    await refused(stand, 1, /The file system of .* is read-only/, ['backup', 'dev']);
    assert.equal((await stand.json(0, 'verify', name, '--deep')).state, 'sound');
    await stand.json(0, 'repository', 'check');
    await stand.json(0, 'restore', 'dev', '--yes');
    assert.equal(notes(stand), 'the first state\n');
  });
});

describe('a backup in a repository of restic', { skip: missing !== undefined, timeout: 120_000 }, () => {
  it('is what was signed, whatever else is put in its place', async (t) => {
    const { stand, name } = await withBackup(t);
    const at = (end: string) => join(stand.backups, 'dev', name.replace('.restic', end));
    for (const [file, from, to] of [
      [at('.restic'), 'set -eu', 'set -eU'],
      [at('.manifest.json'), '"files":', '"filez":'],
      [at('.manifest.json'), '"id": "', '"id": "0'],
    ] as const) {
      const whole = readFileSync(file);
      writeFileSync(file, whole.toString('utf8').replace(from, to));
      await refused(stand, 7, /DAMAGED/, ['verify', name]);
      if (!file.endsWith('.restic'))
        await refused(stand, 7, /damaged|trusted/, ['restore', 'dev', '--yes', '--backup', name]);
      writeFileSync(file, whole);
    }
    // Another snapshot, which has the same tags and says that it is the same.
    const snapshots = JSON.parse(await stand.restic('snapshots', '--json')) as Snapshot[];
    const contents = snapshots.find(({ tags }) => tags.includes('leveredge-whole')) as Snapshot;
    const list = snapshots.find(({ tags }) => tags.includes('leveredge-catalogue')) as Snapshot;
    const forge = (tags: string[]) => stand.restic('backup', '--tag', tags.join(','), '--', stand.root);
    await forge(contents.tags);
    await forge(list.tags);
    forgetLists(stand);
    assert.equal((await stand.json(0, 'verify', name)).state, 'sound');
    await stand.json(0, 'restore', 'dev', '--yes', '--backup', name);
    assert.equal(notes(stand), 'the first state\n');
    // One that is damaged and none of its own.
    const others = JSON.parse(await stand.restic('snapshots', '--json')) as Snapshot[];
    const [other] = others.filter(({ id }) => id !== contents.id && id !== list.id);
    overwrite(join(stand.repository, 'snapshots', String(other?.id)), (bytes) => bytes.fill(0, 20, 40));
    forgetLists(stand);
    writeFileSync(join(stand.root, 'notes'), 'changed\n');
    await stand.json(0, 'restore', 'dev', '--yes', '--backup', name);
    assert.equal(notes(stand), 'the first state\n');
    await refused(stand, 7, /Error loading snapshot|reads back as something else/, ['backup', 'dev']);
    rmSync(join(stand.repository, 'snapshots', String(other?.id)));
    writeFileSync(join(stand.root, 'notes'), 'changed\n');
    await stand.restic('forget', contents.id);
    await refused(stand, 7, /DAMAGED.*does not have that backup any more/, ['verify', name]);
    await refused(stand, 5, /does not have that backup any more/, ['restore', 'dev', '--yes', '--backup', name]);
  });

  it('is never torn: what is written meanwhile is read again, or said to be not whole', async (t) => {
    const stand = makeResticStand(t);
    fill(stand.root, 8);
    const file = join(stand.root, 'written');
    writeFileSync(file, 'x');
    let stop = false;
    const writing = (async () => {
      for (let n = 0; !stop; n++) {
        writeFileSync(file, String(n).repeat(20_000));
        await pause(2);
      }
    })();
    const degraded = await stand.json(9, 'backup', 'dev');
    stop = true;
    await writing;
    assert.match(JSON.stringify(degraded.degraded), /changed while it was read: .*written/);
    const none = await stand.gaia('restore', 'dev', '--yes');
    assert.equal(none.exit, 5, 'it counts as the latest');
    const { snapshots } = { snapshots: JSON.parse(await stand.restic('snapshots', '--json')) as Snapshot[] };
    assert.equal(snapshots.length, 2, 'the attempts before it are still there');
    // Once only, while it reads: it is read again.
    const running = start(stand, 'backup', 'dev');
    await until('a lock', () => readdirSync(join(stand.repository, 'locks')).length > 0);
    writeFileSync(file, 'the last word');
    const { exit, stderr } = await running.ended;
    assert.equal(exit, 0, stderr);
    writeFileSync(file, 'changed');
    await stand.json(0, 'restore', 'dev', '--yes');
    assert.equal(readFileSync(file, 'utf8'), 'the last word');
  });

  it('has a database as it was in one moment, though it is written all the while', async (t) => {
    const stand = makeResticStand(t);
    const db = new DatabaseSync(stand.database);
    db.exec('CREATE TABLE pair (n INTEGER PRIMARY KEY, a INTEGER, b INTEGER); INSERT INTO pair VALUES (1, 0, 0)');
    let stop = false;
    const writing = (async () => {
      for (let n = 1; !stop; n++) {
        db.exec(
          `BEGIN; UPDATE pair SET a = ${n}; INSERT INTO event (text) VALUES ('w'); UPDATE pair SET b = ${n}; COMMIT`,
        );
        await pause(1);
      }
    })();
    const made = await stand.json(0, 'backup', 'dev');
    stop = true;
    await writing;
    db.close();
    assert.deepEqual(made.degraded, []);
    await stand.json(0, 'restore', 'dev', '--yes');
    const restored = new DatabaseSync(stand.database, { readOnly: true });
    assert.equal(restored.prepare('PRAGMA integrity_check').get()?.integrity_check, 'ok');
    const { a, b } = restored.prepare('SELECT a, b FROM pair').get() as { a: number; b: number };
    assert.equal(a, b);
    restored.close();
    assert.equal(rowsOf(stand.database), 10 + a);
  });
});

type Snapshot = { id: string; tags: string[] };
