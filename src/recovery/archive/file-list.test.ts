import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { Fault } from '../../base/fault.ts';
import { type BytePath, bytePath } from '../byte-path.ts';
import type { TarEntry } from '../tar/entry.ts';
import { fileListParser, linkOf, listedOf, mismatch, pathOf } from './file-list.ts';
import type { Listed } from './listed.ts';

const anyPath = fc
  .uint8Array({ minLength: 1, maxLength: 60 })
  .map((bytes) => bytePath(bytes.map((byte) => (byte === 0 ? 1 : byte))));

const anyEntry: fc.Arbitrary<TarEntry> = fc
  .record({
    kind: fc.constantFrom('file' as const, 'directory' as const, 'symlink' as const, 'hardlink' as const),
    path: anyPath,
    link: anyPath,
    mode: fc.integer({ min: 0, max: 0o7777 }),
    uid: fc.nat(),
    gid: fc.nat(),
    mtime: fc.record({ seconds: fc.integer(), nanoseconds: fc.integer({ min: 0, max: 999_999_999 }) }),
    size: fc.nat(),
    value: fc.uint8Array({ maxLength: 20 }),
  })
  .map(({ value, ...entry }) => ({
    ...entry,
    size: entry.kind === 'file' ? entry.size : 0,
    link: entry.kind === 'symlink' || entry.kind === 'hardlink' ? entry.link : ('' as BytePath),
    ...{ uname: '', gname: '', segments: undefined },
    attributes: [{ key: 'SCHILY.xattr.user.a', value: Buffer.from(value) }],
  }));

const digest = 'a'.repeat(64);

function parse(text: string, pieceBytes = 1_000_000): Listed[] {
  const seen: Listed[] = [];
  const parser = fileListParser((listed) => seen.push(listed));
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length; at += pieceBytes) parser.push(bytes.subarray(at, at + pieceBytes));
  parser.end();
  return seen;
}

describe('the list of files', () => {
  it('gives back each member, in pieces of any size, names that are no UTF-8 included', () => {
    fc.assert(
      fc.property(
        fc.array(anyEntry, { minLength: 1, maxLength: 5 }),
        fc.nat(),
        fc.integer({ min: 1, max: 300 }),
        (entries, offset, size) => {
          const lines = entries.map((entry) =>
            JSON.stringify(listedOf(entry, offset, entry.kind === 'file' ? digest : undefined)),
          );
          const found = parse(`${lines.join('\n')}\n`, size);
          assert.equal(found.length, entries.length);
          for (const [i, entry] of entries.entries()) {
            const listed = found[i] as Listed;
            assert.equal(pathOf(listed), entry.path);
            assert.equal(linkOf(listed), entry.link);
            assert.equal(mismatch(entry, offset, listed), undefined);
          }
        },
      ),
    );
  });

  it('says of each member what is not as listed', () => {
    const entry = fc.sample(
      anyEntry.filter(({ kind }) => kind === 'file'),
      { numRuns: 1, seed: 7 },
    )[0] as TarEntry;
    const listed = listedOf(entry, 512, digest);
    const others: Partial<TarEntry>[] = [
      { mode: entry.mode ^ 1 },
      { uid: entry.uid + 1 },
      { gid: entry.gid + 1 },
      { size: entry.size + 1 },
      { mtime: { ...entry.mtime, nanoseconds: entry.mtime.nanoseconds === 0 ? 1 : 0 } },
      { attributes: [] },
      { path: `${entry.path}x` as BytePath },
    ];
    for (const other of others)
      assert.ok(mismatch({ ...entry, ...other }, 512, listed), JSON.stringify(Object.keys(other)));
    assert.match(mismatch(entry, 1024, listed) ?? '', /offset/);
  });

  it('refuses every line that says nothing of a file', () => {
    const good = `{"path":"a","type":"file","mode":"0644","uid":0,"gid":0,"mtime":"1.000000000","size":1,"sha256":"${digest}","offset":0}`;
    assert.equal(parse(`${good}\n`).length, 1);
    const bad = [
      ...['', '{', 'null', '[]', good.replace('"uid":0', '"uid":-1'), good.replace('"uid":0', '"uid":0.5')],
      ...[good.replace('0644', '644'), good.replace('file', 'fifo'), good.replace('"size":1,', '')],
      ...[
        good.replace('"path":"a"', '"path":"a","path_b64":"4Q=="'),
        good.replace('"offset":0', '"offset":0,"more":1'),
      ],
      ...[good.replace('1.000000000', '1.0'), good.replace(digest, 'b')],
    ];
    for (const line of bad)
      assert.throws(
        () => parse(`${line}\n`),
        (error) => error instanceof Fault && error.code === 'damaged',
        line,
      );
    assert.throws(() => parse(good), /cut off/);
    assert.throws(() => parse('x'.repeat(100_000)), /too long/);
  });
});
