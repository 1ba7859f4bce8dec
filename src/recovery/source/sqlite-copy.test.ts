import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readdirSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, it, type TestContext } from 'node:test';
import { Fault } from '../../base/fault.ts';
import { copySqlite } from './sqlite-copy.ts';

function folder(t: TestContext): string {
  const root = mkdtempSync(join(tmpdir(), 'sqlite-'));
  t.after(() => rmSync(root, { recursive: true }));
  return root;
}

/** Writes pairs that must always add up to zero, as fast as it can, until it is killed. */
const writer = `
  const { DatabaseSync } = require('node:sqlite');
  const database = new DatabaseSync(process.argv[1], { timeout: 10000 });
  database.exec('PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF; CREATE TABLE IF NOT EXISTS t(x); CREATE TABLE IF NOT EXISTS u(x)');
  const [a, b] = [database.prepare('INSERT INTO t VALUES (?)'), database.prepare('INSERT INTO u VALUES (?)')];
  for (let i = 0; ; i++) {
    database.exec('BEGIN'); a.run(i); b.run(-i); database.exec('COMMIT');
    if (i === 200) process.stdout.write('writing');
  }`;

describe('a copy of an SQLite database', () => {
  it('is of one moment while another process writes all the time, and ends', async (t) => {
    const root = folder(t);
    const live = join(root, 'live.db');
    const child = spawn(process.execPath, ['-e', writer, live], { stdio: ['ignore', 'pipe', 'inherit'] });
    t.after(() => child.kill('SIGKILL'));
    await once(child.stdout, 'data');
    for (let i = 0; i < 5; i++) {
      const copy = join(root, `copy-${i}`);
      assert.equal((await copySqlite(live, copy)).damage, undefined);
      const database = new DatabaseSync(copy);
      const row = database
        .prepare('SELECT (SELECT sum(x) FROM t) + (SELECT sum(x) FROM u) AS sum, (SELECT count(*) FROM t) AS n')
        .get() as { sum: number; n: number };
      database.close();
      assert.equal(row.sum, 0);
      assert.ok(row.n > 200);
    }
  });

  it('has mode and time of the original, and leaves nothing beside either', async (t) => {
    const root = folder(t);
    const live = join(root, 'live.db');
    const database = new DatabaseSync(live);
    database.exec('PRAGMA journal_mode=WAL; CREATE TABLE t(x)');
    database.close();
    chmodSync(live, 0o640);
    utimesSync(live, 1_600_000_000, 1_600_000_000);
    await copySqlite(live, join(root, 'copy'));
    assert.equal(statSync(join(root, 'copy')).mode & 0o777, 0o640);
    assert.equal(statSync(join(root, 'copy')).mtimeMs, 1_600_000_000_000);
    assert.deepEqual(readdirSync(root).sort(), ['copy', 'live.db']);
  });

  it('is a plain one when the database is damaged', async (t) => {
    const root = folder(t);
    const live = join(root, 'live.db');
    writeFileSync(live, 'SQLite format 3\0and then nothing that makes sense');
    assert.ok((await copySqlite(live, join(root, 'copy'))).damage);
    assert.equal(statSync(join(root, 'copy')).size, statSync(live).size);
  });

  it('gives up on one that stays locked, and says so', async (t) => {
    const root = folder(t);
    const live = join(root, 'live.db');
    const holder = new DatabaseSync(live);
    t.after(() => holder.close());
    holder.exec('CREATE TABLE t(x); BEGIN EXCLUSIVE; INSERT INTO t VALUES (1)');
    await assert.rejects(
      copySqlite(live, join(root, 'copy'), 20),
      (error) => error instanceof Fault && error.code === 'unavailable',
    );
    assert.deepEqual(
      readdirSync(root).filter((name) => name.startsWith('copy')),
      [],
    );
  });
});
