import { createHash, type KeyObject } from 'node:crypto';
import { createReadStream, statSync } from 'node:fs';
import { Fault } from '../../base/fault.ts';
import { type BytePath, shownPath } from '../byte-path.ts';
import { explainSealed, isSealed } from '../encryption/unlock.ts';
import type { Progress } from '../progress.ts';
import type { TarEntry } from '../tar/entry.ts';
import { TarReader } from '../tar/reader.ts';
import { makeRules, type Rules } from '../tar/rules.ts';
import { listName } from './archive-builder.ts';
import type { Unlock } from './archive-file.ts';
import { fileListParser, listedOf, mismatch, pathOf } from './file-list.ts';
import { type FrameReader, openFrames, readThrough } from './frame-reader.ts';
import type { Listed } from './listed.ts';
import type { Manifest } from './manifest.ts';
import { readManifest, type SignedManifest } from './manifest-file.ts';
import { MemberHash } from './member-hash.ts';
import type { Signature } from './sign.ts';

export type Verdict =
  | { kind: 'sound'; files: number; bytes: number; manifest: Manifest; signature: Signature }
  /** Encrypted, and nothing here opens it: the file is the one that was written, as far as its manifest is to be trusted. */
  | { kind: 'sealed'; manifest: Manifest; signature: Signature }
  /** `member` where it can be told; `reason` is a sentence. */
  | { kind: 'damaged'; member: string | undefined; reason: string }
  /** An archive of ours beside which no manifest lies: nobody says that it is what was written. */
  | { kind: 'no-manifest' };

type ReadOptions = { progress?: Progress | undefined; unlock?: Unlock | undefined };
type VerifyOptions = ReadOptions & { known: KeyObject | undefined; deep?: boolean };

/** The digest is not known yet when a new archive is read back. */
type Expected = Pick<Manifest, 'encryption'> & {
  archive: Omit<Manifest['archive'], 'sha256'> & { sha256?: string };
  list: Manifest['list'];
};

/**
 * Proves that a backup can be read back whole: signature, SHA-256 of the file, and that each frame decodes to its checksum.
 * That the file is the one that was compared with the list of files when it was made says that its members are sound too.
 * `deep` judges and hashes each of them again all the same, as is done when the signer is not known here. Reads everything,
 * changes nothing.
 * @throws Fault `not-found`, `usage` when it cannot be read
 */
export async function verifyArchive(
  path: string,
  { known, progress, deep = false, unlock }: VerifyOptions,
): Promise<Verdict> {
  try {
    statOf(path);
    const signed = readManifest(path, known);
    if (signed === undefined) return { kind: 'no-manifest' };
    // Signed by somebody whom nobody here knows, the manifest says nothing about who compared what.
    const inFull = deep || signed.signature.kind !== 'known';
    const reading = { progress, unlock };
    try {
      if (inFull) await readBack(path, signed.manifest, reading);
      else await decodeBack(path, signed.manifest, reading);
    } catch (failure) {
      const error = await explainSealed(failure, signed.manifest, unlock);
      if (!isSealed(error) || deep) throw error;
      await requireSameFile(path, signed.manifest, progress);
      return { kind: 'sealed', ...pick(signed) };
    }
    const { totals } = signed.manifest;
    return { kind: 'sound', files: totals.files, bytes: totals.bytes, ...pick(signed) };
  } catch (error) {
    if (!(error instanceof Fault) || error.code !== 'damaged') throw error;
    const { member } = error.extra as { member?: string };
    return { kind: 'damaged', member, reason: error.message };
  }
}

const pick = ({ manifest, signature }: SignedManifest) => ({ manifest, signature });

/** The digest of the file alone, of which nothing is decoded. @throws Fault `damaged` */
async function requireSameFile(path: string, { archive }: Manifest, progress: Progress | undefined): Promise<void> {
  const hash = createHash('sha256');
  let doneBytes = 0;
  for await (const piece of createReadStream(path, { highWaterMark: 1024 * 1024 })) {
    hash.update(piece as Buffer);
    doneBytes += (piece as Buffer).length;
    progress?.({ phase: 'read', doneBytes, totalBytes: archive.bytes, doneFiles: 0 });
  }
  requireDigest(hash.digest('hex'), { archive });
}

function statOf(path: string): void {
  if (statSync(path, { throwIfNoEntry: false }) === undefined)
    throw new Fault('not-found', `There is no archive at ${path}.`, { hint: 'See: gaia list' });
}

/**
 * Reads an archive from one end to the other and compares it with what was written, each member's form, contents and
 * attributes with the list of files. Answers the SHA-256 of the file, which must be `expected.archive.sha256` if that is
 * known already.
 * @throws Fault `damaged`, naming the member where it is known
 */
export async function readBack(path: string, expected: Expected, reading: ReadOptions = {}): Promise<string> {
  try {
    return await readOnce(path, expected, reading);
  } catch (error) {
    throw await named(error, path, expected, reading.unlock);
  }
}

async function decodeBack(path: string, expected: Expected, reading: ReadOptions): Promise<void> {
  try {
    await decodeAll(path, expected, reading);
  } catch (error) {
    throw await named(error, path, expected, reading.unlock);
  }
}

async function readOnce(path: string, expected: Expected, { progress, unlock }: ReadOptions): Promise<string> {
  const plainBytes = await requireTable(path, expected, unlock);
  const reading = new Reading(expected);
  const hash = createHash('sha256');
  for await (const plain of readThrough(path, (raw) => hash.update(raw), unlock)) {
    reading.push(plain);
    progress?.({ phase: 'read', doneBytes: reading.bytes, totalBytes: plainBytes, doneFiles: reading.entries });
  }
  reading.finish();
  if (reading.bytes !== plainBytes)
    throw new Fault('damaged', 'The seek table of the archive speaks of another length.');
  return requireDigest(hash.digest('hex'), expected);
}

/** Each frame by itself, on all cores; the digest of the file says that what is in them was compared when it was made. */
async function decodeAll(path: string, expected: Expected, { progress, unlock }: ReadOptions): Promise<string> {
  const frames = await openFrames(path, unlock);
  const hash = createHash('sha256');
  let doneBytes = 0;
  try {
    requireLength(frames, expected);
    await frames.prove(
      (raw) => hash.update(raw),
      (plainBytes) => {
        doneBytes += plainBytes;
        progress?.({ phase: 'read', doneBytes, totalBytes: frames.plainBytes, doneFiles: 0 });
      },
    );
  } finally {
    await frames.close();
  }
  return requireDigest(hash.digest('hex'), expected);
}

function requireDigest(sha256: string, { archive }: Pick<Expected, 'archive'>): string {
  if (archive.sha256 !== undefined && sha256 !== archive.sha256)
    throw new Fault(
      'damaged',
      'The archive is not the one that was written: its digest is not what its manifest says.',
    );
  return sha256;
}

function requireLength(frames: FrameReader, { archive, encryption }: Expected): void {
  if (encryption !== undefined && !frames.isSealed)
    throw new Fault('damaged', 'The archive is not encrypted, and its manifest says that it is.');
  if (frames.bytes !== archive.bytes || frames.frames.length !== archive.frames)
    throw new Fault('damaged', `The archive has ${frames.bytes} bytes, and its manifest says ${archive.bytes}.`);
}

/** Bytes of the tar stream, by a seek table that fits the file and the manifest. */
async function requireTable(path: string, expected: Expected, unlock: Unlock | undefined): Promise<number> {
  const frames = await openFrames(path, unlock);
  try {
    requireLength(frames, expected);
    return frames.plainBytes;
  } finally {
    await frames.close();
  }
}

/** Judges the members as they come, and makes the list of files anew, which must be the one that was promised. */
class Reading {
  readonly #expected: Expected;
  readonly #reader: TarReader;
  readonly #rules: Rules;
  readonly #member = new MemberHash();
  readonly #made = createHash('sha256');
  readonly #found = createHash('sha256');
  #lines = '';
  #entry: TarEntry | undefined;
  #offset = 0;
  #listSeen = false;
  entries = 0;
  bytes = 0;

  constructor(expected: Expected) {
    this.#expected = expected;
    this.#rules = makeRules({ entries: expected.list.entries + 1, bytes: Number.MAX_SAFE_INTEGER });
    const handler = {
      entry: (entry: TarEntry, { start }: { start: number }) => this.#begin(entry, start),
      data: (chunk: Buffer) => this.#data(chunk),
      end: () => this.#end(),
    };
    this.#reader = new TarReader(handler, { dialect: 'own' });
  }

  get last(): BytePath | undefined {
    return this.#entry?.path;
  }

  push(plain: Buffer): void {
    this.bytes += plain.length;
    this.#reader.push(plain);
  }

  finish(): void {
    this.#reader.end();
    const { list } = this.#expected;
    this.#made.update(this.#lines);
    if (!this.#listSeen) throw new Fault('damaged', 'The archive has no list of files at its end.');
    if (this.#found.digest('hex') !== list.sha256)
      throw new Fault('damaged', 'The list of files is not the one that was written.', { extra: { member: listName } });
    if (this.entries !== list.entries || this.#made.digest('hex') !== list.sha256)
      throw new Fault('damaged', 'A member of the archive is not what the list of files says.', {
        extra: { compare: true },
      });
  }

  #begin(entry: TarEntry, start: number): void {
    if (this.#listSeen) throw new Fault('damaged', 'Something lies behind the list of files.');
    this.#rules.admit(entry);
    this.#entry = entry;
    this.#offset = start;
    if (entry.path === listName) {
      this.#listSeen = true;
      const { list } = this.#expected;
      if (start !== list.offset || entry.size !== list.bytes)
        throw new Fault('damaged', 'The list of files is not where it was written.', { extra: { member: listName } });
    } else this.#member.begin(entry);
  }

  #data(chunk: Buffer): void {
    if (this.#listSeen) this.#found.update(chunk);
    else this.#member.data(chunk);
  }

  #end(): void {
    if (this.#listSeen) return;
    this.entries++;
    this.#lines += `${JSON.stringify(listedOf(this.#entry as TarEntry, this.#offset, this.#member.end()))}\n`;
    if (this.#lines.length < 65536) return;
    this.#made.update(this.#lines);
    this.#lines = '';
  }
}

/**
 * The same damage with the member it hit, found frame by frame and through the list of files, as far as those can be read
 * themselves. Anything that is no damage is answered as it is.
 */
export async function named(error: unknown, path: string, expected: Expected, unlock?: Unlock): Promise<unknown> {
  if (!(error instanceof Fault) || error.code !== 'damaged' || error.extra.member !== undefined) return error;
  const member = await memberHit(path, expected, unlock).catch(() => undefined /* then nobody knows */);
  if (member === undefined) return error;
  const shown = shownPath(member);
  return new Fault('damaged', `${shown}: ${error.message}`, {
    hint: error.hint,
    extra: { member: shown },
    cause: error,
  });
}

async function memberHit(path: string, expected: Expected, unlock?: Unlock): Promise<BytePath | undefined> {
  const frames = await openFrames(path, unlock);
  const reading = new Reading(expected);
  try {
    for await (const { plain } of frames.read(0, frames.frames.length)) reading.push(plain);
    return await firstMismatch(frames, expected);
  } catch (error) {
    const { frame } = (error as Fault).extra as { frame?: number };
    return (
      (await memberOfFrame(frames, expected, frame)) ??
      (await firstMismatch(frames, expected).catch(() => undefined /* nor there */)) ??
      reading.last
    );
  } finally {
    await frames.close();
  }
}

async function memberOfFrame(
  frames: FrameReader,
  expected: Expected,
  frame: number | undefined,
): Promise<BytePath | undefined> {
  if (frame === undefined) return undefined;
  const end = frames.startOf(frame + 1);
  const start = frames.startOf(frame);
  let found: BytePath | undefined = start >= expected.list.offset ? listName : undefined;
  const look = (listed: Listed) => {
    if (listed.offset < end) found = pathOf(listed);
  };
  if (found === undefined) await readList(frames, expected.list, look).catch(() => undefined /* then nobody knows */);
  return found;
}

/** Compares member by member, to find the one that differs. */
async function firstMismatch(frames: FrameReader, expected: Expected): Promise<BytePath | undefined> {
  const list: Listed[] = [];
  await readList(frames, expected.list, (listed) => list.push(listed));
  const member = new MemberHash();
  let at = 0;
  let found: BytePath | undefined;
  let current: { entry: TarEntry; start: number } | undefined;
  const reader = new TarReader(
    {
      entry(entry, { start }) {
        current = { entry, start };
        member.begin(entry);
      },
      data: (chunk) => member.data(chunk),
      end() {
        const { entry, start } = current as { entry: TarEntry; start: number };
        const listed = list[at++];
        if (entry.path === listName || found !== undefined) return;
        if (
          listed === undefined ||
          mismatch(entry, start, listed) ||
          (entry.kind === 'file' && member.end() !== listed.sha256)
        )
          found = entry.path;
      },
    },
    { dialect: 'own' },
  );
  for await (const { plain } of frames.read(0, frames.frames.length)) {
    reader.push(plain);
    if (found !== undefined) return found;
  }
  return found;
}

/**
 * Reads the list of files through the seek table, without what stands before it.
 * @throws Fault `damaged` when it is not the list that the manifest promises
 */
export async function readList(
  frames: FrameReader,
  { offset, bytes, sha256, entries }: Manifest['list'],
  take: (listed: Listed) => void,
): Promise<void> {
  const first = frames.frameAt(offset);
  if (frames.startOf(first) !== offset) throw new Fault('damaged', 'The list of files is not where the manifest says.');
  const hash = createHash('sha256');
  const parser = fileListParser(take);
  let seen = 0;
  let isList = false;
  const reader = new TarReader(
    {
      entry(entry) {
        isList = entry.path === listName && entry.size === bytes;
      },
      data(chunk) {
        hash.update(chunk);
        parser.push(chunk);
      },
      end: () => seen++,
    },
    { dialect: 'own' },
  );
  for await (const { plain } of frames.read(first, frames.frames.length)) reader.push(plain);
  reader.end();
  parser.end();
  if (!isList || seen !== 1 || hash.digest('hex') !== sha256)
    throw new Fault('damaged', 'The list of files is not the one that was written.', {
      extra: { member: listName, entries },
    });
}
