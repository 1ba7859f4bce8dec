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
const zero = 0x30;
const newline = 0x0a;
const equals = 0x3d;

/** `atime`, `ctime`: written by default, and of no use to a restore. `comment`: for people. */
const passedOver = new Set(['atime', 'ctime', 'comment']);
const sparsePrefix = 'GNU.sparse.';
const attributeKey = /^SCHILY\.(xattr\..+|acl\.(access|default))$/s;

/**
 * Parses an extended header: `LENGTH KEY=VALUE\n` each, lengths exact, no key twice.
 * @throws Fault `damaged`
 */
export function parsePax(bytes: Buffer): PaxRecords {
  const found = new Set<string>();
  const records: PaxRecords = { attributes: [] };
  const sparse = new Map<string, string>();
  for (let at = 0; at < bytes.length; ) {
    const { key, valueAt, next } = recordAt(bytes, at);
    if (found.has(key)) throw damaged(`An extended header says ${shown(key)} twice.`);
    found.add(key);
    // A copy: attributes outlive the buffer they came in.
    if (attributeKey.test(key)) records.attributes.push({ key, value: Buffer.from(bytes.subarray(valueAt, next - 1)) });
    else if (!passedOver.has(key)) {
      const text = bytes.toString('latin1', valueAt, next - 1);
      if (key.startsWith(sparsePrefix)) sparse.set(key.slice(sparsePrefix.length), text);
      else take(records, key, text);
    }
    at = next;
  }
  if (records.attributes.length > 1) records.attributes.sort((a, b) => (a.key < b.key ? -1 : 1));
  if (sparse.size > 0) records.sparse = sparseOf(sparse);
  return records;
}

/** A length, a space, a key, `=`, the value from `valueAt` on, and a line break just before `next`. */
function recordAt(bytes: Buffer, at: number): { key: string; valueAt: number; next: number } {
  let gap = at;
  let length = 0;
  for (; gap < bytes.length && gap - at <= maxLengthDigits; gap++) {
    const digit = (bytes[gap] as number) - zero;
    if (digit < 0 || digit > 9) break;
    length = length * 10 + digit;
  }
  const next = at + length;
  const isNumber = bytes[gap] === space && gap - at <= maxLengthDigits && bytes[at] !== zero;
  if (!isNumber || next > bytes.length || next <= gap + 1 || bytes[next - 1] !== newline)
    throw damaged('An extended header has a record whose length is wrong.');
  let sign = gap + 1;
  for (; sign < next && bytes[sign] !== equals; sign++)
    // A reader in C would take the key to end there, and see another one.
    if (bytes[sign] === 0) throw damaged('An extended header has a key with a NUL in it.');
  if (sign === gap + 1 || sign === next) throw damaged('An extended header has a record without a key.');
  return { key: bytes.toString('latin1', gap + 1, sign), valueAt: sign + 1, next };
}

function take(records: PaxRecords, key: string, text: string): void {
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

/** One record, a character a byte; its length counts its own digits. */
export function paxRecord(key: string, value: string | Buffer): string {
  const text = typeof value === 'string' ? value : value.toString('latin1');
  const rest = key.length + text.length + 3;
  let length = rest + String(rest).length;
  if (rest + String(length).length !== length) length = rest + String(length).length;
  return `${length} ${key}=${text}\n`;
}

function shown(key: string): string {
  return JSON.stringify(key.slice(0, 80));
}
