import { blockBytes, type FileTime, type TarEntry } from './entry.ts';
import { checksumOf, field, paddingBytes, posixMagic } from './fields.ts';
import { paxRecord } from './pax.ts';
import { sparseMap, storedBytes } from './sparse-map.ts';

const typeOf = { file: '0', hardlink: '1', symlink: '2', directory: '5' } as const;
/** What eleven octal digits hold; a larger file or a later time needs an extended header. */
const maxEleven = 0o77777777777;
const maxSeven = 0o7777777;
const maxText = 31;

/** Two blocks of zeros end an archive. */
export const endOfArchive = Buffer.alloc(2 * blockBytes);
const zeros = Buffer.alloc(blockBytes);

/** What fills the last block after so many stored bytes of contents. */
export function paddingOf(stored: number): Buffer {
  return zeros.subarray(0, paddingBytes(stored));
}

/**
 * All that stands before the contents of a member: an extended header where ustar cannot say it, the ustar header, and the
 * map of a sparse file. There is one spelling for each entry, so a reader may compare with it.
 */
export function headerOf(entry: TarEntry): Buffer {
  const { kind, segments } = entry;
  const name = kind === 'directory' ? `${entry.path}/` : entry.path;
  const map = segments === undefined ? undefined : sparseMap(segments);
  const size = kind === 'file' ? storedBytes(entry.size, segments) + (map?.length ?? 0) : 0;
  const records = recordsOf(entry, name, size);
  const blockAt = records === '' ? 0 : blockBytes + records.length + paddingBytes(records.length);
  const header = Buffer.allocUnsafe(blockAt + blockBytes + (map?.length ?? 0)).fill(0);
  if (records !== '') {
    ustar(header, 0, { name: 'PaxHeaders/x', type: 'x', mode: 0o644, size: records.length });
    header.write(records, blockBytes, 'latin1');
  }
  const { seconds } = entry.mtime;
  ustar(header, blockAt, {
    name: segments !== undefined ? 'GNUSparseFile.0' : name.length <= field.name[1] ? name : '',
    type: typeOf[kind],
    mode: entry.mode,
    size: size <= maxEleven ? size : 0,
    uid: entry.uid <= maxSeven ? entry.uid : 0,
    gid: entry.gid <= maxSeven ? entry.gid : 0,
    mtime: seconds >= 0 && seconds <= maxEleven ? seconds : 0,
    link: entry.link.length <= field.link[1] ? entry.link : '',
    uname: entry.uname.length <= maxText ? entry.uname : '',
    gname: entry.gname.length <= maxText ? entry.gname : '',
  });
  map?.copy(header, blockAt + blockBytes);
  return header;
}

/** The records of the extended header, one after the other, a character a byte; empty when none is needed. */
function recordsOf(entry: TarEntry, name: string, size: number): string {
  const { link, uid, gid, uname, gname, mtime, segments, attributes } = entry;
  let records = '';
  const add = (key: string, value: string | Buffer) => {
    records += paxRecord(key, value);
  };
  if (segments === undefined && name.length > field.name[1]) add('path', name);
  if (link.length > field.link[1]) add('linkpath', link);
  if (size > maxEleven) add('size', String(size));
  if (uid > maxSeven) add('uid', String(uid));
  if (gid > maxSeven) add('gid', String(gid));
  if (uname.length > maxText) add('uname', uname);
  if (gname.length > maxText) add('gname', gname);
  if (mtime.nanoseconds !== 0 || mtime.seconds < 0 || mtime.seconds > maxEleven) add('mtime', timeText(mtime));
  if (segments !== undefined) {
    add('GNU.sparse.major', '1');
    add('GNU.sparse.minor', '0');
    add('GNU.sparse.name', name);
    add('GNU.sparse.realsize', String(entry.size));
  }
  for (const { key, value } of attributes) add(key, value);
  return records;
}

/** Decimal seconds without needless digits: `1700000000.000000001`, `-0.5`. */
export function timeText({ seconds, nanoseconds }: FileTime): string {
  const isBefore = seconds < 0;
  const [whole, part] =
    isBefore && nanoseconds > 0 ? [-(seconds + 1), 1_000_000_000 - nanoseconds] : [Math.abs(seconds), nanoseconds];
  const fraction = part === 0 ? '' : `.${String(part).padStart(9, '0').replace(/0+$/, '')}`;
  return `${isBefore ? '-' : ''}${whole}${fraction}`;
}

type Ustar = {
  name: string;
  type: string;
  mode: number;
  size: number;
  uid?: number;
  gid?: number;
  mtime?: number;
  link?: string;
  uname?: string;
  gname?: string;
};

/** Writes one block into a buffer of zeros. */
function ustar(into: Buffer, start: number, fields: Ustar): void {
  const { name, type, mode, size, uid = 0, gid = 0, mtime = 0, link = '', uname = '', gname = '' } = fields;
  const text = ([at, length]: Place, value: string) => {
    if (value !== '') into.write(value, start + at, length, 'latin1');
  };
  text(field.name, name);
  octal(into, start, field.mode, mode);
  octal(into, start, field.uid, uid);
  octal(into, start, field.gid, gid);
  octal(into, start, field.size, size);
  octal(into, start, field.mtime, mtime);
  text(field.type, type);
  text(field.link, link);
  text(field.magic, posixMagic);
  text(field.uname, uname);
  text(field.gname, gname);
  text(field.checksum, `${checksumOf(into, start).toString(8).padStart(6, '0')}\0 `);
}

type Place = readonly [at: number, length: number];

/** All digits of the field but its last byte, which stays NUL. By hand, because a million members have six each. */
function octal(into: Buffer, start: number, [at, length]: Place, value: number): void {
  let rest = value;
  for (let i = start + at + length - 2; i >= start + at; i--) {
    const eighth = Math.floor(rest / 8);
    into[i] = 0x30 + rest - eighth * 8;
    rest = eighth;
  }
}
