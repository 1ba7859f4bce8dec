import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statfsSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { after, afterEach, before, describe, it } from 'node:test';
import type { Manifest, ManifestPostgres } from '../../src/recovery/archive/manifest.ts';
import { filesBeside, parseManifest, writeManifest } from '../../src/recovery/archive/manifest-file.ts';
import { loadSigner } from '../../src/recovery/archive/sign.ts';
import { applicationSql, noServer, serverUser, startServer } from './postgres.fixtures.ts';
import { makePostgresStand, type PostgresStand } from './postgres-stand.fixtures.ts';

const missing = noServer();
if (missing !== undefined)
  console.log(`NOT RUN: full disks and data folders of servers need a PostgreSQL server: ${missing}`);
const port = 15442;

describe('a PostgreSQL server that cannot take what is restored', {
  skip: missing !== undefined,
  timeout: 1_800_000,
}, () => {
  let at: PostgresStand;

  before(async () => {
    at = makePostgresStand(port);
    assert.equal((await at.gaia('backup', 'dev')).exit, 0);
  });
  afterEach(() => at.reset());
  after(() => at?.end());

  /** What a backup would say that was made of another server, signed by the same key. */
  function asIfMadeOf(name: string, change: Partial<ManifestPostgres>): void {
    const file = join(at.backups, 'dev', name);
    const manifest = parseManifest(readFileSync(filesBeside(file).manifest)) as Manifest;
    const folder = dirname(at.config);
    const signer = loadSigner({ signingKey: join(folder, '.signing_key'), publicKey: join(folder, 'signing.pub') });
    writeManifest(
      file,
      { ...manifest, postgres: (manifest.postgres ?? []).map((each) => ({ ...each, ...change })) },
      signer,
    );
  }

  for (const [what, change, sentence] of [
    [
      'is older than that of the backup',
      { version_num: 170_002 },
      /is PostgreSQL 15, and the backup was made of PostgreSQL 17/,
    ],
    ['lacks an extension', { extensions: [{ name: 'not_there', version: '1' }] }, /lacks extensions .*: not_there/],
  ] as const)
    it(`refuses, with nothing touched, a server that ${what}`, async () => {
      const name = String((await at.json(0, 'backup', 'dev')).name);
      asIfMadeOf(name, change);
      at.damage();
      const refused = await at.gaia('restore', 'dev', '--backup', name, '--yes');
      assert.equal(refused.exit, 6, refused.stderr);
      assert.match(refused.stderr, sentence);
      assert.equal(at.notes(), 'damaged');
      assert.deepEqual(at.own(), ['app']);
      at.removeBackup(name);
    });

  it('ends with the old state and a sentence when the server refuses one statement', async () => {
    const place = mkdtempSync(join(at.server.folder, 'space-'));
    const { uid, gid } = serverUser();
    chownSync(place, uid, gid);
    at.server.sql('postgres', `CREATE TABLESPACE elsewhere LOCATION '${place}'`);
    at.server.sql('app', 'CREATE TABLE far (n int) TABLESPACE elsewhere');
    const name = String((await at.json(0, 'backup', 'dev')).name);
    at.server.sql('app', 'DROP TABLE far');
    at.server.sql('postgres', 'DROP TABLESPACE elsewhere');
    at.damage();
    const refused = await at.gaia('restore', 'dev', '--backup', name, '--yes');
    assert.equal(refused.exit, 1, refused.stderr);
    assert.match(refused.stderr, /Tablespace "elsewhere" does not exist/);
    assert.equal(at.notes(), 'damaged');
    assert.deepEqual(at.own(), ['app']);
    at.removeBackup(name);
  });

  it('ends with the old state when the disk of the server fills while it loads', async () => {
    const disk = mkdtempSync(join(at.server.folder, 'disk-'));
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64m,mode=777', 'tmpfs', disk]);
    try {
      const { uid, gid } = serverUser();
      mkdirSync(join(disk, 'space'));
      chownSync(join(disk, 'space'), uid, gid);
      at.server.sql('postgres', `CREATE TABLESPACE small LOCATION '${join(disk, 'space')}'`);
      at.server.sql('postgres', 'ALTER DATABASE app SET TABLESPACE small');
      at.server.sql('app', 'CREATE TABLE fat AS SELECT repeat(md5(n::text), 30) FROM generate_series(1, 12000) n');
      const name = String((await at.json(0, 'backup', 'dev')).name);
      at.damage();
      at.server.sql('postgres', 'CHECKPOINT');
      const { bavail, bsize } = statfsSync(disk);
      writeFileSync(join(disk, 'filler'), Buffer.alloc(bavail * bsize - 12 * 1024 * 1024));
      const full = await at.gaia('restore', 'dev', '--backup', name, '--yes');
      assert.equal(full.exit, 1, full.stderr);
      assert.match(full.stderr, /no room left for the database app/);
      assert.equal(at.notes(), 'damaged');
      assert.deepEqual(at.own(), ['app']);
      assert.equal(at.server.sql('app', 'SELECT count(*) FROM account WHERE balance = 7'), '499');
      rmSync(join(disk, 'filler'));
      assert.equal((await at.gaia('restore', 'dev', '--backup', name, '--yes')).exit, 9);
      const spaceOf = `SELECT spcname FROM pg_tablespace t JOIN pg_database d ON d.dattablespace = t.oid WHERE datname = 'app'`;
      assert.equal(at.server.sql('postgres', spaceOf), 'small');
      at.removeBackup(name);
      at.reset();
      at.server.sql('postgres', 'DROP TABLESPACE small');
    } finally {
      execFileSync('umount', ['-l', disk]);
    }
  });

  it('does not begin to load where there is no room for two, since a server with a full disk stops', async () => {
    const disk = mkdtempSync(join(at.server.folder, 'disk-'));
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=120m,mode=777', 'tmpfs', disk]);
    const small = startServer(port + 1, join(disk, 'data'));
    try {
      small.sql('postgres', applicationSql);
      at.configure(`{ name: app, engine: postgres, socket: ${small.folder}, port: ${port + 1}, database: app }`);
      const name = String((await at.json(0, 'backup', 'dev')).name);
      const { bavail, bsize } = statfsSync(disk);
      writeFileSync(join(disk, 'filler'), Buffer.alloc(bavail * bsize - 9 * 1024 * 1024));
      const refused = await at.gaia('restore', 'dev', '--backup', name, '--yes');
      assert.equal(refused.exit, 1, refused.stderr);
      assert.match(refused.stderr, /no room to load app beside the live one/);
      at.removeBackup(name);
    } finally {
      at.configure();
      small.end();
      execFileSync('umount', ['-l', disk]);
    }
  });

  it('keeps a data folder within the target out of the archive, and in its place', async () => {
    const inside = join(at.root, 'pgdata');
    mkdirSync(inside);
    const { uid, gid } = serverUser();
    chownSync(inside, uid, gid);
    for (const folder of [at.home, join(at.home, 'data-plane')]) chmodSync(folder, 0o755);
    const other = startServer(port + 1, inside);
    try {
      const refused = await at.gaia('backup', 'dev');
      assert.equal(refused.exit, 2, refused.stderr);
      assert.match(refused.stderr, /data folder of a PostgreSQL server/);
      other.sql('postgres', applicationSql);
      at.configure(`{ name: app, engine: postgres, socket: ${other.folder}, port: ${port + 1}, database: app }`);
      const name = String((await at.json(0, 'backup', 'dev')).name);
      const held = execFileSync('sh', ['-c', `zstd -dcq "$1" | tar -tf -`, 'sh', join(at.backups, 'dev', name)], {
        encoding: 'utf8',
      });
      assert.doesNotMatch(held, /pgdata/);
      other.sql('app', 'UPDATE account SET balance = 7');
      writeFileSync(join(at.root, 'notes'), 'damaged\n');
      writeFileSync(join(at.root, 'later'), 'came after the backup\n');
      const { ino } = statSync(inside);
      assert.equal((await at.gaia('restore', 'dev', '--backup', name, '--yes')).exit, 9);
      assert.equal(statSync(inside).ino, ino);
      assert.ok(!existsSync(join(at.root, 'later')));
      assert.equal(at.notes(), 'the first state');
      assert.equal(other.sql('app', 'SELECT sum(balance) FROM account'), '100000');
      at.removeBackup(name);
    } finally {
      other.end();
      rmSync(inside, { recursive: true, force: true });
      at.configure();
    }
  });
});
