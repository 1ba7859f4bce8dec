import { createHash } from 'node:crypto';
import { type BytePath, bytePath, bytePathOf, utf8Of } from '../byte-path.ts';
import { damaged } from '../tar/damage.ts';
import type { FileTime, TarAttribute, TarEntry } from '../tar/entry.ts';
import type { Listed } from './listed.ts';

const kinds = ['file', 'directory', 'symlink', 'hardlink'];
const knownKeys = new Set(
  'path path_b64 type mode uid gid mtime size sha256 link link_b64 attributes offset'.split(' '),
);
const newline = 0x0a;
/** Paths are at most 4,095 bytes, base64 of one and its link with names of members fit. */
const maxLineBytes = 64 * 1024;

/** The line for a member: what was written of it, where, and the digest of its contents. */
export function listedOf(entry: TarEntry, offset: number, sha256: string | undefined): Listed {
  const { kind, path, link, mode, uid, gid, mtime, size, attributes } = entry;
  const name = utf8Of(path);
  const target = utf8Of(link);
  return {
    ...(name === undefined ? { path_b64: Buffer.from(path, 'latin1').toString('base64') } : { path: name }),
    type: kind,
    mode: mode.toString(8).padStart(4, '0'),
    uid,
    gid,
    mtime: listedTime(mtime),
    ...(kind === 'file' ? { size, sha256: sha256 ?? '' } : {}),
    ...(link === ''
      ? {}
      : target === undefined
        ? { link_b64: Buffer.from(link, 'latin1').toString('base64') }
        : { link: target }),
    ...(attributes.length > 0 ? { attributes: attributesDigest(attributes) } : {}),
    offset,
  };
}

/** Whole seconds and nine digits; negative times count down, as in `-1.500000000` for half a second after -2. */
function listedTime({ seconds, nanoseconds }: FileTime): string {
  return `${seconds}.${String(nanoseconds).padStart(9, '0')}`;
}

/** SHA-256 over extended attributes and ACLs as PAX records have them. */
function attributesDigest(attributes: readonly TarAttribute[]): string {
  const hash = createHash('sha256');
  for (const { key, value } of attributes) hash.update(`${key}\0${value.length}\0`, 'latin1').update(value);
  return hash.digest('hex');
}

/** The member's path as bytes. */
export function pathOf(listed: Listed): BytePath {
  return 'path' in listed ? bytePathOf(listed.path) : bytePath(Buffer.from(listed.path_b64, 'base64'));
}

/** The text of a symlink, or the member that a hard link is another name of; empty for all else. */
export function linkOf({ link, link_b64 }: Listed): BytePath {
  if (link_b64 !== undefined) return bytePath(Buffer.from(link_b64, 'base64'));
  return bytePathOf(link ?? '');
}

/** Parses FILES.ndjson from pieces of any size, in order. @throws Fault `damaged` from both */
export function fileListParser(take: (listed: Listed) => void): { push(piece: Buffer): void; end(): void } {
  let rest = Buffer.alloc(0);
  let line = 0;
  const one = (bytes: Buffer) => {
    line++;
    take(parseLine(bytes.toString('utf8'), line));
  };
  return {
    push(piece) {
      let data = rest.length === 0 ? piece : Buffer.concat([rest, piece]);
      for (let end = data.indexOf(newline); end >= 0; end = data.indexOf(newline)) {
        one(data.subarray(0, end));
        data = data.subarray(end + 1);
      }
      if (data.length > maxLineBytes) throw damaged(`FILES.ndjson has a line ${line + 1} that is too long.`);
      rest = Buffer.from(data);
    },
    end() {
      if (rest.length > 0) throw damaged('FILES.ndjson is cut off within a line.');
    },
  };
}

function parseLine(text: string, line: number): Listed {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    value = undefined; // Told below, with the number of the line.
  }
  if (!isListed(value)) throw damaged(`FILES.ndjson has a line ${line} that says nothing of a file.`);
  return value;
}

function isListed(value: unknown): value is Listed {
  if (typeof value !== 'object' || value === null || Object.keys(value).some((key) => !knownKeys.has(key)))
    return false;
  const v = value as Record<string, unknown>;
  const isText = (x: unknown) => typeof x === 'string';
  const isNatural = (x: unknown) => Number.isSafeInteger(x) && (x as number) >= 0;
  const isFile = v.type === 'file';
  return (
    isText(v.path) !== isText(v.path_b64) &&
    kinds.includes(v.type as string) &&
    /^[0-7]{4}$/.test(String(v.mode)) &&
    isNatural(v.uid) &&
    isNatural(v.gid) &&
    /^-?\d{1,15}\.\d{9}$/.test(String(v.mtime)) &&
    (isFile
      ? isNatural(v.size) && (v.sha256 === undefined || /^[0-9a-f]{64}$/.test(String(v.sha256)))
      : v.size === undefined && v.sha256 === undefined) &&
    (v.link === undefined || isText(v.link)) &&
    (v.link_b64 === undefined || isText(v.link_b64)) &&
    (v.attributes === undefined || /^[0-9a-f]{64}$/.test(String(v.attributes))) &&
    isNatural(v.offset)
  );
}

/** Whether a member of the archive is what its line says, in all but contents; else what is not. */
export function mismatch(entry: TarEntry, offset: number, listed: Listed): string | undefined {
  const line = listedOf(entry, offset, listed.sha256);
  for (const key of ['type', 'mode', 'uid', 'gid', 'mtime', 'size', 'attributes', 'offset'] as const)
    if (line[key] !== listed[key]) return `its ${key} is not what the list of files says`;
  if (pathOf(listed) !== entry.path) return 'the list of files has another member at its place';
  return linkOf(listed) === entry.link ? undefined : 'its link is not what the list of files says';
}
