import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, it } from 'node:test';
import { Fault } from '../../src/base/fault.ts';
import { hostile } from '../../src/recovery/tar/hostile.fixtures.ts';
import {
  admitted,
  anEntry,
  archive,
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
];

function mutate(random: () => number): Buffer {
  const pick = () => seeds[Math.floor(random() * seeds.length)] as Buffer;
  let bytes = Buffer.from(pick());
  for (let edits = 1 + Math.floor(random() * 4); edits > 0; edits--) {
    const at = Math.floor(random() * Math.max(1, bytes.length));
    const kind = random();
    if (kind < 0.4 && bytes.length > 0) bytes[at] = Math.floor(random() * 256);
    else if (kind < 0.55) bytes = Buffer.concat([bytes.subarray(0, at - (at % 512)), pick()]);
    else if (kind < 0.65) bytes = Buffer.from(bytes.subarray(0, at));
    else if (kind < 0.8 && bytes.length >= 512) mendChecksum(bytes, Math.floor(random() * (bytes.length >> 9)) << 9);
    else if (bytes.length > 4)
      bytes.write(['0', '7', '/', '..', '\0', '=', '\n', '9'][Math.floor(random() * 8)] as string, at);
  }
  if (random() < 0.8)
    for (let at = 0; at + 512 <= bytes.length; at += 512) if (bytes[at + 257] === 0x75) mendChecksum(bytes, at);
  return bytes;
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

describe('the reader of tar archives, fuzzed', () => {
  it(`throws nothing but faults, never hangs, and sees in what it takes just what Python's tarfile sees`, {
    timeout: (seconds + 60) * 1000,
  }, () => {
    const random = randomFrom(seed);
    const until = performance.now() + seconds * 1000;
    let tried = 0;
    let taken = 0;
    let refused = 0;
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
    console.log(
      `seed ${seed}: ${tried} archives in three dialects, ${taken} taken, ${taken - refused} of them by tarfile too, and read the same`,
    );
  });
});
