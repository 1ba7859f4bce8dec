import type { BytePath } from '../byte-path.ts';
import { damaged } from './damage.ts';
import type { TarEntry } from './entry.ts';

/** What an archive may hold at most. */
export type Limits = {
  entries: number;
  /** Of all files together, holes included. */
  bytes: number;
};

type Options = {
  /** Older archives may name a file without the folders above it, which are then made. */
  implicitParents?: boolean;
  /** setuid and setgid bits of files, and capabilities; only where a signed list vouches for them. */
  setuid?: 'allowed' | 'refused';
};

/** The kernel's PATH_MAX and NAME_MAX, without the NUL. */
const maxPathBytes = 4095;
const maxNameBytes = 255;
const setuidBits = 0o6000;
const capabilityKey = 'SCHILY.xattr.security.capability';

type Known = 'file' | 'directory' | 'symlink' | 'implied';

/** Judges the members of one archive, in their order. Nothing that it has not admitted may reach a disk. */
export type Rules = {
  /** @throws Fault `damaged` naming the member and what is wrong with it */
  admit(entry: TarEntry): void;
};

/**
 * Rules that keep an archive within the folder it is put in, and that keep two readers from seeing two trees in it: relative
 * paths in one spelling, each once, below folders of this archive, hard links to its own earlier files, and no more than
 * was promised.
 */
export function makeRules(limits: Limits, { implicitParents = false, setuid = 'allowed' }: Options = {}): Rules {
  const known = new Map<BytePath, Known>();
  let entries = 0;
  let bytes = 0;

  function requireParents(path: BytePath): void {
    for (let end = path.lastIndexOf('/'); end > 0; end = path.lastIndexOf('/', end - 1)) {
      const parent = path.slice(0, end) as BytePath;
      const kind = known.get(parent);
      if (kind === 'directory' || kind === 'implied') return;
      if (kind !== undefined) throw damaged(`It lies below a ${kind === 'symlink' ? 'symlink' : 'file'}.`, path);
      if (!implicitParents) throw damaged('The folder it lies in is not in the archive.', path);
      count();
      known.set(parent, 'implied');
    }
  }

  /** Folders that are implied are made as well, thousands by one long path. */
  function count(): void {
    if (++entries > limits.entries)
      throw damaged(`The archive holds more than the ${limits.entries} members promised.`);
  }

  return {
    admit(entry) {
      const { kind, path, link, mode, size } = entry;
      requireSound(path, path);
      if (path === '.' && kind !== 'directory')
        throw damaged('It stands for the top of the tree, and is no folder.', path);
      count();
      bytes += size;
      if (bytes > limits.bytes)
        throw damaged(`With it the archive holds more than the ${limits.bytes} bytes promised.`, path);
      const before = known.get(path);
      if (before !== undefined && !(before === 'implied' && kind === 'directory'))
        throw damaged('It is in the archive twice.', path);
      requireParents(path);
      if (kind === 'hardlink') {
        requireSound(link, path);
        const to = known.get(link);
        if (to !== 'file' && to !== 'symlink')
          throw damaged('It is a hard link to something that is no file of this archive before it.', path);
      }
      if (kind === 'symlink') requireTarget(link, path);
      if (setuid === 'refused' && kind !== 'directory' && ((mode & setuidBits) !== 0 || hasCapability(entry)))
        throw damaged(
          'It runs with the rights of its owner (setuid) or with capabilities, and nothing vouches for it.',
          path,
        );
      // Another name of a symlink is one as well, and nothing may lie below it.
      known.set(path, kind === 'hardlink' ? (known.get(link) as Known) : kind);
    },
  };
}

function hasCapability({ attributes }: TarEntry): boolean {
  return attributes.some(({ key }) => key === capabilityKey);
}

function requireSound(path: BytePath, member: BytePath): void {
  if (path === '.') return;
  if (path.length > maxPathBytes)
    throw damaged(`It has a path of ${path.length} bytes.`, member.slice(0, 200) as BytePath);
  if (path.startsWith('/')) throw damaged('It has an absolute path.', member);
  if (path.includes('\0')) throw damaged('It has a NUL in its path.', member);
  let start = 0;
  while (start <= path.length) {
    const slash = path.indexOf('/', start);
    const end = slash < 0 ? path.length : slash;
    const length = end - start;
    const isDots = length <= 2 && (path.slice(start, end) === '.' || path.slice(start, end) === '..');
    if (length === 0 || isDots)
      throw damaged('It has a path that is not in its simplest form, or leads upwards.', member);
    if (length > maxNameBytes) throw damaged(`It has a name of ${length} bytes.`, member.slice(0, 200) as BytePath);
    start = end + 1;
  }
}

function requireTarget(link: BytePath, member: BytePath): void {
  if (link.length > maxPathBytes) throw damaged(`It is a symlink with a text of ${link.length} bytes.`, member);
  if (link.includes('\0')) throw damaged('It is a symlink with a NUL in its text.', member);
}
