import { hash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { constants, zstdCompressSync } from 'node:zlib';
import type { BytePath } from '../byte-path.ts';
import type { Place } from '../place.ts';
import type { TarEntry } from '../tar/entry.ts';
import { endOfArchive, headerOf, paddingOf } from '../tar/writer.ts';
import { listName } from './archive-builder.ts';
import { listedOf } from './file-list.ts';
import type { Manifest } from './manifest.ts';
import { filesBeside, manifestBytes } from './manifest-file.ts';
import { seekTableOf } from './seek-table.ts';
import { knownKey, loadSigner, type Signer } from './sign.ts';
import { verifyArchive } from './verify-archive.ts';

const name = 'dev-2026-01-16-103000.tar.zst';

type Member = { path: string; contents?: string };

/** Each member in a frame of its own, so that frames can be swapped, and damage belongs to one member. */
export function buildFrames(members: readonly Member[]) {
  const plain: Buffer[] = [];
  let offset = 0;
  let list = '';
  const totals = { files: 0, directories: 0, symlinks: 0, hardlinks: 0, bytes: 0, stored_bytes: 0 };
  const add = (entry: TarEntry, contents: Buffer) => {
    const whole = Buffer.concat([headerOf(entry), contents, paddingOf(contents.length)]);
    plain.push(whole);
    offset += whole.length;
  };
  for (const { path, contents } of members) {
    const bytes = Buffer.from(contents ?? '');
    const entry = entryOf(path, contents === undefined ? 'directory' : 'file', bytes.length);
    const digest = contents === undefined ? undefined : hash('sha256', bytes, 'hex');
    list += `${JSON.stringify(listedOf(entry, offset, digest))}\n`;
    if (contents === undefined) totals.directories++;
    else {
      totals.files++;
      totals.bytes += bytes.length;
      totals.stored_bytes += bytes.length;
    }
    add(entry, bytes);
  }
  const lines = Buffer.from(list);
  const listed = { offset, bytes: lines.length, sha256: hash('sha256', lines, 'hex'), entries: members.length };
  add(entryOf(listName, 'file', lines.length), lines);
  plain.push(Buffer.concat([plain.pop() as Buffer, endOfArchive]));
  return { plain, list: listed, totals };
}

function entryOf(path: string, kind: 'file' | 'directory', size: number): TarEntry {
  return {
    ...{ kind, path: path as BytePath, link: '' as BytePath, mode: 0o600, uid: 0, gid: 0, uname: '', gname: '' },
    ...{ mtime: { seconds: 1, nanoseconds: 0 }, size, segments: undefined, attributes: [] },
  };
}

export function packed(plain: readonly Buffer[]): { frames: { packed: Buffer; plain: number }[]; bytes(): Buffer } {
  const params = { [constants.ZSTD_c_checksumFlag]: 1 };
  const frames = plain.map((bytes) => ({
    packed: zstdCompressSync(bytes, { params, pledgedSrcSize: bytes.length }),
    plain: bytes.length,
  }));
  return { frames, bytes: () => joined(frames) };
}

export function joined(frames: readonly { packed: Buffer; plain: number }[]): Buffer {
  const sizes = frames.map((frame) => ({ compressed: frame.packed.length, plain: frame.plain }));
  return Buffer.concat([...frames.map((frame) => frame.packed), seekTableOf(sizes)]);
}

export const members: Member[] = [
  { path: 'HEADER.json', contents: '{}' },
  { path: 'files' },
  { path: 'files/dev' },
  { path: 'files/dev/a', contents: 'the first file' },
  { path: 'files/dev/b', contents: 'the other file' },
];

/** A small archive, signed, in a folder of its own; `put` writes it again with other parts. */
export function smallArchive(t: TestContext) {
  const home = mkdtempSync(join(tmpdir(), 'verify-'));
  t.after(() => rmSync(home, { recursive: true }));
  const place = { signingKey: join(home, 'key'), publicKey: join(home, 'key.pub') } as Place;
  const signer = loadSigner(place);
  const known = knownKey(place.publicKey);
  const file = join(home, name);
  return { home, signer, known, file, ...sound(signer, file) };
}

/** A sound archive with its manifest; what they are made of, to be changed. */
function sound(signer: Signer, file: string) {
  const { plain, list, totals } = buildFrames(members);
  const { frames, bytes } = packed(plain);
  const archive = bytes();
  const manifest = manifestOf({ archive, frames: frames.length, list, totals, signer });
  const text = manifestBytes(manifest);
  const signature = signer.sign(text);
  const put = (parts: { archive?: Buffer; manifest?: Buffer; signature?: Buffer } = {}) => {
    writeFileSync(file, parts.archive ?? archive);
    writeFileSync(filesBeside(file).manifest, parts.manifest ?? text);
    writeFileSync(filesBeside(file).signature, parts.signature ?? signature);
  };
  put();
  return { frames, archive, manifest, text, signature, put };
}

export function manifestOf(made: {
  archive: Buffer;
  frames: number;
  list: Manifest['list'];
  totals: Manifest['totals'];
  signer: Signer;
}): Manifest {
  return {
    ...{ format: 'leveredge-archive/1', name, target: 'dev', created_at: '2026-01-16T10:30:00.000Z', tool: 'test' },
    ...{ reason: 'manual', set: null, degraded: [], notes: [], list: made.list, totals: made.totals },
    archive: { bytes: made.archive.length, sha256: hash('sha256', made.archive, 'hex'), frames: made.frames },
    ...{ trees: [{ name: 'dev', root: '/srv/dev' }], databases: [], host: { name: 'h', kernel: 'k', os: 'o' } },
    previous_manifest_sha256: null,
    public_key: made.signer.publicKey,
  };
}

/** The bytes with one bit turned over. */
export function flipped(bytes: Buffer, bit: number): Buffer {
  const copy = Buffer.from(bytes);
  copy[bit >>> 3] = (copy[bit >>> 3] as number) ^ (1 << (bit & 7));
  return copy;
}

/** Turns over each `step`th bit of all three files, one at a time: what verify does not find. */
export async function missedFlips(t: TestContext, step: number): Promise<string[]> {
  const { file, known, archive, text, signature, put } = smallArchive(t);
  const missed: string[] = [];
  for (const [part, bytes] of Object.entries({ archive, manifest: text, signature })) {
    for (let bit = 0; bit < bytes.length * 8; bit += step) {
      put({ [part]: flipped(bytes, bit) });
      const verdict = await verifyArchive(file, { known: bit % 2 === 0 ? known : undefined });
      if (verdict.kind !== 'damaged') missed.push(`bit ${bit} of the ${part}: ${verdict.kind}`);
    }
  }
  return missed;
}

/** Cuts all three files at each `step`th byte, and makes them a byte longer: what verify does not find. */
export async function missedCuts(t: TestContext, step: number): Promise<string[]> {
  const { file, known, archive, text, signature, put } = smallArchive(t);
  const missed: string[] = [];
  const judge = async (part: string, bytes: Buffer) => {
    put({ [part]: bytes });
    const verdict = await verifyArchive(file, { known });
    if (verdict.kind !== 'damaged') missed.push(`${part} of ${bytes.length} bytes: ${verdict.kind}`);
  };
  for (const [part, bytes] of Object.entries({ archive, manifest: text, signature })) {
    for (let end = 0; end < bytes.length; end += step) await judge(part, bytes.subarray(0, end));
    await judge(part, bytes.subarray(0, -1));
    await judge(part, Buffer.concat([bytes, Buffer.alloc(1)]));
  }
  return missed;
}
