import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { it } from 'node:test';
import { fillDatabase, folder, makeStand, rowsOf } from './gaia.fixtures.ts';

/** Writes rows and ends without closing the database, so that they are in its log alone. */
function writeAndDie(database: string, rows: number): void {
  const program = `
    const db = new (require('node:sqlite').DatabaseSync)(process.argv[1]);
    for (let n = 0; n < ${rows}; n++) db.exec("INSERT INTO event (text) VALUES ('late')");
    process.kill(process.pid, 'SIGKILL');`;
  const { signal } = spawnSync(process.execPath, ['-e', program, database]);
  assert.equal(signal, 'SIGKILL');
}

it('takes the log of a database along that is named by a symlink and lies outside the folders', async (t) => {
  const stand = makeStand(t);
  const real = join(stand.home, 'elsewhere', 'real.db');
  mkdirSync(join(stand.home, 'elsewhere'));
  renameSync(stand.database, real);
  symlinkSync(real, stand.database);
  writeAndDie(stand.database, 5);
  assert.equal((await stand.gaia('backup', 'dev')).exit, 0);
  assert.equal((await stand.gaia('restore', 'dev', '--yes')).exit, 9);
  assert.equal(rowsOf(real), 15);
});

it('keeps what each of several restores in one second has put aside', async (t) => {
  const stand = makeStand(t);
  assert.equal((await stand.gaia('backup', 'dev')).exit, 0);
  const states = ['second', 'third', 'fourth', 'fifth'];
  for (const state of states) {
    writeFileSync(join(stand.root, 'notes'), state);
    const { exit, stderr } = await stand.gaia('restore', 'dev', '--only', 'notes', '--yes', '--here');
    assert.equal(exit, 9, stderr);
  }
  const aside = readdirSync(stand.root).filter((name) => name.startsWith('notes.pre-restore.'));
  assert.deepEqual(aside.map((name) => readFileSync(join(stand.root, name), 'utf8')).sort(), states.sort());
  assert.equal((await stand.gaia('undo', 'dev', '--yes', '--here')).exit, 9);
  assert.equal(readFileSync(join(stand.root, 'notes'), 'utf8'), 'fifth');
});

it('restores no part of a target through a symlink that leads out of it', async (t) => {
  const stand = makeStand(t);
  mkdirSync(join(stand.root, 'conf'));
  writeFileSync(join(stand.root, 'conf', 'x'), 'of the backup');
  fillDatabase(join(stand.root, 'conf', 'found.db'), 3);
  assert.equal((await stand.gaia('backup', 'dev')).exit, 0);
  const outside = join(stand.home, 'outside');
  mkdirSync(outside);
  writeFileSync(join(outside, 'x'), 'of somebody else');
  fillDatabase(join(outside, 'found.db'), 4);
  renameSync(join(stand.root, 'conf'), join(stand.home, 'conf.moved'));
  symlinkSync(outside, join(stand.root, 'conf'));
  const before = readdirSync(outside);
  for (const only of ['conf/x', 'conf/found.db', 'db']) {
    const { exit, stderr } = await stand.gaia('restore', 'dev', '--only', only, '--yes');
    assert.equal(exit, 6, stderr);
    assert.match(stderr, /symlink/);
  }
  assert.deepEqual(readdirSync(outside), before);
  assert.equal(readFileSync(join(outside, 'x'), 'utf8'), 'of somebody else');
});

it('restores one file below a folder whose name is not of ASCII letters', async (t) => {
  const stand = makeStand(t);
  const file = join(stand.root, 'größe', 'maß');
  mkdirSync(join(stand.root, 'größe'));
  writeFileSync(file, 'first');
  assert.equal((await stand.gaia('backup', 'dev')).exit, 0);
  writeFileSync(file, 'second');
  const { exit, stderr } = await stand.gaia('restore', 'dev', '--only', 'größe/maß', '--yes');
  assert.equal(exit, 9, stderr);
  assert.equal(readFileSync(file, 'utf8'), 'first');
});

it('leaves a database that the backup does not know where it is when only files are restored', async (t) => {
  const stand = makeStand(t);
  assert.equal((await stand.gaia('backup', 'dev')).exit, 0);
  const later = join(stand.root, 'state', 'later.db');
  fillDatabase(later, 3);
  writeAndDie(later, 2);
  writeFileSync(join(stand.root, 'state', 'RESTORED.json'), '{}');
  writeFileSync(join(stand.root, 'notes'), 'second');
  const { exit, stderr } = await stand.gaia('restore', 'dev', '--only', 'files', '--yes');
  assert.equal(exit, 9, stderr);
  assert.equal(readFileSync(join(stand.root, 'notes'), 'utf8'), 'the first state\n');
  assert.equal(rowsOf(later), 5);
  assert.ok(readdirSync(join(stand.root, 'state')).includes('RESTORED.json'));
});

it('puts aside by an undo what came since, where an excluded folder lets the folders around it stay', async (t) => {
  const stand = makeStand(t, { more: 'exclude: [cache, "*.log"]' });
  mkdirSync(join(stand.root, 'cache'));
  assert.equal((await stand.gaia('backup', 'dev')).exit, 0);
  writeFileSync(join(stand.root, 'notes'), 'second');
  assert.equal((await stand.gaia('restore', 'dev', '--yes')).exit, 9);
  writeFileSync(join(stand.root, 'since'), 'of the restored state');
  writeFileSync(join(stand.root, 'since.log'), 'excluded');
  writeFileSync(join(stand.root, 'cache', 'c'), 'excluded');
  const undone = await stand.gaia('undo', 'dev', '--yes');
  assert.equal(undone.exit, 9, undone.stderr);
  assert.deepEqual(readdirSync(stand.root).sort(), ['cache', 'compose.yml', 'notes', 'since.log', 'state']);
  assert.equal(readFileSync(join(stand.root, 'notes'), 'utf8'), 'second');
  const again = await stand.gaia('undo', 'dev', '--yes');
  assert.equal(again.exit, 9, again.stderr);
  assert.equal(readFileSync(join(stand.root, 'since'), 'utf8'), 'of the restored state');
  assert.equal(readFileSync(join(stand.root, 'notes'), 'utf8'), 'the first state\n');
});

it('says what to do about a database that a program left in the middle of a change', async (t) => {
  const stand = makeStand(t);
  const program = `
    const db = new (require('node:sqlite').DatabaseSync)(process.argv[1]);
    db.exec('PRAGMA journal_mode = DELETE; PRAGMA cache_size = 5');
    db.exec("BEGIN; UPDATE event SET text = hex(randomblob(2000))");
    process.kill(process.pid, 'SIGKILL');`;
  fillDatabase(stand.database, 500);
  spawnSync(process.execPath, ['-e', program, stand.database]);
  assert.ok(readdirSync(join(stand.root, 'state')).includes('events.db-journal'));
  const { exit, stderr } = await stand.gaia('backup', 'dev');
  assert.equal(exit, 4, stderr);
  assert.match(stderr, /in the middle of a change/);
  assert.match(stderr, /sqlite3/);
});

it('leaves the folder of backups where it is that lies within the target, also through a symlink', async (t) => {
  const home = folder(t);
  const root = join(home, 'all');
  const real = join(root, 'var', 'backups');
  mkdirSync(real, { recursive: true });
  symlinkSync(real, join(home, 'link'));
  for (const backups of [real, join(home, 'link')]) {
    const stand = makeStand(t, { home, root, backups });
    writeFileSync(join(root, 'notes'), 'first');
    assert.equal((await stand.gaia('backup', 'dev')).exit, 0);
    writeFileSync(join(root, 'notes'), 'second');
    writeFileSync(join(root, 'var', 'since'), '');
    const kept = readdirSync(join(real, 'dev'));
    for (const [words, says, beside] of [
      [['restore', 'dev'], 'first', ['backups']],
      [['undo', 'dev'], 'second', ['backups', 'since']],
      [['restore', 'dev', '--only', 'var'], 'second', ['backups']],
    ] as const) {
      const { exit, stderr } = await stand.gaia(...words, '--yes');
      assert.equal(exit, 9, stderr);
      assert.equal(readFileSync(join(root, 'notes'), 'utf8'), says);
      assert.deepEqual(readdirSync(join(root, 'var')), beside);
      assert.deepEqual(readdirSync(join(real, 'dev')), kept);
    }
  }
});
