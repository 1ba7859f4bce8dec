import { close, fstat, open, read, readSync, type Stats } from 'node:fs';
import { basename } from 'node:path';
import { promisify } from 'node:util';
import { Fault, reasonOf } from '../../base/fault.ts';
import { ageMagic, headerBytesIn, maxHeaderBytes, openHeader } from '../encryption/age-header.ts';
import {
  chunkBytes,
  openChunk,
  payloadKey,
  payloadNonceBytes,
  plainBytesOf,
  sealedChunkBytes,
  tagBytes,
} from '../encryption/payload.ts';
import { damaged } from '../tar/damage.ts';

/** What opens encrypted archives: identities of age, or the key of one file. */
export type Unlock = { identities?: () => readonly string[]; fileKey?: Uint8Array };

/** A file, and what is in it where it is encrypted. */
export type ArchiveFile = {
  readonly isSealed: boolean;
  /** Of the file itself. */
  readonly fileBytes: number;
  /** Of what is in it. */
  readonly bytes: number;
  /** Fills the buffer from a place of what is in it. @throws Fault `damaged` */
  read(buffer: Buffer, position: number): Promise<void>;
  /**
   * The same at once. Where it is called from the beginning to the end, without a gap, `raw` is told each byte of the file,
   * once and in order; they are good until it returns.
   */
  readInOrder(buffer: Buffer, position: number, raw: (bytes: Buffer) => void): void;
  /**
   * What is in it from the beginning on, a piece with each call: at most as much as the buffer holds, whose length is a multiple
   * of 64 KiB. Answers 0 at the end. `raw` as above.
   */
  next(buffer: Buffer, raw: (bytes: Buffer) => void): Promise<number>;
  close(): Promise<void>;
};

const opening = promisify(open);
const closing = promisify(close) as (fd: number) => Promise<void>;
const stating = promisify(fstat) as (fd: number) => Promise<Stats>;
const reading = promisify(read) as unknown as (
  fd: number,
  buffer: Uint8Array,
  offset: number,
  length: number,
  position: number,
) => Promise<{ bytesRead: number }>;

/**
 * Opens an archive, and its encryption where it has one.
 * @throws Fault `not-found`, `usage`; `forbidden` when nothing here opens it; `damaged` for a header that was altered
 */
export async function openArchiveFile(path: string, unlock: Unlock = {}): Promise<ArchiveFile> {
  const fd = await openingFile(path);
  try {
    const { size } = await stating(fd);
    const start = Buffer.alloc(Math.min(size, maxHeaderBytes));
    await fill(fd, start, 0);
    return start.subarray(0, ageMagic.length).equals(Buffer.from(ageMagic))
      ? await openSealed(fd, path, size, start, unlock)
      : plainFile(fd, size);
  } catch (error) {
    await closing(fd);
    throw error;
  }
}

async function openingFile(path: string): Promise<number> {
  try {
    return await opening(path, 'r');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') throw new Fault('not-found', `There is no archive at ${path}.`, { hint: 'See: gaia list' });
    throw new Fault('usage', `${path} cannot be read: ${reasonOf(error)}.`, { cause: error });
  }
}

function plainFile(fd: number, size: number): ArchiveFile {
  let passed = 0;
  return {
    isSealed: false,
    fileBytes: size,
    bytes: size,
    read: (buffer, position) => fill(fd, buffer, position),
    readInOrder(buffer, position, raw) {
      fillSync(fd, buffer, position);
      raw(buffer);
    },
    async next(buffer, raw) {
      const { bytesRead } = await reading(fd, buffer, 0, buffer.length, passed);
      passed += bytesRead;
      if (bytesRead > 0) raw(buffer.subarray(0, bytesRead));
      return bytesRead;
    },
    close: () => closing(fd),
  };
}

async function openSealed(
  fd: number,
  path: string,
  size: number,
  start: Buffer,
  { identities = () => [], fileKey }: Unlock,
): Promise<ArchiveFile> {
  const headerBytes = headerBytesIn(start);
  if (headerBytes === undefined) throw damaged('The header of the encrypted archive is cut off, or none.');
  const header = start.subarray(0, headerBytes);
  const tried = fileKey === undefined ? identities() : [];
  const key = fileKey ?? (await openHeader(header, tried));
  if (key === undefined) throw nothingOpens(path, tried.length);
  const base = headerBytes + payloadNonceBytes;
  const bytes = plainBytesOf(size - base);
  if (bytes === undefined) throw damaged('The encrypted archive is cut off.');
  const nonce = Buffer.alloc(payloadNonceBytes);
  await fill(fd, nonce, headerBytes);
  return sealedFile({ fd, size, base, bytes, key: payloadKey(key, nonce), preamble: Buffer.concat([header, nonce]) });
}

function nothingOpens(path: string, tried: number): Fault {
  const what =
    tried === 0 ? 'there is no key here that could open it' : 'none of the keys that were tried belongs to it';
  return new Fault('forbidden', `${basename(path)} is encrypted, and ${what}.`, {
    hint: 'Name the key of the recovery kit: --identity FILE',
    extra: { sealed: true },
  });
}

type Sealed = { fd: number; size: number; base: number; bytes: number; key: Buffer; preamble: Buffer };

function sealedFile({ fd, size, base, bytes, key, preamble }: Sealed): ArchiveFile {
  const chunks = Math.ceil((size - base) / sealedChunkBytes);
  /** Bytes of the file that `raw` was told of. */
  let told = 0;
  let nextChunk = 0;
  let spare = Buffer.alloc(0);

  /** Where chunks `from` up to, not including, `to` lie in the file. */
  const placeOf = (from: number, to: number) => {
    const at = base + from * sealedChunkBytes;
    return { at, length: Math.min(size, base + to * sealedChunkBytes) - at };
  };
  const span = (position: number, length: number): [number, number] => [
    Math.floor(position / chunkBytes),
    Math.max(Math.floor(position / chunkBytes) + 1, Math.ceil((position + length) / chunkBytes)),
  ];
  const room = (length: number) => {
    if (spare.length < length) spare = Buffer.allocUnsafeSlow(length);
    return spare.subarray(0, length);
  };

  /** Opens chunks, and copies what the buffer wants of them. */
  function openInto(buffer: Buffer, position: number, from: number, sealed: Buffer): void {
    const edge = Buffer.allocUnsafe(chunkBytes);
    for (let at = 0, chunk = from; at < sealed.length; at += sealedChunkBytes, chunk++) {
      const one = sealed.subarray(at, at + sealedChunkBytes);
      const start = chunk * chunkBytes - position;
      const length = one.length - tagBytes;
      // Only chunks at the ends are not wanted whole.
      const isWhole = start >= 0 && start + length <= buffer.length;
      const out = isWhole ? buffer.subarray(start, start + length) : edge;
      if (!openChunk(key, chunk, chunk === chunks - 1, one, out))
        throw damaged(`Chunk ${chunk} of the encrypted archive is not what was written.`);
      if (!isWhole) edge.copy(buffer, Math.max(start, 0), Math.max(-start, 0), Math.min(length, buffer.length - start));
    }
  }

  function tell(raw: (bytes: Buffer) => void, at: number, sealed: Buffer): void {
    if (told === 0) {
      raw(preamble);
      told = preamble.length;
    }
    const from = told - at;
    if (from < 0 || from >= sealed.length) return;
    raw(sealed.subarray(from));
    told = at + sealed.length;
  }

  return {
    isSealed: true,
    fileBytes: size,
    bytes,
    async read(buffer, position) {
      if (buffer.length === 0) return;
      const [from, to] = span(position, buffer.length);
      const { at, length } = placeOf(from, to);
      const sealed = Buffer.allocUnsafeSlow(length);
      await fill(fd, sealed, at);
      openInto(buffer, position, from, sealed);
    },
    readInOrder(buffer, position, raw) {
      const [from, to] = span(position, buffer.length);
      const { at, length } = placeOf(from, to);
      const sealed = room(length);
      fillSync(fd, sealed, at);
      tell(raw, at, sealed);
      openInto(buffer, position, from, sealed);
    },
    async next(buffer, raw) {
      if (nextChunk >= chunks) return 0;
      const from = nextChunk;
      nextChunk = Math.min(chunks, from + buffer.length / chunkBytes);
      const { at, length } = placeOf(from, nextChunk);
      const sealed = room(length);
      await fill(fd, sealed, at);
      tell(raw, at, sealed);
      openInto(buffer, from * chunkBytes, from, sealed);
      return length - (nextChunk - from) * tagBytes;
    },
    close: () => closing(fd),
  };
}

async function fill(fd: number, buffer: Buffer, position: number): Promise<void> {
  for (let at = 0; at < buffer.length; ) {
    const { bytesRead } = await reading(fd, buffer, at, buffer.length - at, position + at);
    if (bytesRead === 0) throw damaged('The archive became shorter while it was read.');
    at += bytesRead;
  }
}

function fillSync(fd: number, buffer: Buffer, position: number): void {
  for (let at = 0; at < buffer.length; ) {
    const length = readSync(fd, buffer, at, buffer.length - at, position + at);
    if (length === 0) throw damaged('The archive became shorter while it was read.');
    at += length;
  }
}
