import { damaged } from '../tar/damage.ts';

/** One zstd frame: bytes in the file and bytes of the tar stream in it. */
export type Frame = { compressed: number; plain: number };

/** The seek table of zstd's seekable format (contrib/seekable_format in zstd), which `zstd -d` skips. */
const skippableMagic = 0x184d2a5e;
/** Another of the numbers that stand for skippable frames, so that nobody takes it for a seek table. */
const paddingMagic = 0x184d2a50;
const footerMagic = 0x8f92eab1;
const skippableHeaderBytes = 8;
export const footerBytes = 9;
const entryBytes = 8;
/** 8 MiB each: 8 TiB. */
const maxFrames = 1_048_576;

/** The skippable frame that stands behind the last frame. */
export function seekTableOf(frames: readonly Frame[]): Buffer {
  const content = frames.length * entryBytes + footerBytes;
  const table = Buffer.alloc(skippableHeaderBytes + content);
  table.writeUInt32LE(skippableMagic, 0);
  table.writeUInt32LE(content, 4);
  let at = skippableHeaderBytes;
  for (const { compressed, plain } of frames) {
    table.writeUInt32LE(compressed, at);
    table.writeUInt32LE(plain, at + 4);
    at += entryBytes;
  }
  table.writeUInt32LE(frames.length, at);
  table.writeUInt8(0, at + 4);
  table.writeUInt32LE(footerMagic, at + 5);
  return table;
}

/** A skippable frame of that many bytes, at least eight, with nothing in it. */
export function paddingFrame(bytes: number): Buffer {
  const frame = Buffer.alloc(bytes);
  frame.writeUInt32LE(paddingMagic, 0);
  frame.writeUInt32LE(bytes - skippableHeaderBytes, 4);
  return frame;
}

/** How many bytes the whole table has, from its last bytes; undefined when there is none. */
export function seekTableBytes(footer: Buffer): number | undefined {
  if (footer.length !== footerBytes || footer.readUInt32LE(5) !== footerMagic || footer.readUInt8(4) !== 0)
    return undefined;
  const count = footer.readUInt32LE(0);
  return count > maxFrames ? undefined : skippableHeaderBytes + count * entryBytes + footerBytes;
}

/**
 * Parses a whole table. The frames must fill the file up to the table exactly.
 * @throws Fault `damaged`
 */
export function parseSeekTable(table: Buffer, fileBytes: number, maxPlain: number): Frame[] {
  if (table.readUInt32LE(0) !== skippableMagic || table.readUInt32LE(4) !== table.length - skippableHeaderBytes)
    throw damaged('The seek table of the archive is damaged.');
  const frames: Frame[] = [];
  let total = 0;
  for (let at = skippableHeaderBytes; at < table.length - footerBytes; at += entryBytes) {
    const [compressed, plain] = [table.readUInt32LE(at), table.readUInt32LE(at + 4)];
    if (compressed === 0 || plain === 0 || plain > maxPlain) throw damaged('The seek table of the archive is damaged.');
    frames.push({ compressed, plain });
    total += compressed;
  }
  if (total !== fileBytes - table.length)
    throw damaged('The seek table of the archive does not fit its length: something is missing, or there twice.');
  return frames;
}
