import { damaged } from './damage.ts';
import { blockBytes } from './entry.ts';

/** Where the fields of a ustar header lie: offset and length in bytes (POSIX.1-2017, pax, "ustar Interchange Format"). */
export const field = {
  name: [0, 100],
  mode: [100, 8],
  uid: [108, 8],
  gid: [116, 8],
  size: [124, 12],
  mtime: [136, 12],
  checksum: [148, 8],
  type: [156, 1],
  link: [157, 100],
  magic: [257, 8],
  uname: [265, 32],
  gname: [297, 32],
  devMajor: [329, 8],
  devMinor: [337, 8],
  prefix: [345, 155],
} as const satisfies Record<string, readonly [number, number]>;

type Field = keyof typeof field;

/** `ustar`, NUL, `00`. */
export const posixMagic = 'ustar\u000000';
/** `ustar`, two spaces, NUL: what GNU tar writes in its own format. */
export const gnuMagic = 'ustar  \u0000';

/** The text of a field up to its first NUL, a character a byte. */
export function textField(block: Buffer, name: Field): string {
  const [at, length] = field[name];
  if (block[at] === 0) return '';
  let end = at;
  while (end < at + length && block[end] !== 0) end++;
  return block.toString('latin1', at, end);
}

const space = 0x20;
const zero = 0x30;
const seven = 0x37;

/**
 * A number in octal digits, ended by NUL or space or the field's end; an empty field is 0. With `base256` also GNU's
 * binary form for numbers that octal digits cannot hold.
 * @throws Fault `damaged`
 */
export function numberField(block: Buffer, name: Field, base256 = false): number {
  const [at, length] = field[name];
  const end = at + length;
  const first = block[at] as number;
  if (base256 && (first & 0x80) !== 0) return binaryNumber(block, at, length, name);
  let i = at;
  while (i < end && block[i] === space) i++;
  let value = 0;
  for (; i < end; i++) {
    const digit = block[i] as number;
    if (digit < zero || digit > seven) break;
    value = value * 8 + (digit - zero);
  }
  for (; i < end; i++)
    if (block[i] !== 0 && block[i] !== space) throw damaged(`The header's field ${name} is no octal number.`);
  return value;
}

function binaryNumber(block: Buffer, at: number, length: number, name: Field): number {
  const isNegative = block[at] === 0xff;
  let value = 0n;
  for (let i = at; i < at + length; i++) {
    const byte = block[i] as number;
    value = (value << 8n) | BigInt(i === at && !isNegative ? byte & 0x7f : byte);
  }
  const number = Number(isNegative ? BigInt.asIntN(length * 8, value) : value);
  if (!Number.isSafeInteger(number)) throw damaged(`The header's field ${name} is larger than any file.`);
  if (number < 0 && name !== 'mtime') throw damaged(`The header's field ${name} is negative.`);
  return number;
}

/** The sum of a header's bytes with the checksum's own field as spaces. The header begins at `start`. */
export function checksumOf(bytes: Buffer, start = 0): number {
  const [at, length] = field.checksum;
  let sum = length * space;
  for (let i = start; i < start + at; i++) sum += bytes[i] as number;
  for (let i = start + at + length; i < start + blockBytes; i++) sum += bytes[i] as number;
  return sum;
}

/** How many bytes fill the last block of so many bytes. */
export function paddingBytes(length: number): number {
  return (blockBytes - (length % blockBytes)) % blockBytes;
}
