import { createHash, hash } from 'node:crypto';
import { Fault } from '../../base/fault.ts';
import { listName } from '../archive/archive-builder.ts';
import type { Unlock } from '../archive/archive-file.ts';
import { mismatch, pathOf } from '../archive/file-list.ts';
import { type FrameReader, readThrough } from '../archive/frame-reader.ts';
import type { Listed } from '../archive/listed.ts';
import type { Manifest } from '../archive/manifest.ts';
import { MemberHash } from '../archive/member-hash.ts';
import { named } from '../archive/verify-archive.ts';
import type { BytePath } from '../byte-path.ts';
import type { Progress } from '../progress.ts';
import { damaged } from '../tar/damage.ts';
import type { TarEntry, TarHandler } from '../tar/entry.ts';
import { TarReader } from '../tar/reader.ts';
import { makeRules } from '../tar/rules.ts';
import { storedBytes } from '../tar/sparse-map.ts';
import { endOfArchive, headerOf, paddingOf } from '../tar/writer.ts';
import { type Extraction, extractInto } from './run-tar.ts';
import type { Destination } from './selection.ts';

type Stage = {
  file: string;
  frames: FrameReader;
  manifest: Manifest;
  list: readonly Listed[];
  route(path: BytePath): Destination | undefined;
  /** Everything is read, so that the digest of the whole file is compared too; else only what is wanted. */
  whole: boolean;
  wanted: readonly number[];
  progress?: Progress | undefined;
  /** What opens the archive, where it is encrypted. */
  unlock: Unlock | undefined;
};

/** Members that follow each other: from one place in the list up to, not including, another. */
type Stretch = { from: number; to: number };

/**
 * Reads an archive and writes what is wanted of it into stage folders, which exist and are empty. Each member is judged,
 * compared with its line in the list, and only then written anew for tar; its contents are compared as they pass.
 * @throws Fault `damaged` naming the member; then what is staged is of no use
 */
export async function stageMembers(stage: Stage): Promise<void> {
  const extractions = new Map<string, Extraction>();
  const to = (folder: string) => {
    const known = extractions.get(folder);
    if (known !== undefined) return known;
    const made = extractInto(folder);
    extractions.set(folder, made);
    return made;
  };
  try {
    if (stage.whole) await readAll(stage, to, extractions);
    else for (const stretch of stretchesOf(stage.wanted)) await readStretch(stage, stretch, to, extractions);
    for (const each of extractions.values()) {
      each.write(endOfArchive);
      await each.finish();
    }
  } catch (error) {
    await Promise.all([...extractions.values()].map((each) => each.stop()));
    throw await named(error, stage.file, stage.manifest, stage.unlock);
  }
}

/** Bytes that are judged before tar is given what waits for it: it shall not stand still meanwhile. */
const sliceBytes = 256 * 1024;

type Outputs = ReadonlyMap<string, Extraction>;

async function readAll(stage: Stage, to: (folder: string) => Extraction, outputs: Outputs): Promise<void> {
  const { manifest } = stage;
  const hash = createHash('sha256');
  const members = new Members(stage, 0, to);
  const reader = new TarReader(members, { dialect: 'own' });
  for await (const plain of readThrough(stage.file, (raw) => hash.update(raw), stage.unlock)) {
    for (let at = 0; at < plain.length; at += sliceBytes) {
      reader.push(plain.subarray(at, at + sliceBytes));
      members.tell(stage.progress);
      for (const output of outputs.values()) await output.ready();
      await new Promise((resume) => setImmediate(resume));
    }
  }
  reader.end();
  members.requireAll(manifest.list.entries);
  if (hash.digest('hex') !== manifest.archive.sha256)
    throw new Fault(
      'damaged',
      'The archive is not the one that was written: its digest is not what its manifest says.',
    );
}

async function readStretch(
  stage: Stage,
  { from, to: end }: Stretch,
  to: (folder: string) => Extraction,
  outputs: Outputs,
): Promise<void> {
  const { frames, list, manifest } = stage;
  const start = (list[from] as Listed).offset;
  const stop = list[end]?.offset ?? manifest.list.offset;
  const members = new Members(stage, from, to);
  const reader = new TarReader(members, { dialect: 'own' });
  const first = frames.frameAt(start);
  for await (const { index, plain } of frames.read(first, frames.frameAt(stop - 1) + 1)) {
    const base = frames.startOf(index);
    reader.push(plain.subarray(Math.max(0, start - base), Math.min(plain.length, stop - base)));
    members.tell(stage.progress);
    for (const output of outputs.values()) await output.ready();
  }
  members.requireAll(end);
}

const maxMemberBytes = 16 * 1024 * 1024;

/** A small member in memory, compared with its line in the list. @throws Fault `not-found`, `damaged` */
export async function readMember(
  { frames, list, manifest }: { frames: FrameReader; list: readonly Listed[]; manifest: Manifest },
  name: string,
): Promise<Buffer> {
  const from = list.findIndex((listed) => pathOf(listed) === name);
  const listed = list[from];
  if (listed === undefined || (listed.size ?? 0) > maxMemberBytes)
    throw new Fault('not-found', `The backup has no ${name}, or it is far too large.`);
  const start = listed.offset;
  const stop = list[from + 1]?.offset ?? manifest.list.offset;
  const pieces: Buffer[] = [];
  const reader = new TarReader(
    { entry: () => undefined, data: (chunk) => void pieces.push(Buffer.from(chunk)), end: () => undefined },
    { dialect: 'own' },
  );
  const first = frames.frameAt(start);
  for await (const { index, plain } of frames.read(first, frames.frameAt(stop - 1) + 1)) {
    const base = frames.startOf(index);
    reader.push(plain.subarray(Math.max(0, start - base), Math.min(plain.length, stop - base)));
  }
  const bytes = Buffer.concat(pieces);
  if (hash('sha256', bytes) !== listed.sha256) throw damaged('Its contents are not what was written.', pathOf(listed));
  return bytes;
}

function stretchesOf(wanted: readonly number[]): Stretch[] {
  const stretches: Stretch[] = [];
  for (const index of wanted) {
    const last = stretches.at(-1);
    if (last !== undefined && last.to === index) last.to++;
    else stretches.push({ from: index, to: index + 1 });
  }
  return stretches;
}

/** Judges members and hands those that are wanted to tar. */
class Members implements TarHandler {
  readonly #stage: Stage;
  readonly #to: (folder: string) => Extraction;
  readonly #rules: ReturnType<typeof makeRules>;
  readonly #hash = new MemberHash();
  #next: number;
  /** Where in the tar stream the reader began. */
  readonly #base: number;
  #entry: TarEntry | undefined;
  #listed: Listed | undefined;
  #output: Extraction | undefined;
  #bytes = 0;
  #files = 0;

  constructor(stage: Stage, from: number, to: (folder: string) => Extraction) {
    this.#stage = stage;
    this.#to = to;
    this.#next = from;
    this.#base = from === 0 ? 0 : (stage.list[from] as Listed).offset;
    const { list } = stage.manifest;
    const bytes = stage.list.reduce((sum, { size = 0 }) => sum + size, list.bytes);
    this.#rules = makeRules(
      { entries: list.entries + 1, bytes },
      // Of a part, the folders above are not read.
      { implicitParents: !stage.whole },
    );
  }

  entry(entry: TarEntry, { start }: { start: number }): void {
    const { list, route, manifest } = this.#stage;
    this.#entry = entry;
    this.#output = undefined;
    this.#hash.begin(entry);
    const offset = this.#base + start;
    if (entry.path === listName && offset === manifest.list.offset) {
      this.#listed = undefined;
      return;
    }
    const listed = list[this.#next++];
    if (listed === undefined) throw damaged('It is not in the list of files.', entry.path);
    const why = mismatch(entry, offset, listed);
    if (why !== undefined) throw damaged(`It is not what was written: ${why}.`, entry.path);
    this.#admit(entry);
    this.#listed = listed;
    const destination = route(entry.path);
    if (destination === undefined) return;
    this.#output = this.#to(destination.stageFolder);
    this.#output.write(headerOf(renamed(entry, destination, route)));
  }

  data(chunk: Buffer): void {
    this.#hash.data(chunk);
    this.#output?.write(chunk);
    this.#bytes += chunk.length;
  }

  end(): void {
    const { kind, path, size, segments } = this.#entry as TarEntry;
    const listed = this.#listed;
    if (kind !== 'file' || listed === undefined) return;
    this.#files++;
    if (this.#hash.end() !== listed.sha256) throw damaged('Its contents are not what was written.', path);
    this.#output?.write(paddingOf(storedBytes(size, segments)));
  }

  tell(progress: Progress | undefined): void {
    const { whole, manifest } = this.#stage;
    const totalBytes = whole ? manifest.totals.stored_bytes : undefined;
    progress?.({ phase: 'stage', doneBytes: this.#bytes, totalBytes, doneFiles: this.#files });
  }

  requireAll(end: number): void {
    if (this.#next !== end) throw new Fault('damaged', 'The archive ends before all members of its list were met.');
  }

  #admit(entry: TarEntry): void {
    // Of a part, a hard link's file was judged with the selection.
    if (this.#stage.whole || entry.kind !== 'hardlink') this.#rules.admit(entry);
  }
}

function renamed(entry: TarEntry, to: Destination, route: (path: BytePath) => Destination | undefined): TarEntry {
  const link = entry.kind === 'hardlink' ? (route(entry.link)?.name ?? entry.link) : entry.link;
  return { ...entry, path: to.name, link };
}
