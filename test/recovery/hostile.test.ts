import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { gzipSync } from 'node:zlib';
import { listedOf } from '../../src/recovery/archive/file-list.ts';
import { openFrameWriter } from '../../src/recovery/archive/frame-writer.ts';
import type { Manifest } from '../../src/recovery/archive/manifest.ts';
import { manifestBytes } from '../../src/recovery/archive/manifest-file.ts';
import { loadSigner } from '../../src/recovery/archive/sign.ts';
import type { TarEntry } from '../../src/recovery/tar/entry.ts';
import { hostile } from '../../src/recovery/tar/hostile.fixtures.ts';
import { anEntry, archive, extended, octal, rawHeader, written } from '../../src/recovery/tar/tar.fixtures.ts';
import { headerOf } from '../../src/recovery/tar/writer.ts';
import { copyOf, differences, folder, isRoot, leftBehind, makeStand, run, type Stand } from './gaia.fixtures.ts';

type Untouched = { stand: Stand; before: string };

async function untouched(t: Parameters<typeof folder>[0]): Promise<Untouched> {
  const stand = makeStand(t);
  assert.equal((await stand.gaia('backup', 'dev')).exit, 0);
  return { stand, before: await copyOf(stand.root, join(folder(t), 'before')) };
}

/** A backup of these members that this machine's own key has signed, list of files and all, as if whoever made it had the key. */
async function sign({ home, backups }: Stand, members: readonly TarEntry[], listed = members): Promise<string> {
  const name = 'dev-2027-01-01-000000.tar.zst';
  const file = join(backups, 'dev', name);
  for (const end of ['.tar.zst', '.manifest.json', '.manifest.json.sig'])
    rmSync(file.replace('.tar.zst', end), { force: true });
  const frames = await openFrameWriter(file);
  let lines = '';
  for (const [i, member] of members.entries()) {
    lines += `${JSON.stringify(listedOf(listed[i] ?? member, frames.position, member.kind === 'file' ? sha256('') : undefined))}\n`;
    frames.write(headerOf(member));
  }
  frames.cut();
  const offset = frames.position;
  const list = Buffer.from(lines);
  frames.write(written([{ entry: anEntry({ path: 'FILES.ndjson', size: list.length }), data: list }]));
  const made = await frames.finish();
  const signer = loadSigner({
    signingKey: join(home, 'gaia/.signing_key'),
    publicKey: join(home, 'gaia/signing.pub'),
  });
  const manifest: Manifest = {
    ...{
      format: 'leveredge-archive/1',
      name,
      target: 'dev',
      created_at: '2027-01-01T00:00:00.000Z',
      tool: 'x',
      reason: 'manual',
    },
    ...{
      set: null,
      degraded: [],
      notes: [],
      archive: { ...made, sha256: sha256(readFileSync(file)) },
      trees: [{ name: 'dev', root: '/x' }],
      databases: [],
    },
    list: { offset, bytes: list.length, sha256: sha256(list), entries: members.length },
    totals: { files: 1, directories: 1, symlinks: 0, hardlinks: 0, bytes: 1, stored_bytes: 1 },
    host: { name: 'h', kernel: 'k', os: 'o' },
    ...{ previous_manifest_sha256: null, public_key: signer.publicKey },
  };
  const bytes = manifestBytes(manifest);
  writeFileSync(file.replace('.tar.zst', '.manifest.json'), bytes);
  writeFileSync(file.replace('.tar.zst', '.manifest.json.sig'), signer.sign(bytes));
  return name;
}

const sha256 = (data: string | Buffer) => createHash('sha256').update(data).digest('hex');

const at = (path: string, more: Omit<Parameters<typeof anEntry>[0], 'path'> = {}) => anEntry({ path, ...more });
const top = [at('files', { kind: 'directory' }), at('files/dev', { kind: 'directory' })];
const inTree: [name: string, members: TarEntry[]][] = [
  ['a path upwards', [at('files/dev/../../../x')]],
  ['an absolute path behind the tree', [at('files/dev//etc/x')]],
  ['a file through a symlink', [at('files/dev/a', { kind: 'symlink', link: '/etc' }), at('files/dev/a/x')]],
  ['a hard link out', [at('files/dev/a', { kind: 'hardlink', link: '/etc/shadow' })]],
  ['a hard link upwards', [at('files/dev/a', { kind: 'hardlink', link: 'files/dev/../../x' })]],
  ['a member twice', [at('files/dev/a'), at('files/dev/a')]],
  [
    'a symlink in a folder’s place',
    [at('files/dev/a', { kind: 'directory' }), at('files/dev/a', { kind: 'symlink', link: '/etc' })],
  ],
  ['a file below a file', [at('files/dev/a'), at('files/dev/a/b')]],
  ['a file without its folder', [at('files/dev/no/a')]],
];

async function refused({ stand, before }: Untouched, name: string, what: string): Promise<void> {
  const restored = await stand.gaia('restore', 'dev', '--backup', name, '--yes', '--here');
  assert.equal(restored.exit, 7, `${what}: ${restored.stdout}${restored.stderr}`);
  assert.equal(await differences(before, stand.root), '', what);
  assert.deepEqual(leftBehind(stand.home), [], what);
  assert.equal((await stand.gaia('verify', name, '--deep')).exit, 7, what);
}

describe('hostile archives', { timeout: 600_000 }, () => {
  it('of an older tool are refused by verify and restore, with nothing touched', async (t) => {
    const scene = await untouched(t);
    const file = join(scene.stand.backups, 'dev', 'dev-2020-01-01.tar.gz');
    for (const { name, bytes, dialects } of hostile) {
      if (dialects !== undefined && !dialects.includes('old')) continue;
      writeFileSync(file, gzipSync(bytes));
      await refused(scene, 'dev-2020-01-01.tar.gz', name);
    }
  });

  it('that our own key has signed are refused all the same', async (t) => {
    const scene = await untouched(t);
    for (const [name, members] of inTree) await refused(scene, await sign(scene.stand, [...top, ...members]), name);
    // What the list does not say is not restored either: a setuid bit, another owner, another size.
    const plain = at('files/dev/a', { mode: 0o755 });
    for (const other of [{ mode: 0o4755 }, { uid: 12 }, { mtime: { seconds: 1, nanoseconds: 5 } }])
      await refused(
        scene,
        await sign(scene.stand, [...top, { ...plain, ...other }], [...top, plain]),
        JSON.stringify(other),
      );
    // And the same without anything hostile in it is restored, so what is refused is what is hostile.
    const sound = await sign(scene.stand, [...top, plain]);
    assert.equal((await scene.stand.gaia('restore', 'dev', '--backup', sound, '--yes', '--here')).exit, 9);
    assert.deepEqual(readdirSync(scene.stand.root), ['a']);
  });

  it('that are bombs are refused before they fill the disk', async (t) => {
    const scene = await untouched(t);
    const file = join(scene.stand.backups, 'dev', 'dev-2020-01-01.tar.gz');
    // A gigabyte of zeros in a megabyte.
    const plain = join(folder(t), 'bomb.tar');
    writeFileSync(plain, rawHeader({ size: octal(1024 ** 3) }));
    truncateSync(plain, 512 + 1024 ** 3 + 1024);
    const fd = openSync(file, 'w');
    assert.equal(spawnSync('gzip', ['-9c', plain], { stdio: ['ignore', fd, 'inherit'] }).status, 0);
    closeSync(fd);
    await refused(scene, 'dev-2020-01-01.tar.gz', 'a gigabyte of zeros');
    // A file that says it has an exabyte, all of it hole.
    const sparse = [
      ['GNU.sparse.major', '1'],
      ['GNU.sparse.minor', '0'],
      ['GNU.sparse.name', 'a'],
      ['GNU.sparse.realsize', String(2 ** 50)],
    ] as const;
    writeFileSync(
      file,
      gzipSync(archive(extended(sparse), rawHeader({ size: octal(512) }), Buffer.from('0\n'.padEnd(512, '\0')))),
    );
    await refused(scene, 'dev-2020-01-01.tar.gz', 'an exabyte of hole');
  });
});

/** Upper and lower case are the same there. */
async function foldingDisk(t: Parameters<typeof folder>[0]): Promise<string | undefined> {
  if (!isRoot) return undefined;
  const at = mkdtempSync(join(tmpdir(), 'gaia-folding-'));
  const image = `${at}.img`;
  writeFileSync(image, '');
  truncateSync(image, 64 * 1024 * 1024);
  t.after(async () => {
    await run('umount', ['-l', at]);
    rmSync(at, { recursive: true, force: true });
    rmSync(image, { force: true });
  });
  const made = await run('sh', [
    '-c',
    `mkntfs -q -F ${image} && lowntfs-3g -o ignore_case,permissions,streams_interface=xattr ${image} ${at}`,
  ]).catch(() => undefined /* the programs are not there */);
  return made?.exit === 0 ? at : undefined;
}

describe('names that differ by case alone', { timeout: 120_000 }, () => {
  it('come back where they are two, and are an error where they are one, with nothing touched', async (t) => {
    const stand = makeStand(t);
    writeFileSync(join(stand.root, 'Readme'), 'one');
    writeFileSync(join(stand.root, 'README'), 'other');
    assert.equal((await stand.gaia('backup', 'dev')).exit, 0);
    assert.equal((await stand.gaia('restore', 'dev', '--yes')).exit, 9);
    assert.equal(readFileSync(join(stand.root, 'README'), 'utf8'), 'other');

    const disk = await foldingDisk(t);
    if (disk === undefined) {
      console.log('SKIPPED: no file system that folds case (root, ntfs-3g)');
      return;
    }
    mkdirSync(join(disk, 'dev'));
    writeFileSync(join(disk, 'dev', 'there'), 'before');
    const moved = makeStand(t, { home: stand.home, root: join(disk, 'dev'), rows: 0 });
    const { exit, stderr } = await moved.gaia('restore', 'dev', '--yes', '--here');
    assert.ok([1, 6].includes(exit as number), stderr);
    assert.match(stderr, /names that are one|File exists|cannot|could not/i);
    assert.equal(readFileSync(join(disk, 'dev', 'there'), 'utf8'), 'before');
    assert.deepEqual(
      readdirSync(disk).filter((name) => name.startsWith('.gaia')),
      [],
    );
  });
});
