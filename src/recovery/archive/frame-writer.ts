import { availableParallelism } from 'node:os';
import { promisify } from 'node:util';
import { constants, zstdCompress, zstdCompressSync } from 'node:zlib';
import type { FileKey } from '../encryption/age-header.ts';
import { type DiskFile, openDiskFile } from './disk-file.ts';
import { openSealedFile } from './sealed-file.ts';
import { type Frame, paddingFrame, seekTableOf } from './seek-table.ts';

/** Bytes of the tar stream in one frame. Smaller ones compress worse, larger ones take memory. */
export const frameBytes = 8 * 1024 * 1024;
/** On mixed data of servers 1 takes half the time of 3, and makes archives no larger; see docs/decisions/0012. */
const level = 1;
/** Frames that are compressed, or wait to be written: a few more than there are cores, and no more than memory has room for. */
const maxInFlight = Math.min(6, availableParallelism()) + 2;
/** Compressed bytes in one buffer; with larger ones the garbage collector is called more often. */
const pieceBytes = 1024 * 1024;
/** In the file, for one header as a frame of its own: what it does not take up is padding, which readers of zstd skip. */
const reservedBytes = 4096;
const frameOptions = {
  params: { [constants.ZSTD_c_compressionLevel]: level, [constants.ZSTD_c_checksumFlag]: 1 },
};

const compressing = promisify(zstdCompress) as (data: Uint8Array, options: object) => Promise<Buffer>;
/** Its digest is taken when it is read back: of what is on the disk, and not of what was meant. */
export type WrittenArchive = { bytes: number; frames: number };

/** Room for one header, of at most 2 KiB. */
export type Reserved = { fill(header: Uint8Array): Promise<void> };

/** A tar stream that becomes a file of zstd frames. */
export type FrameWriter = {
  /** Bytes of the tar stream that were written. */
  readonly position: number;
  /** Takes a piece of the stream, which is copied. Never waits: ask `ready` between pieces. */
  write(piece: Uint8Array): void;
  /** What follows begins a frame of its own. */
  cut(): void;
  /**
   * Leaves room in the file for a header that can only be written when what follows it is known. Once it is filled, the
   * position counts it too.
   */
  reserve(): Promise<Reserved>;
  /** Undefined when more may be written at once, or resolves when it may. @throws what writing failed with */
  ready(): Promise<void> | undefined;
  /** Everything on disk, seek table included. The file is closed. */
  finish(): Promise<WrittenArchive>;
  /** Lets go of the file; what is in it is of no use. Safe to repeat. */
  abort(): Promise<void>;
};

/**
 * Opens a file that must not exist yet, mode 0600. Frames are compressed in Node's pool, several at a time, and written in
 * order, and encrypted where there is a key. @throws the system's error
 */
export async function openFrameWriter(path: string, key?: FileKey): Promise<FrameWriter> {
  const file = key === undefined ? await openDiskFile(path) : await openSealedFile(path, key);
  const frames: Frame[] = [];
  const spare: Buffer[] = [];
  const waiting: (() => void)[] = [];
  let filling: Buffer = Buffer.allocUnsafeSlow(frameBytes);
  let filled = 0;
  let position = 0;
  let inFlight = 0;
  let failure: unknown;
  let isOpen = true;
  let last: Promise<void> = Promise.resolve();

  async function compress(plain: Buffer, length: number, before: Promise<void>): Promise<void> {
    try {
      const data = plain.subarray(0, length);
      const compressed = await compressing(data, { chunkSize: pieceBytes, pledgedSrcSize: length, ...frameOptions });
      await before;
      if (failure !== undefined) return;
      frames.push({ compressed: compressed.length, plain: length });
      await file.write(compressed);
    } catch (error) {
      failure ??= error;
    } finally {
      inFlight--;
      spare.push(plain);
      for (const wake of waiting.splice(0)) wake();
    }
  }

  function cut(): void {
    if (filled === 0) return;
    inFlight++;
    last = compress(filling, filled, last);
    filling = spare.pop() ?? Buffer.allocUnsafeSlow(frameBytes);
    filled = 0;
  }

  async function reserve(): Promise<Reserved> {
    cut();
    await last;
    if (failure !== undefined) throw failure;
    return reserveIn(file, frames, (bytes) => {
      position += bytes;
    });
  }

  async function room(): Promise<void> {
    while (inFlight >= maxInFlight && failure === undefined) await new Promise<void>((wake) => waiting.push(wake));
    if (failure !== undefined) throw failure;
  }

  async function letGo(): Promise<void> {
    if (!isOpen) return;
    isOpen = false;
    await last;
    await file.close();
  }

  return {
    get position() {
      return position;
    },
    write(piece) {
      position += piece.length;
      for (let at = 0; at < piece.length; ) {
        const length = Math.min(piece.length - at, frameBytes - filled);
        filling.set(at === 0 && length === piece.length ? piece : piece.subarray(at, at + length), filled);
        filled += length;
        at += length;
        if (filled === frameBytes) cut();
      }
    },
    cut,
    reserve,
    ready: () => (inFlight >= maxInFlight || failure !== undefined ? room() : undefined),
    async finish() {
      cut();
      await last;
      if (failure !== undefined) throw failure;
      await file.write(seekTableOf(frames));
      const bytes = await file.finish();
      await letGo();
      return { bytes, frames: frames.length };
    },
    abort: letGo,
  };
}

async function reserveIn(file: DiskFile, frames: Frame[], tell: (bytes: number) => void): Promise<Reserved> {
  const index = frames.length;
  frames.push({ compressed: reservedBytes, plain: 0 });
  const put = await file.reserve(reservedBytes);
  return {
    async fill(header) {
      const frame = zstdCompressSync(header, frameOptions);
      await put(Buffer.concat([frame, paddingFrame(reservedBytes - frame.length)]));
      frames[index] = { compressed: reservedBytes, plain: header.length };
      tell(header.length);
    },
  };
}
