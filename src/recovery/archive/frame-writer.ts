import { close, fsync, type NoParamCallback, open, write } from 'node:fs';
import { availableParallelism } from 'node:os';
import { promisify } from 'node:util';
import { constants, zstdCompress } from 'node:zlib';
import { type Frame, seekTableOf } from './seek-table.ts';

/** Bytes of the tar stream in one frame. Smaller ones compress worse, larger ones take memory. */
export const frameBytes = 8 * 1024 * 1024;
/** On mixed data of servers 2 takes two thirds of the time of 3, for a few hundredths more or less of the size. */
const level = 2;
/** Frames that are compressed or wait to be written at a time: as many as there are cores, since more get in each other's way. */
const maxInFlight = Math.max(2, Math.min(8, availableParallelism()));
/** What zstd may need at most for so many bytes (ZSTD_compressBound), so that its output is one buffer. */
const bound = frameBytes + (frameBytes >> 8) + 1024;

const writing = promisify(write) as unknown as (fd: number, buffer: Uint8Array) => Promise<number>;
const compressing = promisify(zstdCompress) as (data: Uint8Array, options: object) => Promise<Buffer>;
const opening = promisify(open);
const syncing = promisify(fsync as (fd: number, done: NoParamCallback) => void);
const closing = promisify(close as (fd: number, done: NoParamCallback) => void);

/** Its digest is taken when it is read back: of what is on the disk, and not of what was meant. */
export type WrittenArchive = { bytes: number; frames: number };

/** A tar stream that becomes a file of zstd frames. */
export type FrameWriter = {
  /** Bytes of the tar stream that were written. */
  readonly position: number;
  /** Takes a piece of the stream, which is copied. Never waits: ask `ready` between pieces. */
  write(piece: Uint8Array): void;
  /** What follows begins a frame of its own. */
  cut(): void;
  /** Resolves when more may be written. @throws what writing failed with */
  ready(): Promise<void>;
  /** Everything on disk, seek table included. The file is closed. */
  finish(): Promise<WrittenArchive>;
  /** Lets go of the file; what is in it is of no use. Safe to repeat. */
  abort(): Promise<void>;
};

/**
 * Opens a file that must not exist yet, mode 0600. Frames are compressed in Node's pool, several at a time, and written in
 * order. @throws the system's error
 */
export async function openFrameWriter(path: string): Promise<FrameWriter> {
  const fd = await opening(path, 'wx', 0o600);
  const frames: Frame[] = [];
  const spare: Buffer[] = [];
  const waiting: (() => void)[] = [];
  let filling: Buffer = Buffer.allocUnsafeSlow(frameBytes);
  let filled = 0;
  let position = 0;
  let bytes = 0;
  let inFlight = 0;
  let failure: unknown;
  let isOpen = true;
  let last: Promise<void> = Promise.resolve();

  async function writeAll(data: Uint8Array): Promise<void> {
    for (let at = 0; at < data.length; ) at += await writing(fd, at === 0 ? data : data.subarray(at));
    bytes += data.length;
  }

  async function compress(plain: Buffer, length: number, before: Promise<void>): Promise<void> {
    try {
      const data = plain.subarray(0, length);
      const compressed = await compressing(data, {
        chunkSize: bound,
        pledgedSrcSize: length,
        params: { [constants.ZSTD_c_compressionLevel]: level, [constants.ZSTD_c_checksumFlag]: 1 },
      });
      await before;
      if (failure !== undefined) return;
      frames.push({ compressed: compressed.length, plain: length });
      await writeAll(compressed);
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

  async function letGo(): Promise<void> {
    if (!isOpen) return;
    isOpen = false;
    await last;
    await closing(fd);
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
    async ready() {
      while (inFlight >= maxInFlight && failure === undefined) await new Promise<void>((wake) => waiting.push(wake));
      if (failure !== undefined) throw failure;
    },
    async finish() {
      cut();
      await last;
      if (failure !== undefined) throw failure;
      await writeAll(seekTableOf(frames));
      await syncing(fd);
      await letGo();
      return { bytes, frames: frames.length };
    },
    abort: letGo,
  };
}
