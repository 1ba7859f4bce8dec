import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { lstatSync, readlinkSync } from 'node:fs';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { BytePath } from '../byte-path.ts';
import { below, extract, hasAttributes, piece, run, tarOf } from './gnu-tar.fixtures.ts';
import { anEntry, anyCuts, anyMember, readAll, written } from './tar.fixtures.ts';
import { headerOf, paddingOf, timeText } from './writer.ts';

describe('writing a tar archive', () => {
  it('writes what the reader reads back, every field, in pieces of any size', () => {
    fc.assert(
      fc.property(fc.array(anyMember, { maxLength: 5 }), anyCuts, (members, cuts) => {
        const bytes = written(members);
        for (const dialect of ['own', 'gnu', 'old'] as const) {
          const read = readAll(bytes, dialect, { cuts });
          assert.deepEqual(
            read.map(({ entry, data }) => ({ entry, data })),
            members,
          );
        }
      }),
      { numRuns: 150 },
    );
  });

  it('tells where in the stream each member begins', () => {
    fc.assert(
      fc.property(fc.array(anyMember, { maxLength: 6 }), anyCuts, (members, cuts) => {
        let at = 0;
        const starts = members.map(({ entry, data }) => {
          const start = at;
          at += headerOf(entry).length + data.length + paddingOf(data.length).length;
          return start;
        });
        assert.deepEqual(
          readAll(written(members), 'own', { cuts }).map(({ start }) => start),
          starts,
        );
      }),
      { numRuns: 50 },
    );
  });

  const edges: [name: string, different: Parameters<typeof anEntry>[0], blocks: number][] = [
    ['a name of 100 bytes', { path: 'n'.repeat(100) }, 1],
    ['a name of 101 bytes', { path: 'n'.repeat(101) }, 3],
    ['a folder of 99 bytes, with its slash', { path: 'n'.repeat(99), kind: 'directory' }, 1],
    ['a folder of 100 bytes', { path: 'n'.repeat(100), kind: 'directory' }, 3],
    ['a target of 100 bytes', { path: 'a', kind: 'symlink', link: 'l'.repeat(100) as BytePath }, 1],
    ['a target of 101 bytes', { path: 'a', kind: 'symlink', link: 'l'.repeat(101) as BytePath }, 3],
    ['8 GiB less a byte', { path: 'a', size: 8 ** 11 - 1 }, 1],
    ['8 GiB', { path: 'a', size: 8 ** 11 }, 3],
    ['the owner 2,097,151', { path: 'a', uid: 8 ** 7 - 1 }, 1],
    ['the owner 2,097,152', { path: 'a', uid: 8 ** 7 }, 3],
    ['a second of 1970', { path: 'a', mtime: { seconds: 0, nanoseconds: 0 } }, 1],
    ['a nanosecond', { path: 'a', mtime: { seconds: 0, nanoseconds: 1 } }, 3],
    ['a second of 1969', { path: 'a', mtime: { seconds: -1, nanoseconds: 0 } }, 3],
  ];
  for (const [name, different, count] of edges)
    it(`takes ${count === 1 ? 'no' : 'an'} extended header for ${name}`, () => {
      const header = headerOf(anEntry(different));
      assert.equal(header.length, count * 512);
      assert.equal(header.toString('latin1', 156, 157), count === 1 ? header.toString('latin1', 156, 157) : 'x');
    });

  it('writes a time so that it is read as the same', () => {
    const cases: [seconds: number, nanoseconds: number, text: string][] = [
      [0, 0, '0'],
      [1_700_000_000, 1, '1700000000.000000001'],
      [5, 500_000_000, '5.5'],
      [-1, 0, '-1'],
      [-1, 500_000_000, '-0.5'],
      [-2, 999_999_999, '-1.000000001'],
    ];
    for (const [seconds, nanoseconds, text] of cases) assert.equal(timeText({ seconds, nanoseconds }), text);
  });
});

/** A name of that many bytes in folders of at most 255 each. */
const long = (bytes: number): string =>
  'n'
    .repeat(199)
    .concat('/')
    .repeat(Math.ceil(bytes / 200))
    .slice(0, bytes);
const notUtf8 = '\xff\xfe-\x80';
const folders = (path: string) =>
  [...path.matchAll(/\//g)].map(({ index }) => anEntry({ path: path.slice(0, index), kind: 'directory' }));
const deep = `${long(3000)}end`;
const time = (seconds: number, nanoseconds: number) => ({ mtime: { seconds, nanoseconds } });
const page = 4096;

const tree: { entry: ReturnType<typeof anEntry>; data?: Buffer }[] = [
  { entry: anEntry({ path: 'sticky', kind: 'directory', mode: 0o1751, ...time(1_600_000_000, 987_654_321) }) },
  ...folders(deep).map((entry) => ({ entry })),
  { entry: anEntry({ path: deep, size: 3 }), data: Buffer.from('end') },
  ...[99, 100, 101, 200, 255].map((n) => ({
    entry: anEntry({ path: 'p'.repeat(n), size: 513, ...time(n, n) }),
    data: Buffer.alloc(513, n),
  })),
  ...[98, 99, 100].map((n) => ({
    entry: anEntry({ path: 'd'.repeat(n), kind: 'directory', mode: 0o2700, ...time(n, 1) }),
  })),
  { entry: anEntry({ path: notUtf8, mode: 0o400, ...time(-1, 500_000_000) }) },
  { entry: anEntry({ path: notUtf8.repeat(40), mode: 0o4711, ...time(-2_000_000_000, 0) }) },
  { entry: anEntry({ path: '\xc3\xa4'.repeat(60), ...time(2_000_000_000, 0) }) },
  { entry: anEntry({ path: 'a\nb\\n\t"\'= %3D', size: 1 }), data: Buffer.from('x') },
  {
    entry: anEntry({
      path: 'symlink',
      kind: 'symlink',
      mode: 0o777,
      link: 'x/'.repeat(1500) as BytePath,
      ...time(5, 5),
    }),
  },
  { entry: anEntry({ path: 'to bytes', kind: 'symlink', mode: 0o777, link: notUtf8 as BytePath, ...time(6, 0) }) },
  { entry: anEntry({ path: 'z-hard', kind: 'hardlink', link: deep as BytePath }) },
  {
    entry: anEntry({
      path: 'sparse',
      size: 9 * 2 ** 30,
      segments: [
        { offset: page, length: page },
        { offset: 2 ** 33, length: page },
        { offset: 9 * 2 ** 30, length: 0 },
      ],
    }),
    data: Buffer.alloc(2 * page, 7),
  },
  { entry: anEntry({ path: 'all hole', size: 2 ** 20, segments: [{ offset: 2 ** 20, length: 0 }] }) },
];
const attributes = [
  { key: 'SCHILY.xattr.user.bytes', value: Buffer.from([0, 1, 10, 61, 255, 0]) },
  { key: 'SCHILY.xattr.user.empty', value: Buffer.alloc(0) },
  { key: 'SCHILY.xattr.user.name%3Dwith %25', value: Buffer.from('=') },
];

describe('what is written, to GNU tar', () => {
  it('is the same tree, on the disk too', (t) => {
    const folder = extract(t, written(tree));
    for (const { entry, data = Buffer.alloc(0) } of tree) {
      const at = below(folder, entry.path);
      const stat = lstatSync(at, { bigint: true });
      const name = entry.path.slice(0, 40);
      const linked = entry.kind === 'hardlink' ? lstatSync(below(folder, entry.link), { bigint: true }) : undefined;
      if (linked !== undefined) {
        assert.equal(stat.ino, linked.ino, name);
        continue;
      }
      const { seconds, nanoseconds } = entry.mtime;
      assert.equal(stat.mtimeNs, BigInt(seconds) * 1_000_000_000n + BigInt(nanoseconds), name);
      assert.equal(Number(stat.mode) & 0o7777, entry.mode, name);
      if (entry.kind === 'symlink')
        assert.deepEqual(readlinkSync(at, { encoding: 'buffer' }), Buffer.from(entry.link, 'latin1'));
      if (entry.kind !== 'file') continue;
      assert.equal(stat.size, BigInt(entry.size), name);
      let taken = 0;
      for (const { offset, length } of entry.segments ?? [{ offset: 0, length: entry.size }]) {
        assert.deepEqual(piece(at, offset, length), data.subarray(taken, taken + length), name);
        taken += length;
      }
      if (entry.segments !== undefined) {
        assert.ok(piece(at, 2 * page, page).every((byte) => byte === 0));
        assert.ok(stat.blocks * 512n < 2n ** 20n, 'holes are holes');
      }
    }
  });

  it('is the same members when GNU tar archives the tree again', (t) => {
    const folder = extract(t, written(tree));
    const again = new Map(readAll(tarOf(folder), 'gnu').map((read) => [read.entry.path, read]));
    assert.equal(again.size, tree.length + 1, 'all of them and the top');
    // Which of two names is the first one is GNU tar's choice, here as in the archive that was put there.
    for (const { entry, data = Buffer.alloc(0) } of tree) {
      const read = again.get(entry.path);
      const { uid, gid } = read?.entry ?? entry;
      const expected =
        entry.kind === 'hardlink' ? { ...read?.entry, kind: 'hardlink', link: deep } : { ...entry, uid, gid };
      assert.deepEqual({ entry: read?.entry, data: read?.data }, { entry: expected, data });
    }
  });

  it('has the attributes, whatever bytes they hold', (t) => {
    if (!hasAttributes(t)) return t.skip('this file system, or machine, has no extended attributes');
    const members = [
      { entry: anEntry({ path: 'd', kind: 'directory', attributes }) },
      { entry: anEntry({ path: 'd/f', attributes, size: 2 }), data: Buffer.from('ab') },
    ];
    const folder = extract(t, written(members));
    const printed = run('getfattr', ['--dump', '--encoding=hex', '--absolute-names', `${folder}/d/f`]).toString();
    for (const line of ['user.bytes=0x00010a3dff00', 'user.empty=0x', 'user.name\\075with %=0x3d'])
      assert.ok(printed.includes(`\n${line}\n`), `${line} is not in\n${printed}`);
    const again = readAll(tarOf(folder, undefined, ['d']), 'gnu');
    assert.deepEqual(
      again.map(({ entry }) => entry.attributes),
      [attributes, attributes],
    );
  });

  it('has the names that it has, of any bytes, and ends where it ends', () => {
    const members = fc.sample(anyMember, { numRuns: 400, seed: 7 });
    const names = run('tar', ['--list', '--file=-', '--quoting-style=escape'], written(members)).toString('latin1');
    assert.deepEqual(
      names.split('\n').slice(0, -1).map(unescaped),
      members.map(({ entry: { path, kind } }) => (kind === 'directory' ? `${path}/` : path)),
    );
  });
});

/** GNU's `escape` style. */
function unescaped(text: string): string {
  const letters: Record<string, string> = { a: '\x07', b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v' };
  return text.replace(/\\([0-7]{3}|.)/gs, (_, code: string) =>
    code.length === 3 ? String.fromCharCode(Number.parseInt(code, 8)) : (letters[code] ?? code),
  );
}

describe('what is written, to a third reader', () => {
  it('is the same files, names and contents', (t) => {
    // In extended headers tarfile takes names for UTF-8, whatever it is told.
    const isPlain = (path: string) => path.length <= 100 || /^[ -~]*$/.test(path);
    const plain = tree.filter(({ entry }) => entry.kind === 'file' && !entry.segments && isPlain(entry.path));
    const script = `
import hashlib, io, json, sys, tarfile
t = tarfile.open(fileobj=io.BytesIO(sys.stdin.buffer.read()), encoding="latin-1")
print(json.dumps([[m.name, m.mode, m.size, hashlib.sha256(t.extractfile(m).read()).hexdigest()] for m in t if m.isreg()]))`;
    let printed: string;
    try {
      printed = run('python3', ['-c', script], written(plain)).toString();
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return t.skip('there is no python3');
      throw error;
    }
    const seen = JSON.parse(printed) as [string, number, number, string][];
    assert.deepEqual(
      seen.map(([name, mode, size]) => [name, mode, size]),
      plain.map(({ entry: { path, mode, size } }) => [path, mode, size]),
    );
    assert.deepEqual(
      seen.map(([, , , sha256]) => sha256),
      plain.map(({ data = Buffer.alloc(0) }) => hash('sha256', data)),
    );
  });
});
