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
  const parts: Buffer[] = [];
  if (records.length > 0) {
    const body = Buffer.concat(records);
    parts.push(
      ustar({ name: 'PaxHeaders/x', type: 'x', mode: 0o644, size: body.length }),
      body,
      paddingOf(body.length),
    );
  }
  const { seconds } = entry.mtime;
  parts.push(
    ustar({
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
    }),
  );
  if (map !== undefined) parts.push(map);
  return parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts);
}

function recordsOf(entry: TarEntry, name: string, size: number): Buffer[] {
  const { link, uid, gid, uname, gname, mtime, segments, attributes } = entry;
  const records: Buffer[] = [];
  const add = (when: boolean, key: string, value: string | Buffer) => {
    if (when) records.push(paxRecord(key, value));
  };
  add(segments === undefined && name.length > field.name[1], 'path', name);
  add(link.length > field.link[1], 'linkpath', link);
  add(size > maxEleven, 'size', String(size));
  add(uid > maxSeven, 'uid', String(uid));
  add(gid > maxSeven, 'gid', String(gid));
  add(uname.length > maxText, 'uname', uname);
  add(gname.length > maxText, 'gname', gname);
  add(mtime.nanoseconds !== 0 || mtime.seconds < 0 || mtime.seconds > maxEleven, 'mtime', timeText(mtime));
  if (segments !== undefined) {
    add(true, 'GNU.sparse.major', '1');
    add(true, 'GNU.sparse.minor', '0');
    add(true, 'GNU.sparse.name', name);
    add(true, 'GNU.sparse.realsize', String(entry.size));
  }
  for (const { key, value } of attributes) add(true, key, value);
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

function ustar({
  name,
  type,
  mode,
  size,
  uid = 0,
  gid = 0,
  mtime = 0,
  link = '',
  uname = '',
  gname = '',
}: Ustar): Buffer {
  const block = Buffer.alloc(blockBytes);
  const text = (at: keyof typeof field, value: string) => block.write(value, field[at][0], field[at][1], 'latin1');
  const octal = (at: keyof typeof field, value: number) => text(at, value.toString(8).padStart(field[at][1] - 1, '0'));
  text('name', name);
  octal('mode', mode);
  octal('uid', uid);
  octal('gid', gid);
  octal('size', size);
  octal('mtime', mtime);
  text('type', type);
  text('link', link);
  text('magic', posixMagic);
  text('uname', uname);
  text('gname', gname);
  text('checksum', `${checksumOf(block).toString(8).padStart(6, '0')}\0 `);
  return block;
}
