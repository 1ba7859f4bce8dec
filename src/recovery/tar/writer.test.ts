import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { BytePath } from '../byte-path.ts';
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
