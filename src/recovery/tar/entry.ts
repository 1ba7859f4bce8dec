import type { BytePath } from '../byte-path.ts';

/**
 * A time as a tar archive has it: seconds since the Unix epoch, exact to the nanosecond. `seconds` may be negative,
 * `nanoseconds` is 0 to 999,999,999 and counts forward from `seconds`.
 */
export type FileTime = { seconds: number; nanoseconds: number };

/** A piece of a sparse file that is stored; what lies between pieces is zeros. Bytes. */
export type Segment = { offset: number; length: number };

/**
 * One member of a tar archive, read and understood. There are no other kinds: whatever else an archive may hold is an
 * error to the reader, so that nothing behind it has to think of it.
 */
export type TarEntry = {
  kind: 'file' | 'directory' | 'symlink' | 'hardlink';
  /** As in the archive, without a trailing `/` and without a leading `./`. Never empty but for the top itself (`.`). */
  path: BytePath;
  /** Target of a symlink as it is, or the path of the member that a hard link is another name of. Else empty. */
  link: BytePath;
  /** Permission bits with setuid, setgid and sticky: 0 to 0o7777. */
  mode: number;
  uid: number;
  gid: number;
  /** Names of owner and group, for people; empty when the archive has none. Numbers decide. */
  uname: string;
  gname: string;
  mtime: FileTime;
  /** Bytes of the file as a program reads it, holes included; 0 for all but files. */
  size: number;
  /** The stored pieces of a sparse file, ascending and not overlapping; undefined for what is not sparse. */
  segments: readonly Segment[] | undefined;
  /** PAX records that are carried on unseen: `SCHILY.xattr.*`, `SCHILY.acl.access`, `SCHILY.acl.default`. Sorted. */
  attributes: readonly TarAttribute[];
};

/** A PAX record: the value is raw bytes and may hold NUL. */
export type TarAttribute = { key: string; value: Buffer };

/** What a reader tells. `data` brings only stored bytes (for sparse files the segments, one after the other). */
export type TarHandler = {
  entry(entry: TarEntry, at: TarPlace): void;
  data(chunk: Buffer): void;
  /** The entry before is complete. */
  end(): void;
};

/** Where in the tar stream a member lies: the first byte of its first header block (PAX headers included). */
export type TarPlace = { start: number };

/** Bytes of a tar block; headers and contents are padded to it. */
export const blockBytes = 512;
