import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { cannotMount } from '../faults/small-disk.ts';
import { copyOf, differences, folder, leftBehind, makeStand, run } from './gaia.fixtures.ts';

const why = cannotMount();
if (why) console.log(`SKIPPED: recovery on small, full and read-only disks: ${why}`);

type Test = Parameters<typeof folder>[0];

/** A tmpfs that goes away with its test. */
async function disk(t: Test, options: string): Promise<string> {
  const at = mkdtempSync(join(tmpdir(), 'gaia-disk-'));
  const mounted = await run('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', at]);
  assert.equal(mounted.exit, 0, mounted.stderr);
  t.after(async () => {
    await run('umount', ['-l', at]);
    rmSync(at, { recursive: true, force: true });
  });
  return at;
}

/** 3 MiB that do not compress. */
const filling = () => crypto.getRandomValues(new Uint8Array(65536));
function fill(root: string, mebibytes: number): void {
  for (let i = 0; i < mebibytes * 16; i++) writeFileSync(join(root, `random-${i}`), filling());
}

describe('a disk without room', { skip: why, timeout: 300_000 }, () => {
  it('leaves no backup that counts, and nothing else, at whichever byte it is full', async (t) => {
    // From hardly any room up to nearly enough: the archive, the copy of the database, the manifest.
    for (const kibibytes of [64, 256, 700, 1500, 2500, 3000, 3160, 3200, 3300, 3400]) {
      const backups = await disk(t, `size=${kibibytes}k`);
      const stand = makeStand(t, { backups });
      fill(stand.root, 3);
      const before = await copyOf(stand.root, join(folder(t), 'before'));
      const { exit, stderr, stdout } = await stand.gaia('backup', 'dev');
      if (exit === 0) {
        assert.equal((await stand.gaia('verify', 'latest', '--target', 'dev')).exit, 0);
        assert.ok(kibibytes > 3000, `3 MiB fit into ${kibibytes} KiB?`);
        continue;
      }
      assert.equal(exit, 1, `${kibibytes} KiB: ${stdout}${stderr}`);
      assert.match(stderr, /no (room|space)|full/i);
      assert.deepEqual(leftBehind(backups), [], `${kibibytes} KiB`);
      const archives = readdirSync(backups, { recursive: true, encoding: 'utf8' }).filter((n) =>
        n.includes('.tar.zst'),
      );
      assert.deepEqual(archives, []);
      assert.equal(await differences(before, stand.root), '');
    }
  });

  it('stops a restore while it stages, with the live tree untouched and the stage gone', async (t) => {
    for (const mebibytes of [4, 5, 6, 7]) {
      const data = await disk(t, `size=${mebibytes}m`);
      const stand = makeStand(t, { root: join(data, 'dev') });
      fill(stand.root, 3);
      assert.equal((await stand.gaia('backup', 'dev')).exit, 0);
      writeFileSync(join(stand.root, 'notes'), 'changed since\n');
      const before = await copyOf(stand.root, join(folder(t), 'before'));
      const { exit, stderr } = await stand.gaia('restore', 'dev', '--yes');
      if (exit === 9) {
        assert.ok(mebibytes >= 6, `two times 3 MiB fit into ${mebibytes} MiB?`);
        continue;
      }
      assert.equal(exit, 1, stderr);
      assert.match(stderr, /no (room|space)|full/i);
      assert.deepEqual(leftBehind(data), []);
      assert.equal(await differences(before, stand.root), '');
    }
  });

  it('refuses before it begins when there are no inodes left for the new tree', async (t) => {
    const data = await disk(t, 'size=64m,nr_inodes=150');
    const stand = makeStand(t, { root: join(data, 'dev') });
    for (let i = 0; i < 100; i++) writeFileSync(join(stand.root, `small-${i}`), String(i));
    assert.equal((await stand.gaia('backup', 'dev')).exit, 0);
    const before = await copyOf(stand.root, join(folder(t), 'before'));
    const { exit, stderr } = await stand.gaia('restore', 'dev', '--yes');
    assert.equal(exit, 1, stderr);
    assert.match(stderr, /inode/i);
    assert.deepEqual(leftBehind(data), []);
    assert.equal(await differences(before, stand.root), '');
  });

  it('refuses a target that became read-only, and backups into a folder that did', async (t) => {
    const data = await disk(t, 'size=64m');
    const stand = makeStand(t, { root: join(data, 'dev') });
    assert.equal((await stand.gaia('backup', 'dev')).exit, 0);
    assert.equal((await run('mount', ['-o', 'remount,ro', data])).exit, 0);
    const restore = await stand.gaia('restore', 'dev', '--yes');
    assert.equal(restore.exit, 1, restore.stderr);
    assert.match(restore.stderr, /read-only/i);
    // Reading goes on.
    assert.equal((await stand.gaia('backup', 'dev')).exit, 0);

    const backups = await disk(t, 'size=64m');
    const other = makeStand(t, { backups });
    assert.equal((await other.gaia('backup', 'dev')).exit, 0);
    assert.equal((await run('mount', ['-o', 'remount,ro', backups])).exit, 0);
    const backup = await other.gaia('backup', 'dev');
    assert.ok([1, 2].includes(backup.exit as number), backup.stderr);
    assert.match(backup.stderr, /read-only/i);
    assert.equal((await other.gaia('list')).exit, 0, 'listing needs no writing');
    assert.equal((await other.gaia('verify', 'latest', '--target', 'dev')).exit, 0, 'nor does verifying');
  });
});

describe('mounts', { skip: why, timeout: 300_000 }, () => {
  it('restores a target that is itself a mount point, and undoes that', async (t) => {
    const data = await disk(t, 'size=64m,mode=0751');
    const stand = makeStand(t, { root: data });
    const first = await copyOf(data, join(folder(t), 'first'));
    assert.equal((await stand.gaia('backup', 'dev')).exit, 0);
    writeFileSync(join(data, 'notes'), 'the second state\n');
    rmSync(join(data, 'compose.yml'));
    mkdirSync(join(data, 'added'));
    await run('chmod', ['0700', data]);
    const second = await copyOf(data, join(folder(t), 'second'));
    const restored = await stand.gaia('restore', 'dev', '--yes');
    assert.equal(restored.exit, 9, restored.stderr);
    const own = readdirSync(data).filter((name) => /pre-restore|\.gaia/.test(name));
    const ignore = [...own, 'state/RESTORED.json'].flatMap((name) => ['--ignore', name]);
    assert.equal(await differencesOfData(first, data, ignore), '');
    assert.equal((await stand.gaia('undo', 'dev', '--yes')).exit, 9);
    const after = readdirSync(data).filter((name) => /pre-restore|\.gaia/.test(name));
    assert.equal(
      await differencesOfData(
        second,
        data,
        after.flatMap((name) => ['--ignore', name]),
      ),
      '',
    );
  });

  it('backs up no mount inside a target unless it is named, and never a folder that is empty only because it is mounted', async (t) => {
    const home = mkdtempSync(join(tmpdir(), 'gaia-'));
    const stand = makeStand(t, { home });
    const inner = join(stand.root, 'media');
    mkdirSync(inner);
    assert.equal((await run('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'tmpfs', inner])).exit, 0);
    t.after(async () => {
      await run('umount', ['-l', inner]);
      rmSync(home, { recursive: true, force: true });
    });
    writeFileSync(join(inner, 'film'), 'on another file system');
    const refused = await stand.gaia('backup', 'dev');
    assert.equal(refused.exit, 2, refused.stderr);
    assert.match(refused.stderr, /media/);
    assert.match(refused.stderr, /mounts/);

    const included = makeStand(t, { home: stand.home, more: 'mounts: { include: [media] }' });
    assert.equal((await included.gaia('backup', 'dev')).exit, 0);
    const excluded = makeStand(t, { home: stand.home, more: 'mounts: { exclude: [media] }' });
    assert.equal((await excluded.gaia('backup', 'dev')).exit, 0);
    // What is left out of a backup is not touched by its restore.
    const restored = await excluded.gaia('restore', 'dev', '--yes');
    assert.equal(restored.exit, 9, restored.stderr);
    assert.deepEqual(readdirSync(inner), ['film']);
  });
});

/** Databases are copied by SQLite, whose journal mode and times may differ; they are compared by their rows elsewhere. */
function differencesOfData(a: string, b: string, ignore: string[]): Promise<string> {
  const database = ['events.db', 'events.db-wal', 'events.db-shm'].flatMap((name) => ['--ignore', `state/${name}`]);
  return differences(a, b, '--ignore', 'state', ...database, ...ignore);
}
