import type { Dialect } from './header.ts';
import { anEntry, archive, blocks, extended, gnuHeader, octal, rawHeader, written } from './tar.fixtures.ts';
import { endOfArchive, headerOf } from './writer.ts';

/** An archive that must be refused, in every dialect that could be asked to read it, with such a sentence. */
export type Hostile = { name: string; bytes: Buffer; says: RegExp; dialects?: readonly Dialect[] };

const file = (path: string) => headerOf(anEntry({ path }));
const folder = (path: string) => headerOf(anEntry({ path, kind: 'directory' }));
const symlink = (path: string, link: string) => headerOf(anEntry({ path, kind: 'symlink', link }));
const hardlink = (path: string, link: string) => headerOf(anEntry({ path, kind: 'hardlink', link }));
const old = ['old'] as const;

/** What is tried against archives: ways out of the folder, and ways to show two readers two trees. */
export const hostile: readonly Hostile[] = [
  // Out of the folder.
  { name: 'a path upwards', bytes: archive(file('../a')), says: /leads upwards/ },
  { name: 'a path upwards in the middle', bytes: archive(folder('a'), file('a/../../b')), says: /leads upwards/ },
  { name: 'a path upwards at the end', bytes: archive(folder('a'), folder('a/..')), says: /leads upwards/ },
  { name: 'an absolute path', bytes: archive(file('/etc/passwd')), says: /absolute/ },
  { name: 'an absolute path behind ./', bytes: archive(file('.//etc/passwd')), says: /absolute|simplest/ },
  { name: 'a path with an empty name', bytes: archive(folder('a'), file('a//b')), says: /simplest form/ },
  { name: 'a path with a dot in it', bytes: archive(folder('a'), file('a/./b')), says: /simplest form/ },
  {
    name: 'a path of 5,000 bytes',
    bytes: archive(file('n/'.repeat(2500).slice(0, -1))),
    says: /5000|4999|bytes|not in the archive/,
  },
  { name: 'a name of 256 bytes', bytes: archive(file('n'.repeat(256))), says: /a name of 256/ },
  { name: 'a NUL in the path', bytes: archive(extended([['path', 'a\0b']]), rawHeader({})), says: /no path/ },
  { name: 'no name at all', bytes: archive(rawHeader({ name: '' })), says: /no name/ },
  { name: 'a file through a symlink', bytes: archive(symlink('a', '/etc'), file('a/passwd')), says: /below a symlink/ },
  {
    name: 'a file through a hard link to a symlink',
    bytes: archive(symlink('a', '/etc'), hardlink('b', 'a'), file('b/x')),
    says: /below a symlink/,
  },
  {
    name: 'a symlink where a folder was',
    bytes: archive(folder('a'), symlink('a', '/etc'), file('a/x')),
    says: /twice/,
  },
  { name: 'a file below a file', bytes: archive(file('a'), file('a/b')), says: /below a file/ },
  { name: 'a hard link out', bytes: archive(hardlink('a', '/etc/shadow')), says: /absolute/ },
  { name: 'a hard link upwards', bytes: archive(hardlink('a', '../shadow')), says: /leads upwards/ },
  { name: 'a hard link to what is not there', bytes: archive(hardlink('a', 'b')), says: /no file of this archive/ },
  {
    name: 'a hard link to what comes later',
    bytes: archive(hardlink('a', 'b'), file('b')),
    says: /no file of this archive/,
  },
  { name: 'a hard link to a folder', bytes: archive(folder('b'), hardlink('a', 'b')), says: /no file of this archive/ },
  { name: 'the top as a symlink', bytes: archive(symlink('.', '/etc')), says: /no folder/ },
  // What is nothing to restore.
  { name: 'a character device', bytes: archive(rawHeader({ type: '3' })), says: /character device/ },
  { name: 'a block device', bytes: archive(rawHeader({ type: '4' })), says: /block device/ },
  { name: 'a fifo', bytes: archive(rawHeader({ type: '6' })), says: /a fifo/ },
  { name: 'a contiguous file', bytes: archive(rawHeader({ type: '7' })), says: /contiguous/ },
  { name: 'a type nobody knows', bytes: archive(rawHeader({ type: 'Z' })), says: /unknown type/ },
  {
    name: 'a setuid file nobody vouches for',
    bytes: archive(rawHeader({ mode: '0004755' })),
    says: /setuid/,
    dialects: old,
  },
  // Two readers, two trees.
  {
    name: 'a header for all that follow',
    bytes: archive(rawHeader({ type: 'g', size: octal(0) }), file('a')),
    says: /all members that follow/,
  },
  {
    name: 'two extended headers',
    bytes: archive(extended([['path', 'a']]), extended([['path', 'b']]), rawHeader({})),
    says: /Two extended headers/,
  },
  {
    name: 'a key twice',
    bytes: archive(
      extended([
        ['path', 'a'],
        ['path', 'b'],
      ]),
      rawHeader({}),
    ),
    says: /twice/,
  },
  {
    name: 'a key nobody knows',
    bytes: archive(extended([['SCHILY.realsize', '5']]), rawHeader({})),
    says: /none of those/,
  },
  { name: 'a key with a NUL', bytes: archive(extended([['path\0x', 'b']]), rawHeader({})), says: /NUL/ },
  {
    name: 'a record that is too long',
    bytes: archive(extended('99 path=a\n'), rawHeader({})),
    says: /length is wrong/,
  },
  {
    name: 'a record that is too short',
    bytes: archive(extended('5 path=a\n'), rawHeader({})),
    says: /length is wrong/,
  },
  {
    name: 'a record without its line break',
    bytes: archive(extended('9 path=ab'), rawHeader({})),
    says: /length is wrong/,
  },
  { name: 'a length with a sign', bytes: archive(extended('+9 path=a\n'), rawHeader({})), says: /length is wrong/ },
  {
    name: 'an extended header that is a megabyte',
    bytes: archive(rawHeader({ type: 'x', size: octal(1024 * 1024 + 1) })),
    says: /bytes, where/,
  },
  { name: 'an empty extended header', bytes: archive(rawHeader({ type: 'x' }), file('a')), says: /bytes, where/ },
  { name: 'an extended header at the end', bytes: archive(extended([['path', 'a']])), says: /belongs to nothing/ },
  {
    name: 'a folder with contents',
    bytes: archive(rawHeader({ type: '5', name: 'a/', size: octal(512) }), blocks('x')),
    says: /has contents/,
  },
  {
    name: 'a symlink with contents',
    bytes: archive(rawHeader({ type: '2', link: 'x', size: octal(5) }), blocks('hello')),
    says: /has contents/,
  },
  {
    name: 'a hard link with contents',
    bytes: archive(file('b'), rawHeader({ type: '1', link: 'b', size: octal(5) }), blocks('hello')),
    says: /has contents/,
  },
  { name: 'a link to nothing', bytes: archive(rawHeader({ type: '2' })), says: /link to nothing/ },
  { name: 'a size that is no number', bytes: archive(rawHeader({ size: '12345678x' })), says: /no octal number/ },
  { name: 'a negative size', bytes: archive(rawHeader({ size: '-0000000001' })), says: /no octal number/ },
  { name: 'a negative size in PAX', bytes: archive(extended([['size', '-1']]), rawHeader({})), says: /no number/ },
  {
    name: 'a size beyond all files',
    bytes: archive(extended([['size', '99999999999999999999']]), rawHeader({})),
    says: /no number/,
  },
  { name: 'a time that is none', bytes: archive(extended([['mtime', 'NaN']]), rawHeader({})), says: /no time/ },
  { name: 'a checksum that is wrong', bytes: archive(rawHeader({ checksum: '000001\0 ' })), says: /checksum/ },
  {
    name: 'padding that is not zeros',
    bytes: archive(rawHeader({ size: octal(1) }), Buffer.from(`a${'x'.repeat(511)}`)),
    says: /not filled up/,
  },
  { name: 'the same member twice', bytes: archive(file('a'), file('a')), says: /twice/ },
  {
    name: 'an archive behind the archive',
    bytes: Buffer.concat([written([]), written([{ entry: anEntry({ path: 'a' }) }])]),
    says: /behind the end/,
  },
  {
    name: 'one block of zeros between members',
    bytes: Buffer.concat([file('a'), Buffer.alloc(512), file('b'), endOfArchive]),
    says: /between two members/,
  },
  {
    name: 'a prefix where the form has none',
    bytes: archive(rawHeader({ magic: '\0'.repeat(8), prefix: 'p' })),
    says: /where its kind of tar has nothing/,
    dialects: old,
  },
  {
    name: 'a prefix in GNU’s form',
    bytes: archive(gnuHeader({ prefix: 'p' })),
    says: /where its kind of tar has nothing/,
    dialects: old,
  },
  {
    name: 'a name in an extended header and a slash in the oldest form',
    bytes: archive(extended([['path', 'a']]), rawHeader({ type: '\0', name: 'd/' })),
    says: /oldest form/,
    dialects: old,
  },
  { name: 'no end mark', bytes: file('a'), says: /cut off/ },
  { name: 'nothing at all', bytes: Buffer.alloc(0), says: /cut off/ },
  // Sparse files that lie.
  ...sparse('a map with pieces that overlap', '2\n0\n100\n50\n10\n', 200, /overlap/),
  ...sparse('a map beyond the file', '1\n0\n300\n', 200, /overlap|outside/),
  ...sparse('a map that is no number', '1\nx\n1\n', 200, /not made of numbers/),
  ...sparse('a map with a million pieces more', '99999999\n', 200, /too many/),
  ...sparse('a map that does not fit its contents', '1\n0\n10\n', 200, /does not fit/),
  {
    name: 'a sparse folder',
    bytes: archive(extended(sparseRecords('a', 10)), rawHeader({ type: '5', name: 'a/' })),
    says: /no file is said to be sparse/,
  },
  {
    name: 'sparse of an older form',
    bytes: archive(
      extended([
        ['GNU.sparse.major', '0'],
        ['GNU.sparse.minor', '1'],
        ['GNU.sparse.map', '0,1'],
      ]),
      rawHeader({}),
    ),
    says: /form other than/,
  },
  { name: 'GNU’s old sparse', bytes: archive(gnuHeader({ type: 'S' })), says: /old form/, dialects: old },
  // GNU's own long names.
  {
    name: 'a long name and a PAX path',
    bytes: archive(gnuLong('L', 'b'), extended([['path', 'c']]), rawHeader({})),
    says: /two ways|kind of tar|long name/,
    dialects: old,
  },
  {
    name: 'two long names',
    bytes: archive(gnuLong('L', 'b'), gnuLong('L', 'c'), gnuHeader({})),
    says: /twice/,
    dialects: old,
  },
  {
    name: 'a long name with a NUL within',
    bytes: archive(gnuLong('L', 'b\0c'), gnuHeader({})),
    says: /is none/,
    dialects: old,
  },
  {
    name: 'a long link on a file',
    bytes: archive(gnuLong('K', 'b'), gnuHeader({})),
    says: /and is none/,
    dialects: old,
  },
  { name: 'another volume', bytes: archive(gnuHeader({ type: 'M' })), says: /another volume/, dialects: old },
];

function sparseRecords(name: string, size: number): [string, string][] {
  return [
    ['GNU.sparse.major', '1'],
    ['GNU.sparse.minor', '0'],
    ['GNU.sparse.name', name],
    ['GNU.sparse.realsize', String(size)],
  ];
}

function sparse(name: string, map: string, size: number, says: RegExp): Hostile[] {
  const content = Buffer.concat([blocks(map), blocks('x'.repeat(100))]);
  return [
    {
      name,
      bytes: archive(extended(sparseRecords('a', size)), rawHeader({ size: octal(blocks(map).length + 100) }), content),
      says,
    },
  ];
}

function gnuLong(type: 'L' | 'K', text: string): Buffer {
  return Buffer.concat([gnuHeader({ name: '././@LongLink', type, size: octal(text.length + 1) }), blocks(`${text}\0`)]);
}
