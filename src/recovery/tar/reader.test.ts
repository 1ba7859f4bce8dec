import assert from 'node:assert/strict';
import { linkSync, mkdirSync, symlinkSync, truncateSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import fc from 'fast-check';
import { Fault } from '../../base/fault.ts';
import { below, emptyFolder, extract, hasAttributes, posix, run, tarOf } from './gnu-tar.fixtures.ts';
import { hostile } from './hostile.fixtures.ts';
import { TarReader } from './reader.ts';
import {
  admitted,
  anyCuts,
  anyMember,
  archive,
  blocks,
  extended,
  gnuHeader,
  isDamage,
  octal,
  type Read,
  rawHeader,
  readAll,
  written,
} from './tar.fixtures.ts';
import { headerOf } from './writer.ts';

describe('reading a hostile archive', () => {
  for (const { name, bytes, says, dialects } of hostile)
    it(`refuses ${name}, and says so`, () => {
      for (const dialect of dialects ?? (['gnu', 'old'] as const))
        for (const cuts of [[], [1], [512]])
          assert.throws(() => admitted(bytes, dialect, cuts), isDamage(says), dialect);
      // Of our own archives only our own spelling is read, so the reason may be another one.
      if (dialects === undefined) assert.throws(() => admitted(bytes, 'own'), isDamage(/./));
    });
});

describe('reading in the dialect of our own', () => {
  it('takes no second spelling of what it would write', () => {
    const plain = { name: 'a', size: octal(0), mtime: octal(1) };
    assert.equal(admitted(archive(rawHeader(plain)), 'gnu').length, 1);
    const spellings = [
      archive(rawHeader({ ...plain, uname: 'root', devMajor: '0000000' })),
      archive(rawHeader({ ...plain, size: '          0' })),
      archive(extended([['path', 'a']]), rawHeader(plain)),
      archive(extended([['comment', 'for people']]), rawHeader(plain)),
      archive(rawHeader({ ...plain, prefix: 'p' })),
    ];
    for (const bytes of spellings)
      assert.throws(() => admitted(bytes, 'own'), isDamage(/not as LeverEdge writes|folder it lies in/));
  });

  it('finds every bit that is turned over in a header', () => {
    fc.assert(
      fc.property(anyMember, fc.nat(), (member, at) => {
        const bytes = written([member]);
        const header = headerOf(member.entry).length;
        const bit = at % (header * 8);
        bytes[bit >> 3] = (bytes[bit >> 3] as number) ^ (1 << (bit & 7));
        try {
          const [read] = readAll(bytes, 'own');
          // A bit within an attribute's value or a name is another archive, and a sound one: the list of files tells.
          assert.notDeepEqual(read?.entry, member.entry);
        } catch (error) {
          assert.ok(error instanceof Fault && error.code === 'damaged', String(error));
        }
      }),
      { numRuns: 300 },
    );
  });
});

describe('reading what is damaged', () => {
  it('throws nothing but faults, and ends, whatever the bytes are', () => {
    fc.assert(
      fc.property(
        fc.array(anyMember, { minLength: 1, maxLength: 4 }),
        anyCuts,
        fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 6 }),
        fc.nat(),
        (members, cuts, edits, cut) => {
          const bytes = written(members);
          for (const [at, value] of edits) bytes[at % bytes.length] = value;
          const cutOff = cut % 3 === 0 ? bytes.subarray(0, cut % bytes.length) : bytes;
          for (const dialect of ['own', 'gnu', 'old'] as const)
            try {
              readAll(Buffer.from(cutOff), dialect, { cuts });
            } catch (error) {
              assert.ok(error instanceof Fault && error.code === 'damaged', String(error));
            }
        },
      ),
      { numRuns: 300 },
    );
  });

  it('is found wherever it is cut off', () => {
    fc.assert(
      fc.property(fc.array(anyMember, { minLength: 1, maxLength: 3 }), fc.nat(), (members, at) => {
        const bytes = written(members);
        assert.throws(() => readAll(bytes.subarray(0, at % bytes.length), 'own'), isDamage(/./));
      }),
      { numRuns: 200 },
    );
  });
});

const contents = 'x'.repeat(700);
const notUtf8 = '\xff\xfe'.repeat(60);
const longName = 'l'.repeat(240);

/** Names of all lengths, hard links, a symlink with a long text, times, and a sparse file. */
function makeTree(t: TestContext): string {
  const folder = emptyFolder(t);
  const inner = join(folder, 'd'.repeat(90), longName);
  mkdirSync(inner, { recursive: true });
  for (const name of ['a', 'b'.repeat(99), 'c'.repeat(100), 'e'.repeat(155), longName])
    writeFileSync(join(inner, name), contents);
  writeFileSync(below(folder, notUtf8), contents);
  writeFileSync(join(folder, 'ä'), '');
  linkSync(join(inner, longName), join(folder, 'z another name'));
  symlinkSync('x/'.repeat(400), join(folder, 'symlink'));
  utimesSync(join(inner, 'a'), 0, 1_234_567_890.5);
  return folder;
}

/** All that matters of a member, as a line. */
const line = ({ entry: { kind, path, link, mode, mtime, size }, data }: Read): string =>
  [kind, path, link, mode.toString(8), mtime.seconds, size, data.toString('latin1')].join(' | ');

describe('reading what GNU tar makes of a disk', () => {
  it('writes it again in our own spelling, and GNU tar makes the same tree of that', (t) => {
    const folder = makeTree(t);
    const hole = join(folder, 'hole');
    writeFileSync(hole, 'begin');
    truncateSync(hole, 3 * 2 ** 20);
    if (hasAttributes(t)) run('setfattr', ['--name=user.colour=', '--value=0x0001ff', join(folder, 'z another name')]);
    else console.log('NOT TRIED: extended attributes, which this file system or machine has not');
    const made = readAll(tarOf(folder), 'gnu', { cuts: [10_240] });
    assert.ok(made.some(({ entry: { segments, size } }) => segments !== undefined && size === 3 * 2 ** 20));
    const ours = written(made);
    assert.deepEqual(
      readAll(ours, 'own').map(({ entry, data }) => ({ entry, data })),
      made.map(({ entry, data }) => ({ entry, data })),
    );
    const again = readAll(tarOf(extract(t, ours)), 'gnu');
    // The top was there before, and is not tar's to change.
    assert.deepEqual(again.slice(1), made.slice(1));
  });

  it('passes over a fifo and tells of it, and takes nothing else that is no file', (t) => {
    const folder = emptyFolder(t);
    run('mkfifo', [join(folder, `${'f'.repeat(200)}`)]);
    writeFileSync(join(folder, 'g'), contents);
    const told: string[] = [];
    const read = readAll(tarOf(folder), 'gnu', { onForbidden: (path, what) => told.push(`${path} is ${what}`) });
    assert.deepEqual(told, [`${'f'.repeat(200)} is a fifo`]);
    assert.deepEqual(
      read.map(({ entry }) => entry.path),
      ['.', 'g'],
    );
    for (const type of ['7', 'g', 'L', 'K', 'S', 'M', 'V', 'D', 'Z'])
      for (const dialect of ['own', 'gnu', 'old'] as const) {
        const bytes = archive(rawHeader({ type, size: octal(0) }), rawHeader({ name: 'b' }));
        assert.throws(() => readAll(bytes, dialect, { onForbidden: () => undefined }), isDamage(/./), type);
      }
    for (const dialect of ['own', 'old'] as const)
      assert.throws(() => readAll(tarOf(folder), dialect, { onForbidden: () => undefined }), isDamage(/./));
  });

  it('refuses the forms of sparse files that it does not read', (t) => {
    const folder = emptyFolder(t);
    writeFileSync(join(folder, 'hole'), 'begin');
    truncateSync(join(folder, 'hole'), 2 ** 20);
    for (const version of ['0.0', '0.1'])
      assert.throws(
        () => readAll(tarOf(folder, ['--format=posix', '--sparse', `--sparse-version=${version}`]), 'gnu'),
        isDamage(/twice|other than 1\.0/),
      );
    assert.throws(
      () => readAll(tarOf(folder, ['--format=gnu', '--sparse']), 'old'),
      isDamage(/sparse file in an old form/),
    );
  });
});

describe('reading archives of older tools', () => {
  it('finds in each form that holds it all what GNU tar’s own newest form says', (t) => {
    const folder = makeTree(t);
    const expected = readAll(tarOf(folder, posix), 'gnu').map(line);
    for (const flags of [['--format=gnu'], ['--format=oldgnu'], ['--format=posix']])
      assert.deepEqual(
        readAll(tarOf(folder, ['--sort=name', ...flags]), 'old', { cuts: [700] }).map(line),
        expected,
        String(flags),
      );
  });

  it('reads ustar with its prefix, and what is older than that', (t) => {
    const folder = emptyFolder(t);
    const [outer, inner, name] = ['d'.repeat(60), 'e'.repeat(60), 'n'.repeat(99)];
    mkdirSync(join(folder, outer, inner), { recursive: true });
    writeFileSync(join(folder, outer, inner, name), contents);
    const paths = ['.', outer, `${outer}/${inner}`, `${outer}/${inner}/${name}`];
    const ustar = readAll(tarOf(folder, ['--format=ustar']), 'old');
    assert.deepEqual(
      ustar.map(({ entry }) => entry.path),
      paths,
    );
    const short = emptyFolder(t);
    mkdirSync(join(short, 'd'));
    writeFileSync(join(short, 'd', 'n'), contents);
    linkSync(join(short, 'd', 'n'), join(short, 'd', 'o'));
    assert.deepEqual(
      readAll(tarOf(short, ['--format=v7', '--sort=name']), 'old').map(line),
      readAll(tarOf(short, posix), 'gnu').map(line),
    );
  });

  it('reads numbers in binary, where octal digits do not hold them', (t) => {
    const folder = emptyFolder(t);
    writeFileSync(join(folder, 'a'), contents);
    const flags = ['--format=gnu', '--owner=:3000000', '--group=:4000000000', '--mtime=@-5'];
    const [read] = readAll(tarOf(folder, flags, ['a']), 'old');
    assert.deepEqual([read?.entry.uid, read?.entry.gid, read?.entry.mtime.seconds], [3_000_000, 4_000_000_000, -5]);
  });

  it('reads what Python’s tarfile writes, in each of its forms', (t) => {
    const script = `
import io, sys, tarfile
with tarfile.open(fileobj=sys.stdout.buffer, mode="w|", format=getattr(tarfile, sys.argv[1])) as t:
    for name in ["a", "d/" + "n" * 90, "d/" * 60 + "n" * 90] + ([] if sys.argv[1] == "USTAR_FORMAT" else ["n" * 200]):
        m = tarfile.TarInfo(name); m.size = 3; m.mtime = 1234567890
        t.addfile(m, io.BytesIO(b"abc"))
    m = tarfile.TarInfo("s"); m.type = tarfile.SYMTYPE; m.linkname = "l" * 90
    t.addfile(m)`;
    for (const form of ['USTAR_FORMAT', 'GNU_FORMAT', 'PAX_FORMAT']) {
      let bytes: Buffer;
      try {
        bytes = run('python3', ['-c', script, form]);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return t.skip('there is no python3');
        throw error;
      }
      const files = ['a', `d/${'n'.repeat(90)}`, 'd/'.repeat(60) + 'n'.repeat(90), 'n'.repeat(200)];
      assert.deepEqual(
        admitted(bytes, 'old').map(line),
        [
          ...files
            .slice(0, form === 'USTAR_FORMAT' ? 3 : 4)
            .map((path) => `file | ${path} |  | 644 | 1234567890 | 3 | abc`),
          `symlink | s | ${'l'.repeat(90)} | 644 | 0 | 0 | `,
        ],
        form,
      );
    }
  });

  it('takes a file for a file where its name is cut off at a slash', () => {
    const name = `${'d'.repeat(99)}/empty`;
    const long = [gnuHeader({ name: '././@LongLink', type: 'L', size: octal(name.length + 1) }), blocks(`${name}\0`)];
    const read = readAll(archive(...long, gnuHeader({ name: name.slice(0, 100) })), 'old');
    assert.deepEqual(
      read.map(({ entry: { kind, path } }) => [kind, path]),
      [['file', name]],
    );
    const folder = readAll(archive(gnuHeader({ name: 'd/' })), 'old');
    assert.equal(folder[0]?.entry.kind, 'directory');
  });

  it('refuses volumes, labels and incremental dumps by their names', (t) => {
    const folder = emptyFolder(t);
    writeFileSync(join(folder, 'a'), contents);
    assert.throws(() => readAll(tarOf(folder, ['--format=gnu', '--label=l']), 'old'), isDamage(/name of a volume/));
    assert.throws(
      () => readAll(tarOf(folder, ['--format=gnu', '--incremental']), 'old'),
      isDamage(/folder of an incremental dump/),
    );
  });
});

describe('a failure of the reader', () => {
  it('says where in the stream the member lies and which it is, and stays', () => {
    const first = rawHeader({ name: 'first', size: octal(5) });
    const bytes = Buffer.concat([first, blocks('hello'), rawHeader({ name: 'bad', type: '6' })]);
    const reader = new TarReader(
      { entry: () => undefined, data: () => undefined, end: () => undefined },
      { dialect: 'old' },
    );
    const isIt = (error: unknown) => {
      isDamage(/^bad: It is a fifo/)(error);
      assert.deepEqual((error as Fault).extra, { member: 'bad', offset: 1024 });
      return true;
    };
    assert.throws(() => reader.push(bytes), isIt);
    assert.throws(() => reader.push(archive()), isIt);
    assert.throws(() => reader.end(), isIt);
  });

  it('says it in the sentence where no member is known', () => {
    const bytes = archive(rawHeader({}), rawHeader({ checksum: '000001\0 ' }));
    assert.throws(() => readAll(bytes, 'old', { cuts: [100] }), isDamage(/checksum.*\(byte 512\)$/));
  });
});
