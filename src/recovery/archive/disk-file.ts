import { close, fsync, type NoParamCallback, open, write } from 'node:fs';
import { promisify } from 'node:util';

/** Bytes after which the disk is told to begin with what it has, so that little is left for the end. */
const syncEvery = 64 * 1024 * 1024;

const writing = promisify(write) as unknown as (
  fd: number,
  buffer: Uint8Array,
  offset: number,
  length: number,
  position: number,
) => Promise<number>;
const opening = promisify(open);
const syncing = promisify(fsync as (fd: number, done: NoParamCallback) => void);
const closing = promisify(close as (fd: number, done: NoParamCallback) => void);

/** A new file that is brought to the disk while it grows. */
export type DiskFile = {
  /** Bytes that were written, of what is in it. */
  readonly bytes: number;
  write(data: Uint8Array): Promise<void>;
  /** Leaves room, and answers what fills it, once, with as many bytes. */
  reserve(bytes: number): Promise<(data: Uint8Array) => Promise<void>>;
  /** Everything on disk. Nothing can be written any more. Answers the bytes of the file. */
  finish(): Promise<number>;
  close(): Promise<void>;
};

/** A file to which pieces are written wherever they belong. */
export type PlacedFile = {
  writeAt(position: number, data: Uint8Array): Promise<void>;
  /** @throws the system's error, also one of an early sync */
  sync(): Promise<void>;
  close(): Promise<void>;
};

/** Opens a file that must not exist yet, mode 0600. @throws the system's error */
export async function openPlacedFile(path: string): Promise<PlacedFile> {
  const fd = await opening(path, 'wx', 0o600);
  let unsynced = 0;
  let early: Promise<void> | undefined;
  let failure: unknown;

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
    async writeAt(position, data) {
      for (let at = 0; at < data.length; ) at += await writing(fd, data, at, data.length - at, position + at);
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

/** What is written is what lies in it. */
export async function openDiskFile(path: string): Promise<DiskFile> {
  const file = await openPlacedFile(path);
  let bytes = 0;
  async function append(data: Uint8Array): Promise<void> {
    await file.writeAt(bytes, data);
    bytes += data.length;
  }
  return {
    get bytes() {
      return bytes;
    },
    write: append,
    async reserve(length) {
      const at = bytes;
      await append(Buffer.alloc(length));
      return (data) => file.writeAt(at, data);
    },
    async finish() {
      await file.sync();
      return bytes;
    },
    close: file.close,
  };
}
