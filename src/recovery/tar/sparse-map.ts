import { damaged } from './damage.ts';
import type { Segment } from './entry.ts';
import { paddingBytes } from './fields.ts';

/** A map of more pieces is no file that anybody has. */
const maxSegments = 1_000_000;
const maxDigits = 16;
const newline = 0x0a;
const zero = 0x30;

/**
 * Reads the map at the head of a sparse file's contents (GNU's format 1.0): decimal numbers, a line each, the count first,
 * filled up to a whole block. `take` is fed the contents from their beginning until the map is complete.
 */
export function sparseMapReader(realSize: number): { take(chunk: Buffer): number; segments(): Segment[] | undefined } {
  const numbers: number[] = [];
  let value = -1;
  let digits = 0;
  let taken = 0;
  let rest = -1;
  let result: Segment[] | undefined;

  function byte(code: number): void {
    if (code === newline) {
      if (value < 0) throw damaged('The map of a sparse file has an empty line.');
      if (numbers.length === 0 && value > maxSegments) throw damaged('The map of a sparse file has too many pieces.');
      numbers.push(value);
      value = -1;
      digits = 0;
      if (numbers.length === 1 + 2 * (numbers[0] as number)) rest = paddingBytes(taken);
      return;
    }
    if (code < zero || code > zero + 9 || ++digits > maxDigits || (digits > 1 && value === 0))
      throw damaged('The map of a sparse file is not made of numbers.');
    value = Math.max(value, 0) * 10 + (code - zero);
  }

  return {
    /** How many bytes of the chunk belong to the map. */
    take(chunk) {
      let i = 0;
      while (i < chunk.length && result === undefined) {
        taken++;
        if (rest < 0) byte(chunk[i++] as number);
        else if (chunk[i++] !== 0) throw damaged('The map of a sparse file is not filled up with zeros.');
        else rest--;
        if (rest === 0) result = checked(numbers, realSize);
      }
      return i;
    },
    segments: () => result,
  };
}

function checked(numbers: readonly number[], realSize: number): Segment[] {
  const segments: Segment[] = [];
  let end = 0;
  for (let i = 1; i < numbers.length; i += 2) {
    const [offset, length] = [numbers[i] as number, numbers[i + 1] as number];
    // The last piece may be empty: it says where the file ends.
    const isEnd = i + 2 >= numbers.length && offset === realSize;
    if (
      !Number.isSafeInteger(offset + length) ||
      offset < end ||
      offset + length > realSize ||
      (length === 0 && !isEnd)
    )
      throw damaged('The map of a sparse file has pieces that overlap or lie outside the file.');
    segments.push({ offset, length });
    end = offset + length;
  }
  return segments;
}

/** The map as it stands before the pieces, whole blocks. */
export function sparseMap(segments: readonly Segment[]): Buffer {
  const lines = [segments.length, ...segments.flatMap(({ offset, length }) => [offset, length])];
  const text = Buffer.from(`${lines.join('\n')}\n`, 'latin1');
  return Buffer.concat([text, Buffer.alloc(paddingBytes(text.length))], text.length + paddingBytes(text.length));
}

/** Bytes that are stored of a file: its pieces, or all. */
export function storedBytes(size: number, segments: readonly Segment[] | undefined): number {
  return segments === undefined ? size : segments.reduce((sum, { length }) => sum + length, 0);
}
