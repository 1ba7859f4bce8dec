import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Server as HttpServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';
import { after, afterEach, before, describe, it } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { type Leftover, leftovers, removeLeftover } from '../../src/recovery/restore/undo.ts';
import { noServer, pictureOf } from './postgres.fixtures.ts';
import { makePostgresStand, type PostgresStand } from './postgres-stand.fixtures.ts';

const missing = noServer();
if (missing !== undefined) console.log(`NOT RUN: backups of PostgreSQL databases need a PostgreSQL server: ${missing}`);
const port = 15432;

/** Lines of a configuration that ask a server of the test whether all is well. */
const healthAt = (server: HttpServer) =>
  `      health: { endpoints: [ { name: web, url: "http://127.0.0.1:${(server.address() as AddressInfo).port}/" } ], within_seconds: 3, consecutive: 1 }\n`;

describe('a target with a PostgreSQL database', { skip: missing !== undefined, timeout: 1_800_000 }, () => {
  let at: PostgresStand;
  let first: string;

  before(async () => {
    at = makePostgresStand(port);
    first = pictureOf(at.server);
    assert.equal((await at.gaia('backup', 'dev')).exit, 0);
  });
  afterEach(() => at.reset());
  after(() => at?.end());

  it('brings rows, owners, rights and settings back, and undoes that', async () => {
    at.damage();
    const damaged = pictureOf({ sql: (database, text) => (/odd/.test(text) ? '' : at.server.sql(database, text)) });
    const plan = await at.json(0, 'plan', 'dev');
    assert.deepEqual(plan.databases, [`app (socket ${at.server.folder})`]);
    const restored = await at.gaia('restore', 'dev', '--yes');
    assert.equal(restored.exit, 9, restored.stderr);
    assert.match(restored.stdout, /database app__old_/);
    assert.equal(pictureOf(at.server), first);
    assert.equal(at.notes(), 'the first state');
    assert.equal((await at.gaia('undo', 'dev', '--yes')).exit, 9);
    assert.equal(
      pictureOf({ sql: (database, text) => (/odd/.test(text) ? '' : at.server.sql(database, text)) }),
      damaged,
    );
    assert.equal(at.notes(), 'damaged');
    assert.equal(at.server.sql('app', 'SELECT count(*) FROM account WHERE balance = 7'), '499');
    assert.equal((await at.gaia('undo', 'dev', '--yes')).exit, 9);
    assert.equal(pictureOf(at.server), first);
  });

  it('leaves the files alone with --only db, and the databases with --only files', async () => {
    at.damage();
    assert.equal((await at.gaia('restore', 'dev', '--only', 'files', '--yes')).exit, 9);
    assert.equal(at.notes(), 'the first state');
    assert.equal(at.server.sql('app', 'SELECT count(*) FROM account WHERE balance = 7'), '499');
    writeFileSync(join(at.root, 'notes'), 'damaged\n');
    assert.equal((await at.gaia('restore', 'dev', '--only', 'db:app', '--yes')).exit, 9);
    assert.equal(at.notes(), 'damaged');
    assert.equal(pictureOf(at.server), first);
  });

  it('makes a database and roles that are gone', async () => {
    at.server.sql('postgres', 'DROP DATABASE app; DROP ROLE app; DROP ROLE reader');
    assert.equal((await at.gaia('restore', 'dev', '--yes')).exit, 9);
    assert.equal(pictureOf(at.server), first);
    assert.equal(at.server.sql('postgres', "SELECT pg_has_role('app', 'reader', 'member')"), 't');
  });

  it('ends whoever is connected, and keeps them out of what was put aside', async () => {
    at.damage();
    const held = spawn(
      'psql',
      ['-h', at.server.folder, '-p', String(port), '-U', 'postgres', '-d', 'app', '-c', 'SELECT pg_sleep(60)'],
      {
        stdio: 'ignore',
      },
    );
    const ended = new Promise((resolve) => held.on('close', resolve));
    while (at.server.sql('postgres', "SELECT count(*) FROM pg_stat_activity WHERE datname = 'app'") === '0')
      await pause(50);
    assert.equal((await at.gaia('restore', 'dev', '--yes')).exit, 9);
    assert.notEqual(await ended, 0);
    const aside = at.databases().find((name) => name.startsWith('app__old')) as string;
    assert.throws(() => at.server.sql(aside, 'SELECT 1'), /not currently accepting connections/);
  });

  it('has everything that was committed before it began, and of all tables one moment', async () => {
    const transfer = `DO $$ BEGIN FOR n IN 1..5000000 LOOP
      UPDATE account SET balance = balance - 1 WHERE id = 1 + n % 1000; UPDATE account SET balance = balance + 1 WHERE id = 1 + (n * 7) % 1000;
      COMMIT; END LOOP; END $$`;
    const writer = spawn(
      'psql',
      ['-h', at.server.folder, '-p', String(port), '-U', 'postgres', '-d', 'app', '-c', transfer],
      { stdio: 'ignore' },
    );
    const ended = new Promise((resolve) => writer.on('close', resolve));
    await pause(300);
    at.server.sql('app', "CREATE TABLE acknowledged AS SELECT 'yes'::text AS said");
    const made = await at.json(0, 'backup', 'dev');
    assert.equal(writer.exitCode, null, 'it still wrote when the backup was made');
    writer.kill();
    await ended;
    // The server goes on with it by itself, for many times as long as a backup takes.
    at.server.sql('app', "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'DO $$%'");
    const name = String(made.name);
    assert.equal((await at.gaia('restore', 'dev', '--backup', name, '--yes')).exit, 9);
    assert.equal(at.server.sql('app', 'SELECT sum(balance) FROM account'), '100000');
    assert.equal(at.server.sql('app', 'SELECT said FROM acknowledged'), 'yes');
    at.removeBackup(name);
  });

  it('says that the server does not answer, and touches nothing', async () => {
    at.damage();
    at.server.stop();
    try {
      for (const verb of [
        ['restore', 'dev', '--yes'],
        ['backup', 'dev'],
      ]) {
        const refused = await at.gaia(...verb);
        assert.equal(refused.exit, 4, refused.stderr);
        assert.match(refused.stderr, /cannot be reached/);
      }
      assert.equal(at.notes(), 'damaged');
    } finally {
      at.server.start();
    }
    assert.equal(readdirSync(join(at.backups, 'dev')).filter((name) => name.startsWith('.')).length, 0);
  });

  it('takes back files and names when the new state is not well', async () => {
    at.damage();
    const was = at.server.sql('postgres', "SELECT oid FROM pg_database WHERE datname = 'app'");
    let isWell = false;
    const web = createServer((_, answer) => {
      // Well only with the old rows: as a new version that cannot read what an older one wrote.
      isWell = at.server.sql('app', 'SELECT count(*) FROM account WHERE balance = 7') === '499';
      answer.writeHead(isWell ? 200 : 500).end();
    }).listen(0, '127.0.0.1');
    await once(web, 'listening');
    at.configure(undefined, healthAt(web));
    try {
      const back = await at.gaia('restore', 'dev', '--yes');
      assert.equal(back.exit, 10, back.stderr);
      assert.match(back.stdout + back.stderr, /answers 500/);
    } finally {
      web.close();
      at.configure();
    }
    assert.equal(at.server.sql('postgres', "SELECT oid FROM pg_database WHERE datname = 'app' AND datallowconn"), was);
    assert.deepEqual(at.own(), ['app']);
    assert.equal(at.notes(), 'damaged');
  });

  it('removes what was put aside, once', async () => {
    at.damage();
    assert.equal((await at.gaia('restore', 'dev', '--yes')).exit, 9);
    const state = { state: join(at.backups, '.gaia') };
    const [left] = leftovers(state, 'dev');
    assert.ok(
      left?.paths.some((path) => /^database app__old_/.test(path)),
      String(left?.paths),
    );
    await removeLeftover(left as Leftover);
    assert.deepEqual(leftovers(state, 'dev'), []);
    assert.deepEqual(at.own(), ['app']);
    assert.equal((await at.gaia('undo', 'dev', '--yes')).exit, 5);
  });

  it('is put back by hand with pg_restore alone', async () => {
    at.damage();
    const [archive] = readdirSync(join(at.backups, 'dev')).filter((name) => name.endsWith('.tar.zst'));
    const work = mkdtempSync(join(at.home, 'by-hand-'));
    const archivePath = join(at.backups, 'dev', String(archive));
    execFileSync('sh', ['-c', 'zstd -dcq "$1" | tar -x -f - -C "$2" db', 'sh', archivePath, work]);
    const options = ['-h', at.server.folder, '-p', String(port), '-U', 'postgres'];
    execFileSync('createdb', [...options, '-T', 'template0', 'app_by_hand']);
    execFileSync('pg_restore', [...options, '--exit-on-error', '-d', 'app_by_hand', join(work, 'db', 'app.dump')]);
    assert.equal(at.server.sql('app_by_hand', 'SELECT sum(balance) FROM public.account'), '100000');
    assert.match(readFileSync(join(work, 'db', 'globals.sql'), 'utf8'), /CREATE ROLE app;/);
  });

  it('is put back by hand out of an encrypted backup, as its runbook says, with age, zstd, tar, sqlite3 and pg_restore', async () => {
    at.reset();
    const key = join(at.home, 'usb', 'recovery-key.txt');
    mkdirSync(dirname(key));
    await at.json(0, 'key', 'new', key);
    const { name } = await at.json(0, 'backup', 'dev');
    assert.match(String(name), /\.tar\.zst\.age$/);
    const { script } = await at.json(0, 'runbook', String(name));
    at.damage();
    at.server.sql('postgres', 'ALTER DATABASE app RENAME TO app_before');
    const work = join(at.home, 'runbook');
    const env = { PATH: process.env.PATH, IDENTITY: key, WORK: work };
    execFileSync('sh', ['-c', String(script)], { env, stdio: 'pipe' });
    assert.equal(at.notes(), 'the first state');
    // What it leaves to a person, who knows how the server is reached.
    const typed = String(script)
      .split('\n')
      .flatMap((line) => /^# {6}((?:psql|pg_restore) .*)$/.exec(line)?.[1] ?? []);
    assert.ok(typed.length >= 3, String(script));
    const reach = { PGHOST: at.server.folder, PGPORT: String(port), PGUSER: 'postgres' };
    for (const command of typed) execFileSync('sh', ['-c', command], { env: { ...env, ...reach }, stdio: 'pipe' });
    assert.equal(at.server.sql('app', 'SELECT sum(balance) FROM public.account'), '100000');
    assert.match(at.server.sql('app', 'SELECT count(*) FROM own."odd ""name"'), /^\d+$/);
  });
});
