import { closeSync, type Dirent, lstatSync, openSync, readdirSync, readSync } from 'node:fs';
import { type BytePath, bytePath, shownPath } from '../byte-path.ts';
import { isOwnLeftover, type LeftOut } from './left-out.ts';
import { withLongPath } from './long-path.ts';

/** What there is in a tree, seen before anything is copied. */
export type Walked = {
  files: number;
  bytes: number;
  /** SQLite databases, by what is in them. */
  databases: BytePath[];
  /** PostgreSQL data folders. */
  postgres: BytePath[];
  /** Devices, fifos and sockets: what they are. */
  special: { path: BytePath; what: string }[];
  /** Excluded paths and leftovers of recovery, topmost ones. */
  leftOut: BytePath[];
  unreadable: BytePath[];
};

type WalkOptions = {
  leftOut: LeftOut;
  /** Folders that are not entered: mounts that are excluded. */
  notEntered: ReadonlySet<BytePath>;
};

/** The smallest page; a database consists of whole ones, so that most other files need not be opened to be told apart. */
const pageBytes = 512;
/** One that is cut off is no longer made of whole pages; what it is called says at least what it was. */
const databaseName = /\.(db|db3|sqlite|sqlite3)$/i;
const magic = Buffer.from('SQLite format 3\0');

/** Walks a tree without following symlinks. What cannot be read is noted, and named again by tar. */
export function walkTree(root: string, { leftOut, notEntered }: WalkOptions): Walked {
  const walked: Walked = { files: 0, bytes: 0, databases: [], postgres: [], special: [], leftOut: [], unreadable: [] };

  function folder(path: BytePath): void {
    const entries = list(root, path, walked);
    const names = new Set(entries.map(({ name }) => bytePath(name)));
    if (names.has('PG_VERSION' as BytePath) && names.has('global' as BytePath)) walked.postgres.push(path);
    for (const entry of entries) {
      const name = bytePath(entry.name);
      const below = (path === '' ? name : `${path}/${name}`) as BytePath;
      if (leftOut(below) || isOwnLeftover(name)) walked.leftOut.push(below);
      else if (entry.isDirectory()) {
        if (!notEntered.has(below)) folder(below);
      } else if (entry.isFile()) file(below, name);
      else if (!entry.isSymbolicLink()) walked.special.push({ path: below, what: whatIs(entry) });
    }
  }

  function file(path: BytePath, name: BytePath): void {
    const bytes = withLongPath(root, path, sizeOf);
    walked.files++;
    walked.bytes += bytes;
    // Read as a file while somebody writes it, a database may be of two times and nobody would know; a name proves nothing.
    const mayBe = bytes > 0 && (bytes % pageBytes === 0 || databaseName.test(name));
    if (mayBe && withLongPath(root, path, isDatabase)) walked.databases.push(path);
  }

  folder('' as BytePath);
  return walked;
}

function list(root: string, path: BytePath, walked: Walked): Dirent<Buffer>[] {
  try {
    return withLongPath(root, path, (at) => readdirSync(at, { withFileTypes: true, encoding: 'buffer' }));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EACCES' || code === 'EPERM') walked.unreadable.push(path);
    else if (code !== 'ENOENT') throw error; // Gone since its folder was read: no part of this backup.
    return [];
  }
}

function sizeOf(path: Buffer): number {
  return lstatSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

function isDatabase(path: Buffer): boolean {
  const head = Buffer.alloc(magic.length);
  let fd: number | undefined;
  try {
    fd = openSync(path, 'r');
    return readSync(fd, head, 0, head.length, 0) === head.length && head.equals(magic);
  } catch {
    return false; // Not to be read, or gone: tar says so.
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

function whatIs(entry: Dirent<Buffer>): string {
  if (entry.isSocket()) return 'a socket';
  if (entry.isFIFO()) return 'a fifo';
  return 'a device';
}

/** As notes for the manifest, not more than a person reads. */
export function specialNotes(special: Walked['special']): string[] {
  const shown = 20;
  const notes = special.slice(0, shown).map(({ path, what }) => `left out: ${shownPath(path)} is ${what}`);
  return special.length > shown
    ? [...notes, `left out: ${special.length - shown} more sockets, fifos or devices`]
    : notes;
}
