import fc from 'fast-check';
import { Fault } from '../../base/fault.ts';
import { type BytePath, bytePathOf } from '../byte-path.ts';
import type { Segment, TarEntry } from './entry.ts';
import type { Dialect } from './header.ts';
import { TarReader } from './reader.ts';
import { makeRules } from './rules.ts';
import { endOfArchive, headerOf, paddingOf } from './writer.ts';

/** A file, and what is said to be different. */
export function anEntry(
  different: Partial<Omit<TarEntry, 'link' | 'path'>> & { path: string; link?: string },
): TarEntry {
  return {
    kind: 'file',
    mode: different.kind === 'directory' ? 0o755 : 0o644,
    uid: 0,
    gid: 0,
    uname: '',
    gname: '',
    mtime: { seconds: 1_700_000_000, nanoseconds: 0 },
    size: 0,
    segments: undefined,
    attributes: [],
    ...different,
    path: different.path as BytePath,
    link: (different.link ?? '') as BytePath,
  };
}

/** A block as an attacker would write it: every field as it is given, only the checksum is made right. Latin-1. */
export function rawHeader(fields: Partial<Record<keyof typeof places, string>>): Buffer {
  const block = Buffer.alloc(512);
  const all = { ...usual, ...fields };
  for (const [name, [at, length]] of Object.entries(places))
    block.write(all[name as keyof typeof places] ?? '', at, length, 'latin1');
  if (fields.checksum === undefined) {
    block.fill(0x20, 148, 156);
    const sum = block.reduce((total, byte) => total + byte, 0);
    block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 8, 'latin1');
  }
  return block;
}

/** Written here once more, and not taken from the reader, so that a mistake there is seen. */
const places = {
  name: [0, 100],
  mode: [100, 8],
  uid: [108, 8],
  gid: [116, 8],
  size: [124, 12],
  mtime: [136, 12],
  checksum: [148, 8],
  type: [156, 1],
  link: [157, 100],
  magic: [257, 8],
  uname: [265, 32],
  gname: [297, 32],
  devMajor: [329, 8],
  devMinor: [337, 8],
  prefix: [345, 155],
  rest: [500, 12],
} as const;

const usual = {
  name: 'a',
  mode: '0000644',
  uid: '0000000',
  gid: '0000000',
  size: '00000000000',
  mtime: '00000000001',
  type: '0',
  magic: 'ustar\u000000',
};

export const gnuHeader = (fields: Parameters<typeof rawHeader>[0]): Buffer =>
  rawHeader({ magic: 'ustar  \0', ...fields });

/** Contents filled up to whole blocks. */
export function blocks(contents: Buffer | string): Buffer {
  const bytes = typeof contents === 'string' ? Buffer.from(contents, 'latin1') : contents;
  return Buffer.concat([bytes, Buffer.alloc((512 - (bytes.length % 512)) % 512)]);
}

export const octal = (value: number, digits = 11): string => value.toString(8).padStart(digits, '0');

/** An extended header with these records, or with this body as it is. */
export function extended(records: readonly (readonly [key: string, value: string])[] | string): Buffer {
  const body = typeof records === 'string' ? records : records.map(([key, value]) => record(key, value)).join('');
  return Buffer.concat([rawHeader({ name: 'x', type: 'x', size: octal(body.length) }), blocks(body)]);
}

function record(key: string, value: string): string {
  const rest = ` ${key}=${value}\n`;
  let length = rest.length;
  while (String(length).length + rest.length !== length) length = String(length).length + rest.length;
  return `${length}${rest}`;
}

export type Read = { entry: TarEntry; start: number; data: Buffer };

/** A stream of these parts with its end mark. */
export const archive = (...parts: readonly Buffer[]): Buffer => Buffer.concat([...parts, endOfArchive]);

/** Entries with contents, as our writer writes them. */
export function written(members: readonly { entry: TarEntry; data?: Buffer }[]): Buffer {
  return archive(
    ...members.flatMap(({ entry, data = Buffer.alloc(0) }) => [headerOf(entry), data, paddingOf(data.length)]),
  );
}

type How = {
  /** Sizes of the pieces in which it is pushed, over and over. */
  cuts?: readonly number[];
  onForbidden?: (path: BytePath, what: string) => void;
  admit?: (entry: TarEntry) => void;
};

/** Reads all of it. @throws what the reader throws */
export function readAll(bytes: Buffer, dialect: Dialect, { cuts = [], onForbidden, admit }: How = {}): Read[] {
  const members: Read[] = [];
  let data: Buffer[] = [];
  let open: Omit<Read, 'data'> | undefined;
  const reader = new TarReader(
    {
      entry(entry, { start }) {
        if (open !== undefined) throw new Error('an entry within an entry');
        admit?.(entry);
        open = { entry, start };
        data = [];
      },
      data(chunk) {
        if (open === undefined || chunk.length === 0) throw new Error('data of nothing');
        data.push(Buffer.from(chunk));
      },
      end() {
        if (open === undefined) throw new Error('the end of nothing');
        members.push({ ...open, data: Buffer.concat(data) });
        open = undefined;
      },
    },
    onForbidden === undefined ? { dialect } : { dialect, onForbidden },
  );
  for (let at = 0, cut = 0; at < bytes.length; cut++) {
    const length = cuts.length === 0 ? bytes.length : (cuts[cut % cuts.length] as number);
    // A copy that is overwritten afterwards: nothing may be kept of what was pushed.
    const chunk = Buffer.from(bytes.subarray(at, at + length));
    reader.push(chunk);
    chunk.fill(0xee);
    at += length;
  }
  reader.end();
  return members;
}

/** As a restore reads: reader and rules together. @throws Fault */
export function admitted(bytes: Buffer, dialect: Dialect, cuts: readonly number[] = []): Read[] {
  const isOld = dialect === 'old';
  const limits = { entries: 10_000, bytes: 2 ** 40 };
  const rules = makeRules(limits, { implicitParents: isOld, setuid: isOld ? 'refused' : 'allowed' });
  return readAll(bytes, dialect, { cuts, admit: (entry) => rules.admit(entry) });
}

/** Whether it is a fault of the archive with such a sentence; anything else that is thrown is a failed test. */
export const isDamage =
  (says: RegExp) =>
  (thrown: unknown): true => {
    if (!(thrown instanceof Fault) || thrown.code !== 'damaged') throw thrown;
    if (!says.test(thrown.message)) throw new Error(`"${thrown.message}" does not say ${says}`);
    return true;
  };

const byte = fc.integer({ min: 1, max: 255 });
const letters = fc
  .constantFrom(...'ab.~-'.split(''), 'ä', ' ', '\n', '\\', '\u007f')
  .map((c) => bytePathOf(c) as string);
const name = (maxLength: number): fc.Arbitrary<string> =>
  fc
    .oneof(
      fc.array(byte, { minLength: 1, maxLength: 12 }).map((bytes) => Buffer.from(bytes).toString('latin1')),
      fc.array(letters, { minLength: 1, maxLength }).map((parts) => parts.join('').slice(0, 255)),
    )
    .map((text) => text.replaceAll('/', '_'))
    .filter((text) => text !== '.' && text !== '..');

const path: fc.Arbitrary<BytePath> = fc
  .array(name(140), { minLength: 1, maxLength: 12 })
  .map((names) => names.join('/').slice(0, 4000).replace(/\/+$/, '') as BytePath);

const edges = [0, 1, 0o7777777, 0o7777777 + 1, 2 ** 32 - 1];
const id = fc.oneof(fc.constantFrom(...edges), fc.integer({ min: 0, max: 70_000 }));
const owner = fc.oneof(fc.constant(''), name(20), fc.constantFrom('x'.repeat(31), 'x'.repeat(32)));
const time = fc.record(
  {
    seconds: fc.oneof(fc.integer({ min: -(2 ** 40), max: 2 ** 40 }), fc.constantFrom(0, -1, 8 ** 11 - 1, 8 ** 11)),
    nanoseconds: fc.oneof(fc.constantFrom(0, 1, 500_000_000, 999_999_999), fc.integer({ min: 0, max: 999_999_999 })),
  },
  { noNullPrototype: true },
);
const attributes = fc
  .uniqueArray(
    fc.record(
      {
        key: fc.oneof(
          name(20).map((text) => `SCHILY.xattr.user.${text.replaceAll('=', '%3D')}`),
          fc.constantFrom('SCHILY.acl.access', 'SCHILY.acl.default', 'SCHILY.xattr.security.capability'),
        ),
        value: fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
      },
      { noNullPrototype: true },
    ),
    { selector: ({ key }) => key, maxLength: 4 },
  )
  .map((list) => list.sort((a, b) => (a.key < b.key ? -1 : 1)));

/** Pieces that ascend, and a size that holds them: some with an empty one at the end, as GNU tar writes it. */
const sparse = fc
  .tuple(
    fc.array(fc.tuple(fc.integer({ min: 0, max: 2 ** 34 }), fc.integer({ min: 1, max: 700 })), { maxLength: 60 }),
    fc.integer({ min: 0, max: 2 ** 34 }),
    fc.boolean(),
  )
  .map(([pairs, hole, hasEnd]) => {
    let end = 0;
    const segments: Segment[] = pairs.map(([gap, length]) => {
      const offset = end + gap;
      end = offset + length;
      return { offset, length };
    });
    const size = end + hole;
    return { size, segments: hasEnd ? [...segments, { offset: size, length: 0 }] : segments };
  });

const common = { path, mode: fc.integer({ min: 0, max: 0o7777 }), uid: id, gid: id, uname: owner, gname: owner };
const all = { ...common, mtime: time, attributes };
const sizeOf = fc.oneof(fc.constantFrom(0, 1, 511, 512, 513, 1024), fc.integer({ min: 0, max: 5000 }));

/** Any member that an archive may hold, without regard to the others, with contents of few bytes. */
export const anyMember: fc.Arbitrary<{ entry: TarEntry; data: Buffer }> = fc
  .oneof(
    fc.record({ ...all, size: sizeOf }).map((entry) => anEntry(entry)),
    fc.record({ ...all, file: sparse }).map(({ file, ...entry }) => anEntry({ ...entry, ...file })),
    fc.record(all).map((entry) => anEntry({ ...entry, kind: 'directory' })),
    fc.record({ ...all, link: path }).map((entry) => anEntry({ ...entry, kind: 'hardlink' })),
    fc.record({ ...all, link: path }).map((entry) => anEntry({ ...entry, kind: 'symlink' })),
  )
  .map((entry) => {
    const stored = entry.segments?.reduce((sum, { length }) => sum + length, 0) ?? entry.size;
    return { entry, data: Buffer.alloc(stored, 0xa5) };
  });

/** Sizes of pieces, from a byte to several blocks. */
export const anyCuts: fc.Arbitrary<number[]> = fc.oneof(
  fc.constantFrom<number[][]>([1], [511], [512], [513], [1024], []),
  fc.array(fc.integer({ min: 1, max: 3000 }), { minLength: 1, maxLength: 8 }),
);
