import { lstatSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { pathOf } from '../archive/file-list.ts';
import type { Listed } from '../archive/listed.ts';
import type { Manifest, ManifestSnapshot } from '../archive/manifest.ts';
import { type BytePath, bytePath, bytesOf } from '../byte-path.ts';
import { exactPattern } from '../restic/pattern.ts';
import type { ResticRepository } from '../restic/repository.ts';
import { runRestic } from '../restic/run-restic.ts';
import { withLongPath } from '../source/long-path.ts';
import { damaged } from '../tar/damage.ts';
import { keepTime } from './keep-time.ts';
import { mendLinks } from './mend-links.ts';
import type { BackupSource, StageWanted } from './open-backup.ts';

/** In a stage folder, while restic writes into it. */
const fetchFolder = '.restic';

/** The contents of a snapshot: restic fetches and compares them. */
export function snapshotSource(at: ResticRepository, manifest: Manifest, list: readonly Listed[]): BackupSource {
  const snapshot = manifest.snapshot as ManifestSnapshot;
  return {
    stage: (wanted) => stageSnapshot(at, snapshot, wanted),
    async member(name) {
      if (!list.some((listed) => pathOf(listed) === name)) throw damaged(`The backup has no ${name}.`);
      const pieces: Buffer[] = [];
      const out = (piece: Buffer) => void pieces.push(piece);
      await runRestic(at, ['dump', snapshot.id, join(snapshot.set, name)], { out, reads: true });
      return Buffer.concat(pieces);
    },
    close: async () => undefined,
  };
}

type Top = { member: BytePath; root: string; path: BytePath; to: StageWanted['selection'][number]['to'] };

/** One restic for each stage folder, which is on the file system that its part belongs to. */
async function stageSnapshot(at: ResticRepository, snapshot: ManifestSnapshot, wanted: StageWanted): Promise<void> {
  const byFolder = Map.groupBy(topsOf(snapshot, wanted), ({ to }) => to.stageFolder);
  const { progress, selection } = wanted;
  const total = selection.reduce((sum, { listed }) => sum + (listed.size ?? 0), 0);
  let done = 0;
  for (const [stageFolder, tops] of byFolder) {
    progress?.({ phase: 'stage', doneBytes: done, totalBytes: total, doneFiles: 0 });
    const fetched = join(stageFolder, fetchFolder);
    const include = tops.flatMap(({ root, path }) => ['--include', exactPattern(root, path, { inFile: false })]);
    await runRestic(at, ['restore', snapshot.id, '--target', fetched, ...include], { reads: true });
    // The set may lie within a tree that is restored: taken out of it first.
    const [ours, theirs] = [
      tops.filter(({ root }) => root === snapshot.set),
      tops.filter(({ root }) => root !== snapshot.set),
    ];
    for (const top of ours) moveInto(top, fetched, stageFolder);
    await removeKeepingTime(join(fetched, dirname(dirname(dirname(snapshot.set)))));
    for (const top of theirs) moveInto(top, fetched, stageFolder);
    rmSync(fetched, { recursive: true, force: true });
    done += selection.reduce(
      (sum, { listed, to }) => sum + (to.stageFolder === stageFolder ? (listed.size ?? 0) : 0),
      0,
    );
  }
  mendLinks(selection);
  requireNoOthers(wanted, byFolder);
}

/** The folder around it may be one of the target's, and keeps its time. */
async function removeKeepingTime(path: string): Promise<void> {
  if (lstatSync(path, { throwIfNoEntry: false }) === undefined) return;
  const around = dirname(path);
  const { mtimeNs } = lstatSync(around, { bigint: true });
  rmSync(path, { recursive: true, force: true });
  await keepTime(around, mtimeNs);
}

/** What is wanted and lies in no folder that is wanted. */
function topsOf({ set, roots }: ManifestSnapshot, { selection }: StageWanted): Top[] {
  const folders = new Set<string>();
  return selection.flatMap(({ listed, to }) => {
    const member = pathOf(listed);
    const isBelow = folders.has(member.slice(0, Math.max(member.lastIndexOf('/'), 0)));
    if (listed.type === 'directory') folders.add(member);
    if (isBelow) return [];
    const [, tree, below] = /^files\/([^/]+)(?:\/(.*))?$/s.exec(member) ?? [];
    if (tree === undefined) return [{ member, root: set, path: member, to }];
    const root = roots[tree];
    if (root === undefined) throw damaged('The manifest does not say where it lies in the repository.', member);
    return [{ member, root, path: (below ?? '') as BytePath, to }];
  });
}

function moveInto({ member, root, path, to }: Top, fetched: string, stageFolder: string): void {
  const whole = Buffer.concat([Buffer.from(`${fetched}${root}`), Buffer.from(path === '' ? '' : '/'), bytesOf(path)]);
  const target = Buffer.concat([Buffer.from(`${stageFolder}/`), bytesOf(to.name)]);
  if (lstatSync(whole, { throwIfNoEntry: false }) === undefined)
    throw damaged('The repository does not have it, and its list of files does.', member);
  mkdirSync(target.subarray(0, target.lastIndexOf(0x2f)), { recursive: true, mode: 0o700 });
  renameSync(whole, target);
}

/** What came out of the repository and is in no list was put there by somebody else. @throws Fault `damaged` */
function requireNoOthers({ selection }: StageWanted, byFolder: ReadonlyMap<string, readonly Top[]>): void {
  const known = Map.groupBy(selection, ({ to }) => to.stageFolder);
  for (const [stageFolder, tops] of byFolder) {
    const names = new Set((known.get(stageFolder) ?? []).map(({ to }) => to.name));
    const visit = (path: BytePath): void => {
      if (!names.has(path)) throw damaged('The repository has it, and its list of files has not.', path);
      const isFolder = withLongPath(stageFolder, path, (at) => lstatSync(at).isDirectory());
      if (!isFolder) return;
      for (const name of withLongPath(stageFolder, path, (at) => readdirSync(at, { encoding: 'buffer' })))
        visit(`${path}/${bytePath(name)}` as BytePath);
    };
    for (const { to } of tops) visit(to.name);
  }
}
