import { randomBytes } from 'node:crypto';
import type { FileKey } from '../encryption/age-header.ts';
import {
  chunkBytes,
  payloadKey,
  payloadNonceBytes,
  sealChunk,
  sealedChunkBytes,
  tagBytes,
} from '../encryption/payload.ts';
import { type DiskFile, openPlacedFile, type PlacedFile } from './disk-file.ts';

/** Sealed chunks that follow each other, as they lie in a buffer. */
type Piece = { chunk: number; from: number; to: number };

/**
 * A new file in the format of age. A chunk that has room in it for something later is kept in memory until that is there: sealed
 * twice under its number, it would give away both.
 */
export async function openSealedFile(path: string, key: FileKey): Promise<DiskFile> {
  const nonce = randomBytes(payloadNonceBytes);
  const file = await openPlacedFile(path);
  await file.writeAt(0, Buffer.concat([key.header, nonce]));
  return new SealedFile(file, key.header.length + nonce.length, payloadKey(key.fileKey, nonce));
}

class SealedFile implements DiskFile {
  readonly #file: PlacedFile;
  /** Where the first chunk lies. */
  readonly #base: number;
  readonly #key: Buffer;
  /** Chunks that are full and wait for something, by their number. */
  readonly #kept = new Map<number, Buffer>();
  /** How many things a chunk waits for. */
  readonly #awaited = new Map<number, number>();
  #tail: Buffer = Buffer.allocUnsafeSlow(chunkBytes);
  #out: Buffer = Buffer.alloc(0);
  #filled = 0;
  /** The number of the chunk that is being filled. */
  #index = 0;
  bytes = 0;

  constructor(file: PlacedFile, base: number, key: Buffer) {
    this.#file = file;
    this.#base = base;
    this.#key = key;
  }

  /**
   * Full chunks that follow each other go to the disk as one piece. All state is changed before the first of them does. The next
   * call comes when this one is through.
   */
  async write(data: Uint8Array): Promise<void> {
    const out = this.#room(Math.ceil((this.#filled + data.length) / chunkBytes) * sealedChunkBytes);
    const pieces: Piece[] = [];
    let end = 0;
    for (let at = 0; at < data.length; ) {
      // Only when more is to come: the last chunk is sealed as the last.
      if (this.#filled === chunkBytes) end = this.#closeChunk(out, end, pieces);
      const length = Math.min(data.length - at, chunkBytes - this.#filled);
      this.#tail.set(data.subarray(at, at + length), this.#filled);
      this.#filled += length;
      at += length;
    }
    this.bytes += data.length;
    for (const { chunk, from, to } of pieces) await this.#file.writeAt(this.#placeOf(chunk), out.subarray(from, to));
  }

  async reserve(length: number): Promise<(data: Uint8Array) => Promise<void>> {
    const start = this.bytes;
    if (length === 0) return async () => undefined;
    for (let chunk = Math.floor(start / chunkBytes); chunk * chunkBytes < start + length; chunk++)
      this.#awaited.set(chunk, (this.#awaited.get(chunk) ?? 0) + 1);
    await this.write(Buffer.alloc(length));
    return (data) => {
      if (data.length !== length) throw new Error(`${length} bytes were reserved, and ${data.length} come`);
      return this.#fill(start, data);
    };
  }

  async finish(): Promise<number> {
    if (this.#kept.size > 0) throw new Error('something that was reserved was never filled');
    await this.#put(this.#index, this.#tail.subarray(0, this.#filled), true);
    await this.#file.sync();
    return this.#placeOf(this.#index) + this.#filled + tagBytes;
  }

  close(): Promise<void> {
    return this.#file.close();
  }

  /** New memory for each frame would have to be cleared by the system first. */
  #room(length: number): Buffer {
    if (this.#out.length < length) this.#out = Buffer.allocUnsafeSlow(length);
    return this.#out;
  }

  #placeOf(chunk: number): number {
    return this.#base + chunk * sealedChunkBytes;
  }

  /** The chunk that is full is sealed into `out`, or kept; the next one begins. Answers where `out` ends. */
  #closeChunk(out: Buffer, end: number, pieces: Piece[]): number {
    const chunk = this.#index++;
    this.#filled = 0;
    if ((this.#awaited.get(chunk) ?? 0) > 0) {
      this.#kept.set(chunk, this.#tail);
      this.#tail = Buffer.allocUnsafeSlow(chunkBytes);
      return end;
    }
    sealChunk(this.#key, chunk, false, this.#tail, out.subarray(end));
    const to = end + sealedChunkBytes;
    const before = pieces.at(-1);
    if (before !== undefined && before.chunk + (before.to - before.from) / sealedChunkBytes === chunk) before.to = to;
    else pieces.push({ chunk, from: end, to });
    return to;
  }

  async #fill(start: number, data: Uint8Array): Promise<void> {
    for (let at = 0; at < data.length; ) {
      const chunk = Math.floor((start + at) / chunkBytes);
      const offset = (start + at) % chunkBytes;
      const length = Math.min(data.length - at, chunkBytes - offset);
      const plain = chunk === this.#index ? this.#tail : this.#kept.get(chunk);
      if (plain === undefined) throw new Error(`chunk ${chunk} is sealed already`);
      plain.set(data.subarray(at, at + length), offset);
      at += length;
      const left = (this.#awaited.get(chunk) ?? 1) - 1;
      this.#awaited.set(chunk, left);
      if (left > 0 || chunk === this.#index) continue;
      this.#kept.delete(chunk);
      await this.#put(chunk, plain, false);
    }
  }

  async #put(chunk: number, plain: Buffer, isLast: boolean): Promise<void> {
    const out = Buffer.allocUnsafeSlow(plain.length + tagBytes);
    sealChunk(this.#key, chunk, isLast, plain, out);
    await this.#file.writeAt(this.#placeOf(chunk), out);
  }
}
