import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, it, type TestContext } from 'node:test';
import { Fault } from '../../base/fault.ts';
import { knownKey } from '../archive/sign.ts';
import { verifyArchive } from '../archive/verify-archive.ts';
import type { Place } from '../place.ts';
import type { Target, Tree } from '../target.ts';
import { type BackupRequest, makeBackup } from './make-backup.ts';

const nowMs = Date.UTC(2026, 0, 16, 10, 30, 0);

function scene(t: TestContext): {
  root: string;
  place: Place;
  request: BackupRequest;
  with: (tree: Partial<Tree>, target?: Partial<Target>) => BackupRequest;
} {
  const home = mkdtempSync(join(tmpdir(), 'backup-'));
  t.after(() => rmSync(home, { recursive: true }));
  const root = join(home, 'dev');
  mkdirSync(root);
  const place: Place = {
    ...{ home, configFile: join(home, 'config.yaml'), backups: join(home, 'backups') },
    ...{
      state: join(home, 'backups/.gaia'),
      signingKey: join(home, '.signing_key'),
      publicKey: join(home, 'signing.pub'),
    },
  };
  const tree: Tree = { name: 'dev', root, exclude: [], mounts: { include: [], exclude: [] } };
  const target: Target = { name: 'dev', trees: [tree], databases: [], health: 'none' };
  const request: BackupRequest = {
    ...{
      target,
      place,
      reason: 'manual',
      set: null,
      clock: () => nowMs,
      tool: 'leveredge 0.0.0',
      previousManifest: null,
    },
    host: { name: 'test', kernel: 'k', os: 'o' },
    progress: () => {},
  };
  return {
    ...{ root, place, request },
    with: (change, also) => ({ ...request, target: { ...target, trees: [{ ...tree, ...change }], ...also } }),
  };
}

/** What plain zstd and tar make of an archive. */
function unpacked(t: TestContext, file: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'unpacked-'));
  t.after(() => rmSync(folder, { recursive: true }));
  execFileSync('sh', ['-c', 'zstd -dcq "$1" | tar -x -p --numeric-owner --xattrs --acls -C "$2"', 'sh', file, folder]);
  return folder;
}

describe('a backup', () => {
  it('is read back, verified, and opened by plain zstd and tar', async (t) => {
    const { root, place, request } = scene(t);
    mkdirSync(join(root, 'a/empty'), { recursive: true });
    writeFileSync(join(root, 'a/one'), 'one');
    linkSync(join(root, 'a/one'), join(root, 'b'));
    symlinkSync('a/one', join(root, 'link'));
    writeFileSync(join(root, 'sparse'), 'x');
    truncateSync(join(root, 'sparse'), 5_000_000);
    writeFileSync(Buffer.concat([Buffer.from(`${root}/latin`), Buffer.from([0xe9])]), 'no UTF-8');
    writeFileSync(join(root, 'new\nline'), '');
    const { file, kind, manifest } = await makeBackup(request);
    assert.equal(kind, 'sound');
    assert.equal(file, join(place.backups, 'dev/dev-2026-01-16-103000.tar.zst'));
    assert.deepEqual(manifest.totals.hardlinks, 1);
    assert.equal(manifest.totals.symlinks, 1);
    assert.ok(manifest.totals.stored_bytes < 1_000_000);
    assert.deepEqual(readdirSync(join(place.backups, 'dev')).sort(), [
      'dev-2026-01-16-103000.manifest.json',
      'dev-2026-01-16-103000.manifest.json.sig',
      'dev-2026-01-16-103000.tar.zst',
    ]);
    assert.equal(statSync(file).mode & 0o777, 0o600);
    const verdict = await verifyArchive(file, { known: knownKey(place.publicKey) });
    assert.equal(verdict.kind, 'sound', JSON.stringify(verdict));
    const folder = unpacked(t, file);
    execFileSync('diff', ['-r', '--no-dereference', root, join(folder, 'files/dev')]);
    const lines = readFileSync(join(folder, 'FILES.ndjson'), 'utf8').trimEnd().split('\n');
    assert.equal(lines.length, manifest.list.entries);
    const sums = lines.map((line) => JSON.parse(line)).filter((line) => line.path && line.sha256);
    for (const { path, sha256 } of sums)
      assert.equal(
        execFileSync('sha256sum', [join(folder, path)], { encoding: 'utf8' })
          .replace('\\', '')
          .slice(0, 64),
        sha256,
      );
  });

  it('copies databases by themselves, also those that nobody named, and leaves their live files out', async (t) => {
    const { root, with: changed } = scene(t);
    for (const name of ['events.db', 'Found Me.sqlite']) {
      const database = new DatabaseSync(join(root, name));
      database.exec('PRAGMA journal_mode=WAL; CREATE TABLE t(x); INSERT INTO t VALUES (42)');
      t.after(() => database.close());
    }
    const request = changed({}, { databases: [{ name: 'events', path: join(root, 'events.db') }] });
    const { file, kind, manifest } = await makeBackup(request);
    assert.equal(kind, 'sound');
    const folder = unpacked(t, file);
    assert.deepEqual(readdirSync(join(folder, 'files/dev')), []);
    assert.deepEqual(readdirSync(join(folder, 'sqlite')).sort(), ['events.db', 'found-me.db']);
    assert.deepEqual(
      manifest.databases.map(({ name, path, tree, discovered }) => ({ name, path, tree, discovered })),
      [
        { name: 'events', path: 'events.db', tree: 'dev', discovered: false },
        { name: 'found-me', path: 'Found Me.sqlite', tree: 'dev', discovered: true },
      ],
    );
    const copy = new DatabaseSync(join(folder, 'sqlite/events.db'));
    assert.equal((copy.prepare('SELECT x FROM t').get() as { x: number }).x, 42);
    copy.close();
  });

  it('keeps a damaged database, and is degraded by it', async (t) => {
    const { root, request } = scene(t);
    writeFileSync(join(root, 'broken.db'), `SQLite format 3\0${'garbage '.repeat(1000)}`);
    const { file, kind, manifest } = await makeBackup(request);
    assert.equal(kind, 'degraded');
    assert.match(manifest.degraded.join(), /broken\.db is damaged/);
    const copy = readFileSync(join(unpacked(t, file), 'sqlite/broken.db'));
    assert.ok(copy.equals(readFileSync(join(root, 'broken.db'))));
  });

  it('leaves out what is excluded, sockets and pipes, what an earlier restore left, and itself', async (t) => {
    const { root, place, with: changed } = scene(t);
    const inside = { ...place, backups: join(root, 'backups'), state: join(root, 'backups/.gaia') };
    for (const path of ['cache/x', 'n8n/tmp/y', 'n8n/a.log', 'live.pre-restore.20260101T000000Z/z']) {
      mkdirSync(join(root, path, '..'), { recursive: true });
      writeFileSync(join(root, path), '');
    }
    execFileSync('mkfifo', [join(root, 'pipe')]);
    const request = { ...changed({ exclude: ['cache', 'n8n/tmp', '**/*.log'] }), place: inside };
    const { file, manifest, kind } = await makeBackup(request);
    assert.equal(kind, 'sound');
    const files = join(unpacked(t, file), 'files/dev');
    assert.deepEqual(readdirSync(files), ['n8n']);
    assert.deepEqual(readdirSync(join(files, 'n8n')), []);
    assert.match(manifest.notes.join('\n'), /left out: pipe is a fifo/);
  });

  it('refuses a live PostgreSQL folder unless it is excluded', async (t) => {
    const { root, place, request, with: changed } = scene(t);
    mkdirSync(join(root, 'pg'));
    mkdirSync(join(root, 'pg/global'));
    writeFileSync(join(root, 'pg/PG_VERSION'), '16\n');
    await assert.rejects(
      makeBackup(request),
      (error: Fault) => error.code === 'usage' && /must not be copied as files while it runs/.test(error.message),
    );
    assert.deepEqual(readdirSync(join(place.backups, 'dev')), []);
    assert.equal((await makeBackup(changed({ exclude: ['pg'] }))).kind, 'sound');
  });

  it('says that a folder is not there, and leaves nothing', async (t) => {
    const { root, place, request } = scene(t);
    rmSync(root, { recursive: true });
    await assert.rejects(makeBackup(request), (error: Fault) => error instanceof Fault && error.code === 'not-found');
    assert.deepEqual(readdirSync(join(place.backups, 'dev')), []);
  });

  it('leaves nothing, whatever it is doing when it is stopped', async (t) => {
    const { root, place, request } = scene(t);
    writeFileSync(join(root, 'a'), 'a');
    for (const stopped of ['write', 'read back']) {
      const progress: BackupRequest['progress'] = ({ phase }) => {
        if (phase === stopped) throw new Fault('conflict', 'stopped');
      };
      await assert.rejects(makeBackup({ ...request, progress }), /stopped/, stopped);
      assert.deepEqual(readdirSync(join(place.backups, 'dev')), [], stopped);
    }
  });

  it('gets a name of its own in the same second, and names the one before it', async (t) => {
    const { request } = scene(t);
    const first = await makeBackup(request);
    const second = await makeBackup({ ...request, previousManifest: 'a'.repeat(64) });
    assert.match(second.file, /dev\/dev-2026-01-16-103000-2\.tar\.zst$/);
    assert.equal(first.manifest.previous_manifest_sha256, null);
    assert.match(second.manifest.previous_manifest_sha256 ?? '', /^[0-9a-f]{64}$/);
  });

  it('clears away what a killed one left', async (t) => {
    const { place, request } = scene(t);
    mkdirSync(join(place.backups, 'dev/.dev-2026-01-01-000000.tar.zst.work/1'), { recursive: true });
    writeFileSync(join(place.backups, 'dev/.dev-2026-01-01-000000.tar.zst.partial'), 'half');
    // Killed between its manifest and the rename that would have made it a backup.
    for (const end of ['', '.sig'])
      writeFileSync(join(place.backups, `dev/dev-2026-01-01-000000.manifest.json${end}`), '{}');
    const { file, manifest } = await makeBackup(request);
    assert.equal(readdirSync(join(place.backups, 'dev')).length, 3);
    assert.equal(manifest.previous_manifest_sha256, null);
    assert.ok(existsSync(file));
  });
});

describe('verifying', () => {
  it('tells a known signer from an unknown one, and refuses another', async (t) => {
    const { place, request } = scene(t);
    const other = scene(t);
    const { file } = await makeBackup(request);
    await makeBackup(other.request);
    const signer = async (known: ReturnType<typeof knownKey>) => {
      const verdict = await verifyArchive(file, { known });
      return verdict.kind === 'sound' ? verdict.signature.kind : verdict.kind;
    };
    assert.equal(await signer(knownKey(place.publicKey)), 'known');
    assert.equal(await signer(undefined), 'unknown-signer');
    assert.equal(await signer(knownKey(other.place.publicKey)), 'damaged');
  });
});
