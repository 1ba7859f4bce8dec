import { close, fsync, type NoParamCallback, open, write } from 'node:fs';
import { availableParallelism } from 'node:os';
import { promisify } from 'node:util';
import { constants, zstdCompress, zstdCompressSync } from 'node:zlib';
import { type Frame, paddingFrame, seekTableOf } from './seek-table.ts';

/** Bytes of the tar stream in one frame. Smaller ones compress worse, larger ones take memory. */
export const frameBytes = 8 * 1024 * 1024;
/** On mixed data of servers 1 takes half the time of 3, and makes archives no larger; see docs/decisions/0012. */
const level = 1;
/** Frames that are compressed, or wait to be written: a few more than there are cores, and no more than memory has room for. */
const maxInFlight = Math.min(6, availableParallelism()) + 2;
/** Compressed bytes in one buffer; with larger ones the garbage collector is called more often. */
const pieceBytes = 1024 * 1024;
/** Bytes after which the disk is told to begin with what it has, so that little is left for the end. */
const syncEvery = 64 * 1024 * 1024;

/** In the file, for one header as a frame of its own: what it does not take up is padding, which readers of zstd skip. */
const reservedBytes = 4096;
const frameOptions = {
  params: { [constants.ZSTD_c_compressionLevel]: level, [constants.ZSTD_c_checksumFlag]: 1 },
};

const writing = promisify(write) as unknown as (
  fd: number,
  buffer: Uint8Array,
  offset: number,
  length: number,
  position: number,
) => Promise<number>;
const compressing = promisify(zstdCompress) as (data: Uint8Array, options: object) => Promise<Buffer>;
const opening = promisify(open);
const syncing = promisify(fsync as (fd: number, done: NoParamCallback) => void);
const closing = promisify(close as (fd: number, done: NoParamCallback) => void);

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
 * order. @throws the system's error
 */
export async function openFrameWriter(path: string): Promise<FrameWriter> {
  const file = await openDiskFile(path);
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
      await file.sync();
      await letGo();
      return { bytes: file.bytes, frames: frames.length };
    },
    abort: letGo,
  };
}

async function reserveIn(file: DiskFile, frames: Frame[], tell: (bytes: number) => void): Promise<Reserved> {
  const [index, at] = [frames.length, file.bytes];
  frames.push({ compressed: reservedBytes, plain: 0 });
  await file.write(Buffer.alloc(reservedBytes));
  return {
    async fill(header) {
      const frame = zstdCompressSync(header, frameOptions);
      await file.writeAt(at, Buffer.concat([frame, paddingFrame(reservedBytes - frame.length)]));
      frames[index] = { compressed: reservedBytes, plain: header.length };
      tell(header.length);
    },
  };
}

type DiskFile = {
  readonly bytes: number;
  write(data: Uint8Array): Promise<void>;
  /** Into what was written before. */
  writeAt(position: number, data: Uint8Array): Promise<void>;
  sync(): Promise<void>;
  close(): Promise<void>;
};

/** A new file that is brought to the disk while it grows. @throws the system's error, one of an early sync in `sync` at the latest */
async function openDiskFile(path: string): Promise<DiskFile> {
  const fd = await opening(path, 'wx', 0o600);
  let bytes = 0;
  let unsynced = 0;
  let early: Promise<void> | undefined;
  let failure: unknown;

  async function writeAt(position: number, data: Uint8Array): Promise<void> {
    for (let at = 0; at < data.length; ) at += await writing(fd, data, at, data.length - at, position + at);
  }

  function syncEarly(): void {
    unsynced = 0;
    early = syncing(fd)
      .catch((error: unknown) => {
        failure ??= error;
      })
      .finally(() => {
        early = undefined;
      });
  }

  return {
    get bytes() {
      return bytes;
    },
    writeAt,
    async write(data) {
      await writeAt(bytes, data);
      bytes += data.length;
      unsynced += data.length;
      if (unsynced >= syncEvery && early === undefined) syncEarly();
    },
    async sync() {
      await early;
      if (failure !== undefined) throw failure;
      await syncing(fd);
    },
    async close() {
      await early;
      await closing(fd);
    },
  };
}
