import { Fault } from '../../base/fault.ts';
import { type BytePath, bytePath, shownPath } from '../byte-path.ts';
import { damaged } from './damage.ts';
import { blockBytes, type TarEntry, type TarHandler } from './entry.ts';
import { paddingBytes } from './fields.ts';
import { type Dialect, type Header, headerFrom, kindOf, type LongNames, parseHeader } from './header.ts';
import { maxPaxBytes, type PaxRecords, parsePax } from './pax.ts';
import { sparseMapReader, storedBytes } from './sparse-map.ts';
import { headerOf } from './writer.ts';

type ReaderOptions = {
  /** `own`: what our writer writes, byte for byte. `gnu`: what GNU tar makes of a disk. `old`: archives of older tools. */
  dialect: Dialect;
  /** Told of devices and fifos in `gnu`, which are then passed over. Without it, and in the others, they are an error. */
  onForbidden?: (path: BytePath, what: string) => void;
};

type State = 'header' | 'extended' | 'long' | 'map' | 'data' | 'padding' | 'one zero block' | 'end';

const zeros = Buffer.alloc(blockBytes);
/** Names longer than this cannot be opened, PATH_MAX with its NUL being 4,096. */
const maxLongName = 8192;
/** Headers with more than this, which hold attributes or maps, are rare. */
const usualRawBytes = 8192;

/**
 * Reads a tar stream that is pushed into it in pieces of any size, and tells a handler what is in it. Contents are handed
 * on without being copied. Whatever it does not understand wholly is an error; nothing is guessed and nothing skipped.
 * Paths are cleaned of a leading `./` and a trailing `/`, and not judged further: see rules.ts.
 * @throws Fault `damaged` from `push` and `end`, with `member` where it is known and `offset`, the byte of the stream where
 * the member begins. What was thrown once is thrown again: after a failure the stream has no end that counts.
 */
export class TarReader {
  readonly #handler: TarHandler;
  readonly #options: ReaderOptions;
  #state: State = 'header';
  /** Bytes of the stream that are dealt with. */
  #position = 0;
  /** Where the member that is being read began. */
  #start = 0;
  /** Bytes still to come in the states that have a length. */
  #left = 0;
  #padding = 0;
  /** A block, or the body of an extended header, that came in pieces. */
  #pieces: Buffer[] = [];
  /** In `own`, the bytes of the headers that are being read, to compare with what our writer would write. */
  #raw: Buffer = Buffer.allocUnsafe(usualRawBytes);
  #rawBytes = 0;
  #pax: PaxRecords | undefined;
  #long: LongNames = {};
  #longKind: 'path' | 'link' = 'path';
  #header: Header | undefined;
  #entry: TarEntry | undefined;
  #map: ReturnType<typeof sparseMapReader> | undefined;
  #mapBytes = 0;
  #failure: { error: unknown } | undefined;

  constructor(handler: TarHandler, options: ReaderOptions) {
    this.#handler = handler;
    this.#options = options;
  }

  push(chunk: Buffer): void {
    if (this.#failure !== undefined) throw this.#failure.error;
    try {
      let at = 0;
      while (at < chunk.length) {
        const used = this.#step(at === 0 ? chunk : chunk.subarray(at));
        at += used;
        this.#position += used;
      }
    } catch (error) {
      throw this.#failed(error);
    }
  }

  /** The stream is over. */
  end(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
    if (this.#state === 'end') return;
    const member = this.#entry?.path ?? this.#header?.path;
    const where = this.#state === 'header' || this.#state === 'one zero block' ? 'after a member' : 'within a member';
    throw this.#failed(
      damaged(`The archive ends ${where}, before its own end mark: it is cut off.`, member as BytePath | undefined),
    );
  }

  /** The failure with the place where it is, which stays. */
  #failed(error: unknown): unknown {
    let told = error;
    if (error instanceof Fault && error.code === 'damaged' && error.extra.offset === undefined) {
      const path = this.#entry?.path ?? this.#header?.path;
      const member = error.extra.member ?? (path ? shownPath(path as BytePath) : undefined);
      const offset = this.#state === 'one zero block' || this.#state === 'end' ? this.#position : this.#start;
      const sentence = error.extra.member === undefined ? `${error.message} (byte ${offset})` : error.message;
      const extra = { ...error.extra, ...(member === undefined ? {} : { member }), offset };
      told = new Fault('damaged', sentence, { hint: error.hint, extra, cause: error.cause });
    }
    this.#failure = { error: told };
    return told;
  }

  #step(chunk: Buffer): number {
    switch (this.#state) {
      case 'data':
        return this.#data(chunk);
      case 'padding':
        return this.#fill(chunk, () => this.#finish());
      case 'extended':
      case 'long':
        return this.#body(chunk);
      case 'map':
        return this.#readMap(chunk);
      case 'end':
        return this.#requireZeros(chunk, 'Something lies behind the end mark of the archive.');
      default:
        return this.#block(chunk);
    }
  }

  /** Collects `#left` bytes; undefined until they are there. */
  #collect(chunk: Buffer): Buffer | undefined {
    const piece = chunk.length > this.#left ? chunk.subarray(0, this.#left) : chunk;
    this.#left -= piece.length;
    if (this.#left === 0 && this.#pieces.length === 0) return piece;
    // A copy, because whoever pushes may use the buffer again.
    this.#pieces.push(Buffer.from(piece));
    if (this.#left > 0) return undefined;
    const whole = Buffer.concat(this.#pieces);
    this.#pieces = [];
    return whole;
  }

  #block(chunk: Buffer): number {
    if (this.#left === 0) this.#left = blockBytes;
    const before = this.#left;
    const block = this.#collect(chunk);
    const used = before - this.#left;
    if (block === undefined) return used;
    if (block.equals(zeros)) this.#zeroBlock();
    else {
      if (this.#state === 'one zero block') throw damaged('A block of zeros stands between two members.');
      this.#headerBlock(block, this.#position + used - blockBytes);
    }
    return used;
  }

  #zeroBlock(): void {
    if (this.#pax !== undefined || this.#long.path !== undefined || this.#long.link !== undefined)
      throw damaged('The archive ends with an extended header that belongs to nothing.');
    this.#state = this.#state === 'one zero block' ? 'end' : 'one zero block';
  }

  #headerBlock(block: Buffer, at: number): void {
    const { dialect } = this.#options;
    const isContinued = this.#pax !== undefined || this.#long.path !== undefined || this.#long.link !== undefined;
    if (!isContinued) {
      this.#start = at;
      this.#rawBytes = 0;
    }
    const header = parseHeader(block, dialect);
    if (dialect === 'own') this.#keep(block);
    if (header.type === 'x') this.#beginExtended(header);
    else if ((header.type === 'L' || header.type === 'K') && dialect === 'old') this.#beginLong(header);
    else this.#beginMember(header);
  }

  #keep(bytes: Buffer): void {
    const needed = this.#rawBytes + bytes.length;
    if (needed > this.#raw.length) {
      const larger = Buffer.allocUnsafe(2 * needed);
      this.#raw.copy(larger, 0, 0, this.#rawBytes);
      this.#raw = larger;
    }
    bytes.copy(this.#raw, this.#rawBytes);
    this.#rawBytes = needed;
  }

  #beginMember(header: Header): void {
    this.#header = header;
    const kind = kindOf(header, this.#pax, this.#long, this.#options.dialect);
    if (kind === undefined) this.#beginForbidden(header);
    else if (this.#pax?.sparse !== undefined) this.#beginMap(header, kind);
    else this.#beginEntry(headerFrom(header, kind, this.#pax, this.#long), this.#pax?.size ?? header.size);
  }

  #beginExtended(header: Header): void {
    if (this.#pax !== undefined) throw damaged('Two extended headers stand before one member.');
    if (header.size === 0 || header.size > maxPaxBytes)
      throw damaged(`An extended header has ${header.size} bytes, where 1 to ${maxPaxBytes} are allowed.`);
    this.#left = header.size + paddingBytes(header.size);
    this.#padding = paddingBytes(header.size);
    this.#state = 'extended';
  }

  #beginLong(header: Header): void {
    this.#longKind = header.type === 'L' ? 'path' : 'link';
    if (this.#long[this.#longKind] !== undefined || header.size === 0 || header.size > maxLongName)
      throw damaged('A long name is given twice, or is longer than any path.');
    this.#left = header.size + paddingBytes(header.size);
    this.#padding = paddingBytes(header.size);
    this.#state = 'long';
  }

  #body(chunk: Buffer): number {
    const before = this.#left;
    const whole = this.#collect(chunk);
    if (whole === undefined) return before - this.#left;
    if (this.#options.dialect === 'own') this.#keep(whole);
    const body = whole.subarray(0, whole.length - this.#padding);
    this.#requireZeros(whole.subarray(body.length), 'An extended header is not filled up with zeros.');
    if (this.#state === 'extended') this.#pax = parsePax(body);
    else this.#long[this.#longKind] = longName(body);
    this.#state = 'header';
    return before;
  }

  #beginMap(header: Header, kind: TarEntry['kind']): void {
    const { sparse } = this.#pax as PaxRecords;
    if (kind !== 'file' || sparse === undefined) throw damaged('Something that is no file is said to be sparse.');
    this.#map = sparseMapReader(sparse.realSize);
    this.#mapBytes = 0;
    this.#left = this.#pax?.size ?? header.size;
    this.#state = 'map';
  }

  #readMap(chunk: Buffer): number {
    const map = this.#map as ReturnType<typeof sparseMapReader>;
    const piece = chunk.length > this.#left ? chunk.subarray(0, this.#left) : chunk;
    const used = map.take(piece);
    if (this.#options.dialect === 'own') this.#keep(piece.subarray(0, used));
    this.#mapBytes += used;
    this.#left -= used;
    const segments = map.segments();
    if (segments === undefined) {
      if (this.#left === 0) throw damaged('The map of a sparse file is longer than what is stored of it.');
      return used;
    }
    const { size } = this.#header as Header;
    const stored = (this.#pax?.size ?? size) - this.#mapBytes;
    const entry = { ...headerFrom(this.#header as Header, 'file', this.#pax, this.#long), segments };
    if (storedBytes(entry.size, segments) !== stored)
      throw damaged('The map of a sparse file does not fit what is stored of it.', entry.path);
    this.#beginEntry(entry, stored);
    return used;
  }

  #beginEntry(entry: TarEntry, stored: number): void {
    if (entry.kind !== 'file' && stored !== 0) throw damaged('Something that is no file has contents.', entry.path);
    if (this.#options.dialect === 'own' && !headerOf(entry).equals(this.#raw.subarray(0, this.#rawBytes)))
      throw damaged('Its header is not as LeverEdge writes one.', entry.path);
    this.#pax = undefined;
    this.#long = {};
    this.#map = undefined;
    this.#entry = entry;
    this.#handler.entry(entry, { start: this.#start });
    this.#padding = paddingBytes(stored);
    this.#left = stored;
    if (stored > 0) this.#state = 'data';
    else this.#finish();
  }

  #beginForbidden(header: Header): void {
    const { path } = headerFrom(header, 'file', this.#pax, this.#long);
    const { dialect, onForbidden } = this.#options;
    if (dialect !== 'gnu' || !header.isSpecial || onForbidden === undefined)
      throw damaged(`It is ${header.typeName}, which no backup holds.`, path);
    if ((this.#pax?.size ?? header.size) !== 0) throw damaged('Something that is no file has contents.', path);
    this.#forget();
    onForbidden(path, header.typeName);
  }

  /** The next header begins a member of its own. */
  #forget(): void {
    this.#state = 'header';
    this.#header = undefined;
    this.#entry = undefined;
    this.#pax = undefined;
    this.#long = {};
  }

  #data(chunk: Buffer): number {
    if (chunk.length < this.#left) {
      this.#left -= chunk.length;
      this.#handler.data(chunk);
      return chunk.length;
    }
    const used = this.#left;
    this.#left = 0;
    this.#handler.data(used === chunk.length ? chunk : chunk.subarray(0, used));
    if (this.#padding === 0) this.#finish();
    else {
      this.#left = this.#padding;
      this.#state = 'padding';
    }
    return used;
  }

  #fill(chunk: Buffer, then: () => void): number {
    const used = Math.min(chunk.length, this.#left);
    this.#requireZeros(chunk.subarray(0, used), 'Its last block is not filled up with zeros.');
    this.#left -= used;
    if (this.#left === 0) then();
    return used;
  }

  #requireZeros(chunk: Buffer, complaint: string): number {
    for (let at = 0; at < chunk.length; at += blockBytes) {
      const piece = chunk.subarray(at, at + blockBytes);
      if (!piece.equals(piece.length === blockBytes ? zeros : zeros.subarray(0, piece.length)))
        throw damaged(complaint, this.#state === 'padding' ? this.#entry?.path : undefined);
    }
    return chunk.length;
  }

  #finish(): void {
    this.#forget();
    this.#handler.end();
  }
}

/** GNU's long names end with a NUL. */
function longName(body: Buffer): string {
  const end = body.indexOf(0);
  if (end <= 0 || end !== body.length - 1) throw damaged('A long name is none.');
  return bytePath(body.subarray(0, end));
}
