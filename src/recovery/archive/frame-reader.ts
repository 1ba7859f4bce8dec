import { availableParallelism } from 'node:os';
import { promisify } from 'node:util';
import {
  constants,
  createZstdDecompress,
  type ZstdDecompress,
  zstdCompressSync,
  zstdDecompress,
  zstdDecompressSync,
} from 'node:zlib';
import { Fault, reasonOf } from '../../base/fault.ts';
import { damaged } from '../tar/damage.ts';
import { type ArchiveFile, openArchiveFile, type Unlock } from './archive-file.ts';
import { frameBytes } from './frame-writer.ts';
import { type Frame, footerBytes, parseSeekTable, seekTableBytes } from './seek-table.ts';

/** Frames that are read and decoded at a time: two more than there are cores, and no more than memory has room for. */
const maxInFlight = Math.min(4, availableParallelism()) + 2;

const decompressing = promisify(zstdDecompress) as (data: Uint8Array, options: object) => Promise<Buffer>;

/** One frame as it lies in the file, and decoded. `index` counts from 0. */
export type DecodedFrame = { index: number; raw: Buffer; plain: Buffer };

export type FrameReader = {
  /** The file is encrypted. */
  readonly isSealed: boolean;
  readonly frames: readonly Frame[];
  /** Bytes of the file. */
  readonly bytes: number;
  /** Bytes of the tar stream. */
  readonly plainBytes: number;
  /** First byte of the frame in the tar stream. */
  startOf(index: number): number;
  /** The frame that holds this byte of the tar stream. */
  frameAt(plainOffset: number): number;
  /**
   * Frames `from` up to, not including, `to`, decoded several at a time, in order.
   * @throws Fault `damaged` with `extra.frame` for one that does not decode to its size with a sound checksum
   */
  read(from: number, to: number): AsyncGenerator<DecodedFrame, void, undefined>;
  /**
   * Decodes every frame, several at a time, and keeps nothing of it. `raw` is told the bytes of the file from first to last,
   * which are good until it returns, and `decoded` how many bytes of the stream are being decoded. Once for each reader.
   * @throws Fault `damaged` with `extra.frame`
   */
  prove(raw: (bytes: Buffer) => void, decoded: (plainBytes: number) => void): Promise<void>;
  close(): Promise<void>;
};

/**
 * Opens an archive of our own by its seek table.
 * @throws Fault `not-found`, `damaged` when there is no seek table or it does not fit the file; `forbidden` for an encrypted one
 * that nothing opens; `internal` on a Node that takes cut-off input for whole
 */
export async function openFrames(path: string, unlock?: Unlock): Promise<FrameReader> {
  requireStrictNode();
  const file = await openArchiveFile(path, unlock);
  try {
    const table = await tableOf(file);
    const frames = parseSeekTable(table, file.bytes, frameBytes);
    return readerOf(file, table, frames);
  } catch (error) {
    await file.close();
    throw error;
  }
}

async function tableOf(file: ArchiveFile): Promise<Buffer> {
  const { bytes } = file;
  const footer = bytes < footerBytes ? Buffer.alloc(0) : await pieceOf(file, bytes - footerBytes, footerBytes);
  const length = seekTableBytes(footer);
  if (length === undefined || length > bytes)
    throw damaged('The archive has no seek table at its end: it is cut off, or it is no archive of LeverEdge.');
  return pieceOf(file, bytes - length, length);
}

async function pieceOf(file: ArchiveFile, position: number, length: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafeSlow(length);
  await file.read(buffer, position);
  return buffer;
}

function readerOf(file: ArchiveFile, table: Buffer, frames: readonly Frame[]): FrameReader {
  const inFile: number[] = [];
  const inStream: number[] = [];
  let [fileAt, plainAt] = [0, 0];
  for (const { compressed, plain } of frames) {
    inFile.push(fileAt);
    inStream.push(plainAt);
    fileAt += compressed;
    plainAt += plain;
  }

  async function decode(index: number): Promise<DecodedFrame> {
    const { compressed, plain } = frames[index] as Frame;
    const raw = await pieceOf(file, inFile[index] as number, compressed);
    return { index, raw, plain: await decodeFrame(index, raw, plain) };
  }

  return {
    isSealed: file.isSealed,
    frames,
    bytes: file.fileBytes,
    plainBytes: plainAt,
    startOf: (index) => inStream[index] ?? plainAt,
    frameAt(offset) {
      let [low, high] = [0, frames.length - 1];
      while (low < high) {
        const middle = (low + high + 1) >> 1;
        if ((inStream[middle] as number) <= offset) low = middle;
        else high = middle - 1;
      }
      return low;
    },
    async *read(from, to) {
      const pending: Promise<DecodedFrame>[] = [];
      let next = from;
      const begin = () => {
        const frame = decode(next++);
        // Awaited below; until then a failure is nobody's surprise.
        frame.catch(() => undefined /* thrown where it is awaited */);
        pending.push(frame);
      };
      try {
        while (next < to || pending.length > 0) {
          while (next < to && pending.length < maxInFlight) begin();
          yield await (pending.shift() as Promise<DecodedFrame>);
        }
      } finally {
        await Promise.allSettled(pending);
      }
    },
    async prove(told, decoded) {
      const largest = frames.reduce((most, { compressed }) => Math.max(most, compressed), 0);
      const spare: Buffer[] = [];
      const running = new Set<Promise<void>>();
      let failure: unknown;
      for (const [index, { compressed, plain }] of frames.entries()) {
        while (running.size >= maxInFlight) await Promise.race(running);
        if (failure !== undefined) break;
        const buffer = spare.pop() ?? Buffer.allocUnsafeSlow(largest);
        const raw = buffer.subarray(0, compressed);
        file.readInOrder(raw, inFile[index] as number, told);
        decoded(plain);
        const one: Promise<void> = decodeFrame(index, raw, plain)
          .then(
            () => void spare.push(buffer),
            (error: unknown) => {
              failure ??= error;
            },
          )
          .finally(() => running.delete(one));
        running.add(one);
      }
      await Promise.all(running);
      if (failure !== undefined) throw failure;
      file.readInOrder(table, file.bytes - table.length, told);
    },
    close: file.close,
  };
}

function brokenFrame(index: number, why: string): Fault {
  return new Fault('damaged', `Frame ${index} of the archive does not decode: ${why}.`, { extra: { frame: index } });
}

async function decodeFrame(index: number, raw: Buffer, plain: number): Promise<Buffer> {
  let decoded: Buffer;
  try {
    decoded = await decompressing(raw, { chunkSize: Math.max(plain, 64), maxOutputLength: plain });
  } catch (error) {
    throw brokenFrame(index, reasonOf(error));
  }
  if (decoded.length !== plain) throw brokenFrame(index, `it holds ${decoded.length} bytes instead of ${plain}`);
  return decoded;
}

/** Bytes that are read, and decoded, at a time. */
const streamBytes = 1024 * 1024;

/**
 * The whole tar stream of an archive, decoded from one end to the other, which takes half the work of decoding frame by
 * frame. `raw` is told the bytes of the file, seek table included, as they pass.
 * @throws Fault `damaged` without a place; frame by frame it is found
 */
export async function* readThrough(
  path: string,
  raw: (bytes: Buffer) => void,
  unlock?: Unlock,
): AsyncGenerator<Buffer, void, undefined> {
  requireStrictNode();
  const file = await openArchiveFile(path, unlock);
  const decoder = createZstdDecompress({ chunkSize: streamBytes });
  const feeding = feed(file, decoder, raw);
  try {
    for await (const plain of decoder) {
      yield plain as Buffer;
      release(plain as Buffer);
    }
    await feeding;
  } catch (error) {
    if (error instanceof Fault || !/^(ZSTD_|ERR_|Z_)/.test((error as NodeJS.ErrnoException).code ?? '')) throw error;
    throw damaged(`The archive does not decode: ${reasonOf(error)}.`);
  } finally {
    decoder.destroy();
    await feeding.catch(() => undefined /* told above */);
    await file.close();
  }
}

/** Gives a file to the decoder piece by piece, out of a few buffers that are used again. */
async function feed(file: ArchiveFile, decoder: ZstdDecompress, raw: (bytes: Buffer) => void): Promise<void> {
  const spare: Buffer[] = [];
  try {
    while (!decoder.destroyed) {
      const buffer = spare.pop() ?? Buffer.allocUnsafeSlow(streamBytes);
      const bytesRead = await file.next(buffer, raw);
      if (bytesRead === 0) break;
      const piece = buffer.subarray(0, bytesRead);
      const takesMore = decoder.write(piece, () => spare.push(buffer));
      // One that has failed meanwhile says nothing any more.
      if (!takesMore && !decoder.destroyed) await drained(decoder);
    }
    decoder.end();
  } catch (error) {
    decoder.destroy(error as Error);
    throw error;
  }
}

function drained(decoder: ZstdDecompress): Promise<void> {
  return new Promise((resolve) => {
    const go = () => {
      decoder.off('drain', go).off('close', go);
      resolve();
    };
    decoder.on('drain', go).on('close', go);
  });
}

/**
 * Frees the memory of a decoded piece at once. Left to the garbage collector, it would be called once for every few, and
 * walk through all that there is each time.
 */
function release({ buffer, byteOffset, length }: Buffer): void {
  // The decoder goes on writing into one that is not used up, and small pieces that were joined lie in memory of others.
  if (buffer.byteLength === streamBytes && byteOffset + length === streamBytes) (buffer as ArrayBuffer).transfer(0);
}

let isStrict: boolean | undefined;

/** Some releases of Node 26 took a frame that is cut off for a whole one. Then no verification here would mean anything. */
function requireStrictNode(): void {
  isStrict ??= refusesCutOff();
  if (!isStrict)
    throw new Fault(
      'internal',
      'This release of Node takes damaged zstd frames for sound ones, so nothing is read with it.',
      {
        hint: 'Use the Node that LeverEdge brings along.',
      },
    );
}

function refusesCutOff(): boolean {
  const sample = zstdCompressSync(Buffer.from('a frame that is long enough to be cut'.repeat(20)), {
    params: { [constants.ZSTD_c_checksumFlag]: 1 },
  });
  const flipped = Buffer.from(sample);
  flipped.writeUInt8(flipped.readUInt8(flipped.length - 1) ^ 1, flipped.length - 1);
  return [sample.subarray(0, -1), sample.subarray(0, sample.length >> 1), flipped].every((bad) => {
    try {
      zstdDecompressSync(bad);
      return false;
    } catch {
      return true; // As it should be.
    }
  });
}
