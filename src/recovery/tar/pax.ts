import { damaged } from './damage.ts';
import type { FileTime, TarAttribute } from './entry.ts';

/** The records of one extended header that we know; what an archive says beside them is an error. */
export type PaxRecords = {
  path?: string;
  linkpath?: string;
  size?: number;
  uid?: number;
  gid?: number;
  uname?: string;
  gname?: string;
  mtime?: FileTime;
  sparse?: { major: number; minor: number; name: string; realSize: number };
  attributes: TarAttribute[];
};

/** Bytes of one extended header. Attributes of a file are limited to about 64 KiB each by the kernel. */
export const maxPaxBytes = 1024 * 1024;
const maxLengthDigits = 8;
const space = 0x20;
const newline = 0x0a;
const equals = 0x3d;

/** `atime`, `ctime`: written by default, and of no use to a restore. `comment`: for people. */
const passedOver = new Set(['atime', 'ctime', 'comment']);
const attributeKey = /^SCHILY\.(xattr\..+|acl\.(access|default))$/s;

/**
 * Parses an extended header: `LENGTH KEY=VALUE\n` each, lengths exact, no key twice.
 * @throws Fault `damaged`
 */
export function parsePax(bytes: Buffer): PaxRecords {
  const found = new Map<string, Buffer>();
  for (let at = 0; at < bytes.length; ) {
    const [key, value, next] = recordAt(bytes, at);
    if (found.has(key)) throw damaged(`An extended header says ${shown(key)} twice.`);
    found.set(key, value);
    at = next;
  }
  const records: PaxRecords = { attributes: [] };
  const sparse = new Map<string, string>();
  for (const [key, value] of found) {
    if (attributeKey.test(key)) records.attributes.push({ key, value });
    else if (key.startsWith('GNU.sparse.')) sparse.set(key.slice('GNU.sparse.'.length), value.toString('latin1'));
    else if (!passedOver.has(key)) take(records, key, value);
  }
  records.attributes.sort((a, b) => (a.key < b.key ? -1 : 1));
  if (sparse.size > 0) records.sparse = sparseOf(sparse);
  return records;
}

function recordAt(bytes: Buffer, at: number): [key: string, value: Buffer, next: number] {
  const gap = bytes.indexOf(space, at);
  const digits = gap < 0 || gap - at > maxLengthDigits ? '' : bytes.toString('latin1', at, gap);
  const next = at + Number(digits);
  if (!/^[1-9]\d*$/.test(digits) || next > bytes.length || next <= gap + 1 || bytes[next - 1] !== newline)
    throw damaged('An extended header has a record whose length is wrong.');
  const sign = bytes.indexOf(equals, gap + 1);
  if (sign <= gap + 1 || sign >= next) throw damaged('An extended header has a record without a key.');
  // A reader in C would take the key to end there, and see another one.
  const nul = bytes.indexOf(0, gap + 1);
  if (nul >= 0 && nul < sign) throw damaged('An extended header has a key with a NUL in it.');
  // A copy: attributes outlive the buffer they came in.
  return [bytes.toString('latin1', gap + 1, sign), Buffer.from(bytes.subarray(sign + 1, next - 1)), next];
}

function take(records: PaxRecords, key: string, value: Buffer): void {
  const text = value.toString('latin1');
  if (key === 'path' || key === 'linkpath') {
    if (text === '' || text.includes('\0')) throw damaged(`An extended header has a ${key} that is no path.`);
    records[key] = text;
  } else if (key === 'uname' || key === 'gname') {
    if (text.includes('\0')) throw damaged(`An extended header has a ${key} with a NUL in it.`);
    records[key] = text;
  } else if (key === 'size' || key === 'uid' || key === 'gid') records[key] = natural(text, key);
  else if (key === 'mtime') records.mtime = timeOf(text);
  else throw damaged(`An extended header has the key ${shown(key)}, which is none of those that a backup has.`);
}

function natural(text: string, key: string): number {
  const value = Number(text);
  if (!/^(0|[1-9]\d*)$/.test(text) || !Number.isSafeInteger(value))
    throw damaged(`An extended header has a ${key} that is no number.`);
  return value;
}

/** Decimal seconds, with up to nine digits behind the point; negative before 1970. */
function timeOf(text: string): FileTime {
  const match = /^(-?)(0|[1-9]\d{0,14})(?:\.(\d{1,9}))?$/.exec(text);
  if (!match) throw damaged('An extended header has an mtime that is no time.');
  const [, sign, whole, fraction = ''] = match;
  const nanoseconds = Number(fraction.padEnd(9, '0'));
  const seconds = Number(whole);
  if (sign !== '-') return { seconds, nanoseconds };
  if (nanoseconds === 0) return { seconds: seconds === 0 ? 0 : -seconds, nanoseconds: 0 };
  return { seconds: -seconds - 1, nanoseconds: 1_000_000_000 - nanoseconds };
}

function sparseOf(values: ReadonlyMap<string, string>): NonNullable<PaxRecords['sparse']> {
  const unknown = [...values.keys()].find((key) => !['major', 'minor', 'name', 'realsize'].includes(key));
  const [major, minor] = [values.get('major'), values.get('minor')];
  if (unknown !== undefined || major !== '1' || minor !== '0')
    throw damaged('A sparse file is stored in a form other than 1.0, which is the only one that is read here.');
  const name = values.get('name');
  if (!name || name.includes('\0')) throw damaged('A sparse file has no name.');
  return { major: 1, minor: 0, name, realSize: natural(values.get('realsize') ?? '', 'GNU.sparse.realsize') };
}

/** One record; its length counts its own digits. */
export function paxRecord(key: string, value: string | Buffer): Buffer {
  const bytes = typeof value === 'string' ? Buffer.from(value, 'latin1') : value;
  const rest = key.length + bytes.length + 3;
  let length = rest + String(rest).length;
  if (rest + String(length).length !== length) length = rest + String(length).length;
  return Buffer.concat([Buffer.from(`${length} ${key}=`, 'latin1'), bytes, Buffer.from('\n')]);
}

function shown(key: string): string {
  return JSON.stringify(key.slice(0, 80));
}
