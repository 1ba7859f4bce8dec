import { createHash, type Hash, hash } from 'node:crypto';
import type { TarEntry } from '../tar/entry.ts';

const zeros = Buffer.alloc(1024 * 1024);
const hashOfNothing = hash('sha256', '');

/**
 * SHA-256 of a file's contents as a program reads them: what lies between the pieces of a sparse file counts as zeros.
 * Small files that come in one piece cost one call.
 */
export class MemberHash {
  #hash: Hash | undefined;
  #digest = hashOfNothing;
  #entry: TarEntry | undefined;
  #logical = 0;
  #segment = 0;
  #inSegment = 0;

  begin(entry: TarEntry): void {
    this.#entry = entry;
    this.#hash = undefined;
    this.#digest = hashOfNothing;
    this.#logical = 0;
    this.#segment = 0;
    this.#inSegment = 0;
  }

  data(chunk: Buffer): void {
    const { size, segments } = this.#entry as TarEntry;
    if (segments !== undefined) this.#sparse(chunk, segments);
    else if (this.#hash === undefined && chunk.length === size) this.#digest = hash('sha256', chunk);
    else {
      this.#hash ??= createHash('sha256');
      this.#hash.update(chunk);
    }
  }

  /** Hex, for files; undefined for all else. */
  end(): string | undefined {
    const { kind, size, segments } = this.#entry as TarEntry;
    if (kind !== 'file') return undefined;
    if (segments !== undefined) this.#zerosTo(size);
    return this.#hash === undefined ? this.#digest : this.#hash.digest('hex');
  }

  #sparse(chunk: Buffer, segments: NonNullable<TarEntry['segments']>): void {
    for (let at = 0; at < chunk.length; ) {
      const segment = segments[this.#segment];
      if (segment === undefined) return;
      if (this.#inSegment === 0) this.#zerosTo(segment.offset);
      const length = Math.min(chunk.length - at, segment.length - this.#inSegment);
      this.#hash ??= createHash('sha256');
      this.#hash.update(chunk.subarray(at, at + length));
      at += length;
      this.#logical += length;
      this.#inSegment += length;
      if (this.#inSegment === segment.length) {
        this.#segment++;
        this.#inSegment = 0;
      }
    }
  }

  #zerosTo(offset: number): void {
    this.#hash ??= createHash('sha256');
    for (let left = offset - this.#logical; left > 0; left -= zeros.length)
      this.#hash.update(left >= zeros.length ? zeros : zeros.subarray(0, left));
    this.#logical = Math.max(this.#logical, offset);
  }
}
