import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { rfc3339 } from '../../base/clock.ts';
import { Fault } from '../../base/fault.ts';
import { type ArchiveBuilder, buildArchive, folderEntry, plainFile } from '../archive/archive-builder.ts';
import { openFrameWriter } from '../archive/frame-writer.ts';
import type { Manifest, ManifestPostgres } from '../archive/manifest.ts';
import { type BytePath, bytePathOf } from '../byte-path.ts';
import type { FileKey } from '../encryption/age-header.ts';
import type { MachineFacts } from '../machine/facts.ts';
import { dumpDatabases, type FoundDatabase } from '../postgres/dump.ts';
import type { Progress } from '../progress.ts';
import { readWithTar, type TarReport } from '../source/gnu-tar.ts';
import { n8nKeysIn } from '../source/n8n-key.ts';
import type { Target } from '../target.ts';
import { type CopiedDatabase, copyDatabases, ownTexts } from './own-parts.ts';
import { pourTar } from './pour-tar.ts';
import type { Survey, SurveyedTree } from './survey.ts';

const pieceBytes = 1024 * 1024;

type Work = Pick<Manifest, 'reason' | 'set' | 'tool' | 'host'> & {
  target: Target;
  cause?: string | undefined;
  previousManifest: string | null;
  progress?: Progress | undefined;
  name: string;
  /** A folder of our own for copies of databases. */
  work: string;
  partial: string;
  startedMs: number;
  surveyed: Survey;
  servers: readonly FoundDatabase[];
  only?: 'db' | undefined;
  machine: MachineFacts;
  /** An executable that a bare machine begins with. */
  program?: string | undefined;
  /** To encrypt it with. */
  key?: FileKey | undefined;
};

/** A manifest that lacks what is known only after the archive was read back. */
export type ArchiveDraft = {
  manifest: Omit<Manifest, 'public_key' | 'archive'> & { archive: Omit<Manifest['archive'], 'sha256'> };
  changed: string[];
};

/** Writes the whole archive under its temporary name, on disk when it returns. */
export async function writeArchive(work: Work): Promise<ArchiveDraft> {
  const { surveyed, partial, startedMs, target, name } = work;
  const degraded = [...surveyed.degraded];
  const { databases, folder } = await copyDatabases(work, degraded);
  const frames = await openFrameWriter(partial, work.key);
  const seconds = Math.floor(startedMs / 1000);
  let builder: ArchiveBuilder | undefined;
  try {
    builder = buildArchive(frames, join(folder, 'FILES.ndjson'), seconds);
    ownMembers(builder, work, databases, seconds);
    if (work.program !== undefined) await pourProgram(builder, frames.ready, work.program, seconds);
    const dumpNotes: string[] = [];
    const postgres = await dumpServers(builder, frames.ready, work, dumpNotes);
    const reports: TarReport[] = [];
    if (databases.length > 0) reports.push(await pourDatabases(builder, frames.ready, folder));
    if (work.only === undefined) builder.add(folderEntry('files' as BytePath, seconds));
    for (const tree of work.only === undefined ? surveyed.trees : [])
      reports.push(await pourTree(builder, frames.ready, tree, work));
    const { written, list } = await builder.finish();
    const { digests } = builder;
    const n8nKeys = n8nKeysIn(target.trees);
    degraded.push(...reports.flatMap(({ unreadable }) => unreadable.map((text) => `could not be read: ${text}`)));
    const manifest: ArchiveDraft['manifest'] = {
      format: 'leveredge-archive/1',
      name,
      target: target.name,
      created_at: rfc3339(startedMs),
      tool: work.tool,
      reason: work.reason,
      set: work.set,
      ...(work.cause === undefined ? {} : { cause: work.cause }),
      ...(work.only === undefined ? {} : { contents: 'databases' as const }),
      degraded,
      notes: [...surveyed.notes, ...dumpNotes],
      archive: written,
      list,
      totals: { ...builder.totals },
      trees: target.trees.map(({ name: tree, root }) => ({ name: tree, root })),
      databases: databases.map((each) => ({ ...each, sha256: digests.get(bytePathOf(each.member)) ?? '' })),
      ...(postgres.length > 0 ? { postgres } : {}),
      ...(n8nKeys.length > 0 ? { n8n_keys: n8nKeys } : {}),
      host: work.host,
      previous_manifest_sha256: work.previousManifest,
    };
    return { manifest, changed: reports.flatMap(({ changed }) => changed) };
  } finally {
    builder?.discard();
    await frames.abort();
  }
}

function ownMembers(builder: ArchiveBuilder, work: Work, databases: readonly CopiedDatabase[], seconds: number): void {
  const recipe = 'recipe/';
  let hasRecipe = false;
  for (const [path, text] of ownTexts(work, databases)) {
    if (path.startsWith(recipe) && !hasRecipe) {
      builder.add(folderEntry('recipe' as BytePath, seconds));
      hasRecipe = true;
    }
    const bytes = Buffer.from(text);
    builder.add(plainFile(path as BytePath, bytes.length, seconds), bytes);
  }
}

/** `program/gaia`. What is written while it is replaced would not fit its header: it is opened once, and read to that size. */
async function pourProgram(
  builder: ArchiveBuilder,
  ready: () => Promise<void> | undefined,
  file: string,
  seconds: number,
): Promise<void> {
  const handle = await open(file);
  try {
    const { size } = await handle.stat();
    builder.add(folderEntry('program' as BytePath, seconds));
    builder.begin({ ...plainFile('program/gaia' as BytePath, size, seconds), mode: 0o755 });
    for (let at = 0; at < size; ) {
      const { bytesRead, buffer } = await handle.read(Buffer.allocUnsafe(Math.min(pieceBytes, size - at)), 0, null, at);
      if (bytesRead === 0) throw new Fault('unavailable', `${file} became shorter while it was read.`);
      builder.data(buffer.subarray(0, bytesRead));
      at += bytesRead;
      await ready();
    }
    builder.end();
  } finally {
    await handle.close();
  }
}

async function dumpServers(
  builder: ArchiveBuilder,
  ready: () => Promise<void> | undefined,
  { servers, startedMs, progress }: Work,
  notes: string[],
): Promise<ManifestPostgres[]> {
  if (servers.length === 0) return [];
  const seconds = Math.floor(startedMs / 1000);
  builder.add(folderEntry('db' as BytePath, seconds));
  const tell = (bytes: number) =>
    progress?.({ phase: 'dump databases', doneBytes: bytes, totalBytes: undefined, doneFiles: 0 });
  return dumpDatabases(servers, { builder, ready, seconds, progress: tell }, notes);
}

async function pourDatabases(
  builder: ArchiveBuilder,
  ready: () => Promise<void> | undefined,
  folder: string,
): Promise<TarReport> {
  const run = readWithTar({ root: folder, members: ['sqlite' as BytePath], leaveOut: [] });
  return pourTar(run, { builder, ready, rename: (path) => path, isLeftOut: () => false, progress: () => undefined });
}

async function pourTree(
  builder: ArchiveBuilder,
  ready: () => Promise<void> | undefined,
  { tree, root, included, leaveOut }: SurveyedTree,
  { surveyed, progress }: Work,
): Promise<TarReport> {
  const prefix = `files/${tree.name}`;
  const members = ['.' as BytePath, ...included.map((path) => `./${path}` as BytePath)];
  const report = await pourTar(readWithTar({ root, members, leaveOut }), {
    builder,
    ready,
    rename: (path) => (path === '.' ? prefix : `${prefix}/${path}`) as BytePath,
    isLeftOut: leftOutOf(leaveOut),
    progress: () =>
      progress?.({
        phase: 'write',
        doneBytes: builder.totals.bytes,
        totalBytes: surveyed.bytes,
        doneFiles: builder.totals.files,
      }),
  });
  return { ...report, changed: report.changed.filter((text) => !isFolderOfDatabase(text, surveyed)) };
}

/** A path that is left out, or lies below one that is. Members come folders first. */
function leftOutOf(paths: readonly BytePath[]): (path: BytePath) => boolean {
  const dropped = new Set<string>(paths);
  return (path) => {
    if (dropped.has(path)) return true;
    const slash = path.lastIndexOf('/');
    if (slash < 0 || !dropped.has(path.slice(0, slash))) return false;
    dropped.add(path);
    return true;
  };
}

/** SQLite makes and removes journals beside a database in use, which are not part of the backup. */
function isFolderOfDatabase(text: string, { databases }: Survey): boolean {
  const folder = text.replace(/: file changed as we read it$/, '');
  return databases.some(({ path, tree }) => {
    const slash = path.lastIndexOf('/');
    return tree !== null && folder === (slash < 0 ? '.' : path.slice(0, slash));
  });
}
