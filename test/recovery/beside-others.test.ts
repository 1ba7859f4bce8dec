import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import {
  closeSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, it } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { differences, folder, leftBehind, makeStand, rowsOf } from './gaia.fixtures.ts';

/** Adds rows in transactions of its own until it is ended, and prints how many are on disk. */
const writer = `
  const { DatabaseSync } = require('node:sqlite');
  const db = new DatabaseSync(process.argv[1], { timeout: 10000 });
  if (process.argv[2] === 'delete') db.exec('PRAGMA journal_mode = DELETE');
  const insert = db.prepare("INSERT INTO event (text) VALUES (?)");
  let n = 0;
  for (;;) { insert.run('x'.repeat(500)); if (++n % 50 === 0) process.stdout.write(n + '\\n'); }
`;

describe('GAIA beside other processes', { timeout: 300_000 }, () => {
  for (const mode of ['wal', 'delete'])
    it(`copies a database in mode ${mode} that is written all the while, whole and in bounded time`, async (t) => {
      const stand = makeStand(t, { rows: 20_000 });
      const child = spawn(process.execPath, ['-e', writer, stand.database, mode]);
      t.after(() => child.kill('SIGKILL'));
      let written = 0;
      child.stdout.setEncoding('utf8').on('data', (text) => {
        written = Number(text.trim().split('\n').at(-1));
      });
      let complaint = '';
      child.stderr.setEncoding('utf8').on('data', (text) => {
        complaint += text;
      });
      while (written < 200) await pause(20);
      const acknowledged = written;
      const began = performance.now();
      const { exit, stderr } = await stand.gaia('backup', 'dev');
      assert.equal(exit, 0, stderr);
      assert.ok(performance.now() - began < 60_000);
      await pause(200);
      assert.ok(written > acknowledged, `the writer went on: ${complaint}`);
      child.kill('SIGKILL');
      assert.equal(complaint, '');
      assert.equal((await stand.gaia('restore', 'dev', '--yes')).exit, 9);
      const restored = new DatabaseSync(stand.database);
      assert.equal(restored.prepare('PRAGMA integrity_check').get()?.integrity_check, 'ok');
      restored.close();
      const rows = rowsOf(stand.database) - 20_000;
      assert.ok(rows >= acknowledged, `${rows} rows, and ${acknowledged} were on disk before`);
    });

  it('finds a database that the configuration does not name, and copies it by SQLite too', async (t) => {
    const stand = makeStand(t);
    const hidden = join(stand.root, 'n8n', 'database.sqlite');
    mkdirSync(join(stand.root, 'n8n'));
    const db = new DatabaseSync(hidden);
    // In the log only, with the database file itself nearly empty: a copy of that file alone would hold nothing.
    db.exec('PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0; CREATE TABLE event (n INTEGER)');
    for (let i = 0; i < 100; i++) db.exec(`INSERT INTO event VALUES (${i})`);
    assert.equal((await stand.gaia('backup', 'dev')).exit, 0);
    db.close();
    assert.equal((await stand.gaia('restore', 'dev', '--yes')).exit, 9);
    assert.equal(rowsOf(hidden), 100);
  });

  it('refuses to restore below a process that writes there, names it, and goes on when told to', async (t) => {
    const stand = makeStand(t);
    assert.equal((await stand.gaia('backup', 'dev')).exit, 0);
    const fd = openSync(join(stand.root, 'notes'), 'a');
    const refused = await stand.gaia('restore', 'dev', '--yes');
    assert.equal(refused.exit, 6, refused.stderr);
    assert.match(refused.stderr, new RegExp(`\\b${process.pid}\\b`));
    assert.match(refused.stderr, /notes/);
    assert.deepEqual(leftBehind(stand.home), []);
    assert.equal((await stand.gaia('restore', 'dev', '--yes', '--ignore-open')).exit, 9);
    closeSync(fd);
  });

  it('lets a program only read, and stand in the folder', async (t) => {
    const stand = makeStand(t);
    assert.equal((await stand.gaia('backup', 'dev')).exit, 0);
    const reader = spawn('sleep', ['60'], {
      cwd: stand.root,
      stdio: [openSync(join(stand.root, 'notes'), 'r'), 'ignore', 'ignore'],
    });
    t.after(() => reader.kill('SIGKILL'));
    await pause(100);
    assert.equal((await stand.gaia('restore', 'dev', '--yes')).exit, 9);
  });

  it('does one thing at a time, and says who works', async (t) => {
    const stand = makeStand(t);
    for (let i = 0; i < 300; i++)
      writeFileSync(join(stand.root, `random-${i}`), crypto.getRandomValues(new Uint8Array(65536)));
    const both = await Promise.all(['a', 'b', 'c', 'd'].map(() => stand.gaia('backup', 'dev')));
    const exits = both.map(({ exit }) => exit);
    assert.ok(exits.includes(0), `${exits}`);
    for (const { exit, stderr } of both)
      if (exit !== 0) {
        assert.equal(exit, 6, stderr);
        assert.match(stderr, /process \d+/);
      }
    const names = readdirSync(join(stand.backups, 'dev')).filter((name) => name.endsWith('.tar.zst'));
    assert.equal(names.length, exits.filter((exit) => exit === 0).length);
    assert.deepEqual(leftBehind(stand.backups), []);
  });

  it('is not stopped by a lock of a process that is dead, or of before a reboot', async (t) => {
    const stand = makeStand(t);
    assert.equal((await stand.gaia('backup', 'dev')).exit, 0);
    const left = {
      pid: process.pid,
      boot_id: '00000000-0000-0000-0000-000000000000',
      start_time: 1,
      verb: 'restore dev',
    };
    for (const lock of [left, { ...left, pid: 4_000_000 }, 'half writ']) {
      writeFileSync(join(stand.backups, '.gaia', 'lock.json'), typeof lock === 'string' ? lock : JSON.stringify(lock));
      const { exit, stderr } = await stand.gaia('backup', 'dev');
      assert.equal(exit, 0, stderr);
    }
  });

  it('takes no archive with the manifest of another', async (t) => {
    const stand = makeStand(t);
    assert.equal((await stand.gaia('backup', 'dev')).exit, 0);
    writeFileSync(join(stand.root, 'notes'), 'the second state\n');
    await pause(1100);
    assert.equal((await stand.gaia('backup', 'dev')).exit, 0);
    const at = join(stand.backups, 'dev');
    const [older, newer] = readdirSync(at)
      .filter((name) => name.endsWith('.tar.zst'))
      .sort();
    copyFileSync(join(at, older as string), join(at, newer as string));
    const verified = await stand.gaia('verify', newer as string);
    assert.equal(verified.exit, 7, verified.stderr);
    const before = readFileSync(join(stand.root, 'notes'), 'utf8');
    const restored = await stand.gaia('restore', 'dev', '--backup', newer as string, '--yes');
    assert.equal(restored.exit, 7, restored.stderr);
    assert.equal(readFileSync(join(stand.root, 'notes'), 'utf8'), before);
    assert.deepEqual(leftBehind(stand.home), []);
  });

  it('restores one path and leaves all others as they are', async (t) => {
    const stand = makeStand(t);
    assert.equal((await stand.gaia('backup', 'dev')).exit, 0);
    writeFileSync(join(stand.root, 'notes'), 'changed\n');
    writeFileSync(join(stand.root, 'compose.yml'), 'changed too\n');
    assert.equal((await stand.gaia('restore', 'dev', '--only', 'notes', '--yes')).exit, 9);
    assert.equal(readFileSync(join(stand.root, 'notes'), 'utf8'), 'the first state\n');
    assert.equal(readFileSync(join(stand.root, 'compose.yml'), 'utf8'), 'changed too\n');
    assert.equal(existsSync(join(stand.root, 'state', 'RESTORED.json')), false);
    const missing = await stand.gaia('restore', 'dev', '--only', 'no/such', '--yes');
    assert.equal(missing.exit, 5, missing.stderr);
    const outside = await stand.gaia('restore', 'dev', '--only', '../prod', '--yes');
    assert.equal(outside.exit, 2, outside.stderr);
  });

  it('undoes a restore, and undoes the undo', async (t) => {
    const stand = makeStand(t);
    assert.equal((await stand.gaia('backup', 'dev')).exit, 0);
    writeFileSync(join(stand.root, 'notes'), 'the second state\n');
    const notes = () => readFileSync(join(stand.root, 'notes'), 'utf8');
    assert.equal((await stand.gaia('restore', 'dev', '--yes')).exit, 9);
    assert.equal(notes(), 'the first state\n');
    assert.ok(existsSync(join(stand.root, 'state', 'RESTORED.json')));
    assert.equal((await stand.gaia('undo', 'dev', '--yes')).exit, 9);
    assert.equal(notes(), 'the second state\n');
    assert.equal((await stand.gaia('undo', 'dev', '--yes')).exit, 9);
    assert.equal(notes(), 'the first state\n');
  });

  it('touches nothing that the configuration leaves out', async (t) => {
    const stand = makeStand(t, { more: 'exclude: [media, "**/*.cache"]' });
    mkdirSync(join(stand.root, 'media'));
    writeFileSync(join(stand.root, 'media', 'film'), 'large');
    mkdirSync(join(stand.root, 'n8n'));
    writeFileSync(join(stand.root, 'n8n', 'a.cache'), 'of before');
    writeFileSync(join(stand.root, 'n8n', 'b'), 'of before');
    assert.equal((await stand.gaia('backup', 'dev')).exit, 0);
    writeFileSync(join(stand.root, 'n8n', 'a.cache'), 'of after');
    writeFileSync(join(stand.root, 'n8n', 'b'), 'of after');
    assert.equal((await stand.gaia('restore', 'dev', '--yes')).exit, 9);
    assert.equal(readFileSync(join(stand.root, 'media', 'film'), 'utf8'), 'large');
    assert.equal(readFileSync(join(stand.root, 'n8n', 'a.cache'), 'utf8'), 'of after');
    assert.equal(readFileSync(join(stand.root, 'n8n', 'b'), 'utf8'), 'of before');
    const whole = join(folder(t), 'whole');
    mkdirSync(whole);
    assert.notEqual(await differences(whole, stand.root), '', 'the comparer sees differences at all');
  });
});
