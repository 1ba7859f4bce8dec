import type { BytePath } from '../byte-path.ts';
import { damaged } from './damage.ts';
import { blockBytes, type TarEntry } from './entry.ts';
import { checksumOf, field, gnuMagic, numberField, posixMagic, textField } from './fields.ts';
import type { PaxRecords } from './pax.ts';

export type Dialect = 'own' | 'gnu' | 'old';

/** One ustar header block as it stands. */
export type Header = {
  type: string;
  /** For people: `a device`. */
  typeName: string;
  /** A device or a fifo: known, harmless to pass over, and nothing to back up. */
  isSpecial: boolean;
  /** Of the oldest form, where a trailing slash alone says that it is a folder. */
  isOldest: boolean;
  path: string;
  link: string;
  mode: number;
  uid: number;
  gid: number;
  size: number;
  mtime: number;
  uname: string;
  gname: string;
};

const maxMode = 0o7777;
/** Bits that say what kind of file it is, which some old writers put beside the permissions. */
const kindBits = 0o170000;

const plainTypes = ['\0', '0', '1', '2', '5'];

/** What a disk holds beside files, and a backup does not. */
const specialTypes = ['3', '4', '6'];

/** What the types are that nothing is made of here. */
const forbidden: Readonly<Record<string, string>> = {
  '3': 'a character device',
  '4': 'a block device',
  '6': 'a fifo',
  '7': 'a contiguous file',
  g: 'a header for all members that follow',
  S: 'a sparse file in an old form of GNU tar',
  M: 'the continuation of a file on another volume',
  V: 'the name of a volume',
  D: 'a folder of an incremental dump',
  N: 'a long name in an old form of GNU tar',
  L: 'a long name of GNU tar',
  K: 'a long link of GNU tar',
  A: 'a Solaris ACL',
  X: 'an extended header of Solaris',
};

/**
 * Parses one block, which is none of zeros.
 * @throws Fault `damaged`
 */
export function parseHeader(block: Buffer, dialect: Dialect): Header {
  if (numberField(block, 'checksum') !== checksumOf(block))
    throw damaged('A header does not match its own checksum: the archive is damaged, or it is no tar archive.');
  const magic = block.toString('latin1', field.magic[0], field.magic[0] + field.magic[1]);
  const isPosix = magic === posixMagic;
  const isGnu = magic === gnuMagic;
  if (!isPosix && !(dialect === 'old' && (isGnu || /^\0+$/.test(magic))))
    throw damaged('A header is of no kind of tar that is read here.');
  // Also beside `ustar`: bsdtar repeats in binary what its extended header says.
  const binary = dialect === 'old';
  const name = textField(block, 'name');
  const prefix = isPosix ? textField(block, 'prefix') : '';
  const type = block.toString('latin1', field.type[0], field.type[0] + 1);
  // Some readers take a prefix also where the form has none, and would see another name.
  if (!isPosix && plainTypes.includes(type) && !isZero(block, field.prefix[0]))
    throw damaged('A header has something where its kind of tar has nothing.');
  const mode = numberField(block, 'mode');
  if ((dialect === 'old' ? mode & ~kindBits : mode) > maxMode) throw damaged('A header has a mode that is none.');
  return {
    type: type === '\0' && dialect === 'old' ? '0' : type,
    typeName: forbidden[type] ?? `of the unknown type ${JSON.stringify(type)}`,
    isOldest: type === '\0',
    isSpecial: specialTypes.includes(type),
    path: prefix === '' ? name : `${prefix}/${name}`,
    link: textField(block, 'link'),
    mode: mode & maxMode,
    uid: numberField(block, 'uid', binary),
    gid: numberField(block, 'gid', binary),
    size: numberField(block, 'size', binary),
    mtime: numberField(block, 'mtime', binary),
    uname: textField(block, 'uname'),
    gname: textField(block, 'gname'),
  };
}

function isZero(block: Buffer, from: number): boolean {
  for (let i = from; i < blockBytes; i++) if (block[i] !== 0) return false;
  return true;
}

/** Names that GNU tar gives in members of their own, before the one that they belong to. */
export type LongNames = { path?: string; link?: string };

/** Of all names that a member has been given, the one that counts. */
function nameOf(header: Header, pax: PaxRecords | undefined, long: LongNames): string {
  return pax?.sparse?.name ?? pax?.path ?? long.path ?? header.path;
}

/** What an entry is of, or undefined for what nothing is made of here. */
export function kindOf(
  header: Header,
  pax: PaxRecords | undefined,
  long: LongNames,
  dialect: Dialect,
): TarEntry['kind'] | undefined {
  const { type } = header;
  // Before POSIX a trailing slash alone said that it is a folder: of the whole name, not of what the header has room for.
  if (type === '0') return dialect === 'old' && nameOf(header, pax, long).endsWith('/') ? 'directory' : 'file';
  if (type === '1') return 'hardlink';
  if (type === '2') return 'symlink';
  return type === '5' ? 'directory' : undefined;
}

/**
 * The entry that block, extended header and long names say together. Contradictions are no choice: what POSIX lets the
 * extended header replace it replaces, the rest is an error.
 * @throws Fault `damaged`
 */
export function headerFrom(
  header: Header,
  kind: TarEntry['kind'],
  pax: PaxRecords | undefined,
  long: LongNames,
): TarEntry {
  if ((pax?.path !== undefined && long.path !== undefined) || (pax?.linkpath !== undefined && long.link !== undefined))
    throw damaged('A long name is given in two ways.');
  // Some readers ask the short name for the slash, and some the long one.
  if (header.isOldest && (pax !== undefined || long.path !== undefined || long.link !== undefined))
    throw damaged('A header of the oldest form follows one that it cannot have.');
  const named = nameOf(header, pax, long);
  if (named === '') throw damaged('A member has no name.');
  const path = cleaned(named, kind);
  const isLink = kind === 'symlink' || kind === 'hardlink';
  const target = pax?.linkpath ?? long.link ?? header.link;
  if (isLink && target === '') throw damaged('It is a link to nothing.', path);
  if (!isLink && (pax?.linkpath !== undefined || long.link !== undefined))
    throw damaged('It has the target of a link, and is none.', path);
  const size = pax?.sparse?.realSize ?? pax?.size ?? header.size;
  // Older writers give a hard link the size of its file, without contents; what is read here has none.
  return {
    kind,
    path,
    link: (kind === 'hardlink' ? cleaned(target, kind) : isLink ? target : '') as BytePath,
    mode: header.mode,
    uid: pax?.uid ?? header.uid,
    gid: pax?.gid ?? header.gid,
    uname: pax?.uname ?? header.uname,
    gname: pax?.gname ?? header.gname,
    mtime: pax?.mtime ?? { seconds: header.mtime, nanoseconds: 0 },
    size: kind === 'file' ? size : 0,
    segments: undefined,
    attributes: pax?.attributes ?? [],
  };
}

/** Without `./` in front and, for folders, `/` behind. What else is wrong with a path the rules say. */
function cleaned(path: string, kind: TarEntry['kind']): BytePath {
  let text = path;
  while (text.startsWith('./') && text.length > 2) text = text.slice(2);
  if (kind === 'directory') while (text.length > 1 && text.endsWith('/')) text = text.slice(0, -1);
  return (text === './' ? '.' : text) as BytePath;
}
