import { createHash } from 'node:crypto';
import { closeSync, fstatSync, openSync, readSync, rmSync, writeSync } from 'node:fs';
import type { BytePath } from '../byte-path.ts';
import type { TarEntry } from '../tar/entry.ts';
import { makeRules } from '../tar/rules.ts';
import { storedBytes } from '../tar/sparse-map.ts';
import { endOfArchive, headerOf, paddingOf } from '../tar/writer.ts';
import { listedOf } from './file-list.ts';
import { type FrameWriter, frameBytes, type WrittenArchive } from './frame-writer.ts';
import type { Manifest, Totals } from './manifest.ts';
import { MemberHash } from './member-hash.ts';

/** The name of the list of files, the last member. */
export const listName = 'FILES.ndjson' as BytePath;

/** An archive that is being written, member by member. */
export type ArchiveBuilder = {
  readonly totals: Totals;
  /** The SHA-256 of each database's member, by path. */
  readonly digests: ReadonlyMap<BytePath, string>;
  /** Begins a member; its stored bytes follow. @throws Fault `damaged` for what no archive may hold */
  begin(entry: TarEntry): void;
  data(chunk: Buffer): void;
  end(): void;
  /** A whole member of our own. */
  add(entry: TarEntry, content?: Buffer): void;
  /**
   * A file whose size nobody knows before it ends, as what a program prints. Pieces go to `data`; then `end` is given the
   * member as it became.
   */
  beginUnsized(path: BytePath, seconds: number): Promise<{ end(): Promise<{ bytes: number; sha256: string }> }>;
  /** The list of files and the end mark; everything is on disk. */
  finish(): Promise<{ written: WrittenArchive; list: Manifest['list'] }>;
  /** Removes what was set aside on disk. Safe to repeat. */
  discard(): void;
};

const listPiece = 1024 * 1024;

/**
 * Builds an archive on a frame writer. The list of files grows in the file `listFile`, so that memory does not grow with it.
 * @throws the system's error for the list's file
 */
export function buildArchive(frames: FrameWriter, listFile: string, createdSeconds: number): ArchiveBuilder {
  const rules = makeRules({ entries: Number.MAX_SAFE_INTEGER, bytes: Number.MAX_SAFE_INTEGER });
  const totals: Totals = { files: 0, directories: 0, symlinks: 0, hardlinks: 0, bytes: 0, stored_bytes: 0 };
  const digests = new Map<BytePath, string>();
  const memberHash = new MemberHash();
  const list = openListFile(listFile);
  let current: TarEntry | undefined;
  let offset = 0;

  function admit(entry: TarEntry): void {
    rules.admit(entry);
    count(totals, entry);
  }

  const builder: ArchiveBuilder = {
    totals,
    digests,
    begin(entry) {
      admit(entry);
      current = entry;
      offset = frames.position;
      memberHash.begin(entry);
      frames.write(headerOf(entry));
    },
    data(chunk) {
      memberHash.data(chunk);
      frames.write(chunk);
    },
    end() {
      const entry = current as TarEntry;
      const digest = memberHash.end();
      if (entry.kind === 'file') frames.write(paddingOf(storedBytes(entry.size, entry.segments)));
      if (digest !== undefined && entry.path.startsWith('sqlite/')) digests.set(entry.path, digest);
      list.add(entry, offset, digest);
    },
    add(entry, content) {
      builder.begin(entry);
      if (content !== undefined && content.length > 0) builder.data(content);
      builder.end();
    },
    async beginUnsized(path, seconds) {
      const reserved = await frames.reserve();
      const start = frames.position;
      // Whoever restores it as the same user can give it to nobody else.
      const sized = (size: number): TarEntry => ({ ...plainFile(path, size, seconds), mode: 0o600, ...list.owner });
      memberHash.begin(sized(-1));
      return {
        async end() {
          const entry = sized(frames.position - start);
          admit(entry);
          const sha256 = memberHash.end() as string;
          frames.write(paddingOf(entry.size));
          await reserved.fill(headerOf(entry));
          list.add(entry, start, sha256);
          return { bytes: entry.size, sha256 };
        },
      };
    },
    async finish() {
      const { bytes, sha256, entries } = list.close();
      frames.cut();
      const at = frames.position;
      frames.write(headerOf(plainFile(listName, bytes, createdSeconds)));
      await pour(list.fd, bytes, frames);
      frames.write(paddingOf(bytes));
      frames.write(endOfArchive);
      return { written: await frames.finish(), list: { offset: at, bytes, sha256, entries } };
    },
    discard: list.discard,
  };
  return builder;
}

/** Of the target alone; what we add ourselves is none of its files. */
function count(totals: Totals, { kind, path, size, segments }: TarEntry): void {
  if (!/^(files|sqlite|db)\/./s.test(path)) return;
  if (kind === 'directory') totals.directories++;
  else if (kind === 'symlink') totals.symlinks++;
  else if (kind === 'hardlink') totals.hardlinks++;
  else {
    totals.files++;
    totals.bytes += size;
    totals.stored_bytes += storedBytes(size, segments);
  }
}

/** The lines of FILES.ndjson in a file of their own until the end. */
function openListFile(path: string) {
  const fd = openSync(path, 'wx+', 0o600);
  const { uid, gid } = fstatSync(fd);
  const hash = createHash('sha256');
  let isOpen = true;
  let lines = '';
  let bytes = 0;
  let entries = 0;

  function flush(): void {
    const piece = Buffer.from(lines);
    lines = '';
    hash.update(piece);
    for (let at = 0; at < piece.length; ) at += writeSync(fd, piece, at);
    bytes += piece.length;
  }

  return {
    fd,
    /** Who makes the backup. */
    owner: { uid, gid },
    add(entry: TarEntry, offset: number, digest: string | undefined): void {
      lines += `${JSON.stringify(listedOf(entry, offset, digest))}\n`;
      entries++;
      if (lines.length >= listPiece) flush();
    },
    close() {
      flush();
      return { bytes, sha256: hash.digest('hex'), entries };
    },
    discard(): void {
      if (!isOpen) return;
      isOpen = false;
      closeSync(fd);
      rmSync(path, { force: true });
    },
  };
}

async function pour(fd: number, bytes: number, frames: FrameWriter): Promise<void> {
  const piece = Buffer.allocUnsafe(Math.min(frameBytes, Math.max(bytes, 1)));
  for (let done = 0; done < bytes; ) {
    const length = readSync(fd, piece, 0, piece.length, done);
    if (length === 0) throw new Error('the list of files became shorter while it was read');
    frames.write(piece.subarray(0, length));
    done += length;
    await frames.ready();
  }
}

/** A member of our own: a file for everyone to read, of root. */
export function plainFile(path: BytePath, size: number, seconds: number): TarEntry {
  return { ...folderEntry(path, seconds), kind: 'file', mode: 0o644, size };
}

/** A folder of our own within the archive. */
export function folderEntry(path: BytePath, seconds: number): TarEntry {
  return {
    kind: 'directory',
    path,
    link: '' as BytePath,
    mode: 0o755,
    uid: 0,
    gid: 0,
    uname: '',
    gname: '',
    mtime: { seconds, nanoseconds: 0 },
    size: 0,
    segments: undefined,
    attributes: [],
  };
}
