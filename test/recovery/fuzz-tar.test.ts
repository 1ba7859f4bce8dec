import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, it } from 'node:test';
import { Fault } from '../../src/base/fault.ts';
import { hostile } from '../../src/recovery/tar/hostile.fixtures.ts';
import {
  admitted,
  anEntry,
  archive,
  blocks,
  extended,
  gnuHeader,
  octal,
  type Read,
  rawHeader,
  written,
} from '../../src/recovery/tar/tar.fixtures.ts';

/** Half a minute, from a seed that is printed: the same seed does the same again (FUZZ_SEED, FUZZ_SECONDS). */
const seconds = Number(process.env.FUZZ_SECONDS ?? 30);
const seed = Number(process.env.FUZZ_SEED ?? Date.now() % 2 ** 31);
const slowMs = 1000;
/** Starting Python costs more than reading, so archives are judged by it many at a time. */
const batch = 400;

/** A small generator that can be begun anew (mulberry32). */
function randomFrom(start: number): () => number {
  let state = start;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const seeds: Buffer[] = [
  ...hostile.map(({ bytes }) => bytes),
  written([
    { entry: anEntry({ path: 'd', kind: 'directory' }) },
    { entry: anEntry({ path: 'd/f', size: 5 }), data: Buffer.from('hello') },
  ]),
  archive(
    extended([
      ['path', 'd/long'],
      ['mtime', '1.5'],
      ['SCHILY.xattr.user.a', 'v'],
    ]),
    rawHeader({ size: octal(3) }),
    Buffer.alloc(512),
  ),
  archive(gnuHeader({ name: 'a', size: octal(1) }), Buffer.alloc(512)),
  // Older forms, with names that do not fit and are cut off at every place.
  ...[99, 100, 101, 120].map((slash) => {
    const name = `${'d'.repeat(slash)}/${'n'.repeat(130 - slash)}`;
    return archive(
      gnuHeader({ name: '././@LongLink', type: 'L', size: octal(name.length + 1) }),
      blocks(`${name}\0`),
      gnuHeader({ name: name.slice(0, 100), size: octal(slash % 2) }),
      Buffer.alloc((slash % 2) * 512),
    );
  }),
  archive(
    gnuHeader({ name: '././@LongLink', type: 'K', size: octal(151) }),
    blocks(`${'l'.repeat(150)}\0`),
    gnuHeader({ name: 's', type: '2', link: 'l'.repeat(100) }),
    gnuHeader({ name: 'b', uid: '\x80\0\0\0\x01\0\0\0', mtime: '\xff'.repeat(12) }),
  ),
  archive(
    rawHeader({ name: 'd/', type: '5', mode: '0000755' }),
    rawHeader({ name: 'n'.repeat(100), prefix: 'd', size: octal(2) }),
    blocks('ab'),
    rawHeader({ name: 'h', type: '1', link: `d/${'n'.repeat(97)}` }),
  ),
  archive(
    rawHeader({ magic: '\0'.repeat(8), type: '\0', name: 'v7/' }),
    rawHeader({ magic: '\0'.repeat(8), name: 'v7/f' }),
  ),
];

/** Values that a field may have, more or less, so that what is mutated still comes far. */
const plausible: [at: number, length: number, values: string[]][] = [
  [0, 100, ['b', 'd/', 'd/e', './b', '', 'n'.repeat(100), `${'d'.repeat(99)}/`, '\xff', 'a b', 'a\0b']],
  [100, 8, ['0000644', '0004755', '100644 ', '7777777', '644']],
  [108, 8, ['0000000', '1750', '\x80\0\0\0\0\0\0\x07', '\xff\xff\xff\xff\xff\xff\xff\xfe', '-1']],
  [124, 12, ['00000000000', '0', '00000000001', '00000001000', '\x80\0\0\0\0\0\0\0\0\0\0\x01', '77777777777']],
  [136, 12, ['00000000001', '\xff'.repeat(12), '-1', '']],
  [156, 1, ['0', '\0', '1', '2', '5', '7', 'L', 'K', 'x', 'g', 'S']],
  [157, 100, ['', 'a', 'd/f', '/etc', 'l'.repeat(100)]],
  [257, 8, ['ustar\u000000', 'ustar  \0', '\0'.repeat(8), 'ustar   ']],
  [345, 155, ['', 'd', 'p/q', '/']],
];

function mutate(random: () => number): Buffer {
  const pick = () => seeds[Math.floor(random() * seeds.length)] as Buffer;
  let bytes = Buffer.from(pick());
  for (let edits = 1 + Math.floor(random() * 4); edits > 0; edits--) {
    const at = Math.floor(random() * Math.max(1, bytes.length));
    const kind = random();
    if (kind < 0.25 && bytes.length >= 512) setField(bytes, at - (at % 512), random);
    else if (kind < 0.4 && bytes.length > 0) bytes[at] = Math.floor(random() * 256);
    else if (kind < 0.55) bytes = Buffer.concat([bytes.subarray(0, at - (at % 512)), pick()]);
    else if (kind < 0.65) bytes = Buffer.from(bytes.subarray(0, at));
    else if (kind < 0.8 && bytes.length >= 512) mendChecksum(bytes, Math.floor(random() * (bytes.length >> 9)) << 9);
    else if (bytes.length > 4)
      bytes.write(['0', '7', '/', '..', '\0', '=', '\n', '9'][Math.floor(random() * 8)] as string, at);
  }
  if (random() < 0.8)
    for (let at = 0; at + 512 <= bytes.length; at += 512) if (isHeader(bytes, at)) mendChecksum(bytes, at);
  return bytes;
}

/** By its magic or, where it has none, by how a checksum ends. */
const isHeader = (bytes: Buffer, at: number) =>
  bytes[at + 257] === 0x75 || (bytes[at + 154] === 0 && bytes[at + 155] === 0x20);

function setField(bytes: Buffer, block: number, random: () => number): void {
  const [at, length, values] = plausible[Math.floor(random() * plausible.length)] as (typeof plausible)[number];
  if (block + 512 > bytes.length) return;
  bytes.fill(0, block + at, block + at + length);
  bytes.write(values[Math.floor(random() * values.length)] as string, block + at, length, 'latin1');
}

/** Most mutations die at the checksum; with a right one they come further. */
function mendChecksum(bytes: Buffer, at: number): void {
  const block = bytes.subarray(at, at + 512);
  block.fill(0x20, 148, 156);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 8, 'latin1');
}

/** What another reader, Python's tarfile, sees in archives that ours took: kind, path, size, link of each member. */
const reader = `
import io, json, sys, tarfile
for line in sys.stdin:
    try:
        with tarfile.open(fileobj=io.BytesIO(bytes.fromhex(line.strip())), mode="r:", errorlevel=2, encoding="latin-1") as t:
            print(json.dumps([[m.type.decode("latin-1"), m.name.rstrip("/"), m.size if m.isreg() else 0, m.linkname if m.islnk() or m.issym() else ""] for m in t.getmembers()]))
    except Exception as error:
        print(json.dumps("error: %s" % error))
`;

const kinds = { file: ['0', '\0', '7'], hardlink: ['1'], symlink: ['2'], directory: ['5', '0', '\0'] };

/** What it sees otherwise; that it takes less than ours is no way to show it another tree. */
function otherwise(read: Read[], seen: unknown): string | undefined {
  const theirs = seen as [string, string, number, string][];
  if (theirs.length > read.length) return `${theirs.length} members instead of ${read.length}`;
  // It ends without a word at a header it does not take.
  for (const [i, { entry }] of read.slice(0, theirs.length).entries()) {
    const [type, name, size, link] = theirs[i] as [string, string, number, string];
    const path = name.replace(/^(\.\/)+/, '') || '.';
    if (!kinds[entry.kind].includes(type)) return `${entry.path} is of type ${type} to it`;
    if (path !== entry.path) return `${entry.path} is ${path} to it`;
    if (entry.kind === 'file' && size !== entry.size) return `${entry.path} has ${size} bytes to it`;
    if (entry.kind === 'symlink' && link !== entry.link) return `${entry.path} leads to ${link} to it`;
  }
  return undefined;
}

const marks = { file: '-', hardlink: 'h', symlink: 'l', directory: 'd' };
const verbose = ['--list', '--file=-', '--verbose', '--numeric-owner', '--quoting-style=escape'];

/** What GNU tar sees otherwise; `refused` when it says that anything is wrong. */
function gnuSeesOtherwise(read: Read[], bytes: Buffer): 'refused' | string | undefined {
  const env = { PATH: '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' };
  const { status, stdout, stderr } = spawnSync('tar', verbose, { input: bytes, env });
  if (status !== 0 || stderr.length > 0) return 'refused';
  const lines = stdout.toString('latin1').split('\n').slice(0, -1);
  if (lines.length !== read.length) return `${lines.length} members to GNU tar instead of ${read.length}`;
  for (const [i, { entry }] of read.entries()) {
    const [, mark, size, named = ''] = /^(.)\S+ +\S+ +(\d+) \S+ \S+ (.*)$/.exec(lines[i] as string) ?? [];
    const arrow = entry.kind === 'symlink' ? ` -> ${entry.link}` : entry.kind === 'hardlink' ? ' link to ' : '';
    const name = entry.kind === 'hardlink' ? unescaped(named).split(arrow)[0] : unescaped(named);
    const path = name?.replace(/^(\.\/)+(?=.)/, '').replace(/\/+$/, '');
    const expected = entry.kind === 'hardlink' ? entry.path : entry.path + arrow;
    if (mark !== marks[entry.kind] || path !== expected.replace(/\/+$/, '') || Number(size) !== entry.size)
      return `${JSON.stringify(entry)} is to GNU tar ${lines[i]}`;
  }
  return undefined;
}

function unescaped(text: string): string {
  const letters: Record<string, string> = { a: '\x07', b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v' };
  return text.replace(/\\([0-7]{3}|.)/gs, (_, code: string) =>
    code.length === 3 ? String.fromCharCode(Number.parseInt(code, 8)) : (letters[code] ?? code),
  );
}

describe('the reader of tar archives, fuzzed', () => {
  it(`throws nothing but faults, never hangs, and sees in what it takes just what GNU tar and Python's tarfile see`, {
    timeout: (seconds + 60) * 1000,
  }, () => {
    const random = randomFrom(seed);
    const until = performance.now() + seconds * 1000;
    let tried = 0;
    let taken = 0;
    let refused = 0;
    let takenByGnu = 0;
    let refusedByGnu = 0;
    while (performance.now() < until) {
      const accepted: { bytes: Buffer; read: Read[] }[] = [];
      for (let i = 0; i < batch; i++) {
        const bytes = mutate(random);
        tried++;
        for (const dialect of ['own', 'gnu', 'old'] as const) {
          const began = performance.now();
          try {
            const read = admitted(bytes, dialect);
            if (dialect !== 'old' || read.every(({ entry }) => entry.segments === undefined))
              accepted.push({ bytes, read });
            if (dialect === 'own')
              assert.ok(
                written(read).equals(bytes.subarray(0, written(read).length)),
                `seed ${seed}: ${bytes.toString('hex')}`,
              );
          } catch (error) {
            assert.ok(
              error instanceof Fault && error.code === 'damaged',
              `seed ${seed}: ${error}\n${bytes.toString('hex')}`,
            );
          }
          assert.ok(performance.now() - began < slowMs, `seed ${seed}: took too long\n${bytes.toString('hex')}`);
        }
      }
      taken += accepted.length;
      const judged = new Set<string>();
      for (const { bytes, read } of accepted) {
        const hex = bytes.toString('hex');
        if (judged.has(hex)) continue;
        judged.add(hex);
        const why = gnuSeesOtherwise(read, bytes);
        if (why === 'refused') refusedByGnu++;
        else {
          takenByGnu++;
          assert.equal(why, undefined, `seed ${seed}: ${hex}`);
        }
      }
      const { stdout, stderr } = spawnSync('python3', ['-c', reader], {
        input: accepted.map(({ bytes }) => bytes.toString('hex')).join('\n'),
        encoding: 'utf8',
        maxBuffer: 64 * 1024 * 1024,
      });
      const lines = stdout.trim().split('\n');
      assert.equal(lines.length, Math.max(1, accepted.length), stderr);
      for (const [i, { bytes, read }] of accepted.entries()) {
        const seen: unknown = JSON.parse(lines[i] as string);
        if (typeof seen === 'string') {
          refused++;
          continue;
        }
        const why = otherwise(read, seen);
        assert.equal(why, undefined, `seed ${seed}: ${bytes.toString('hex')}`);
      }
    }
    assert.ok(
      taken - refused > tried / 100,
      `${taken} taken, ${refused} of them not by tarfile: this compares too little`,
    );
    assert.ok(
      takenByGnu > tried / 100,
      `${takenByGnu} taken by GNU tar, ${refusedByGnu} not: this compares too little`,
    );
    console.log(
      `seed ${seed}: ${tried} archives in three dialects, ${taken} taken; read the same by tarfile ${taken - refused}, by GNU tar ${takenByGnu} (refused ${refused} and ${refusedByGnu})`,
    );
  });
});
