import { createHash } from 'node:crypto';
import {
  closeSync,
  copyFileSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { rfc3339 } from '../../base/clock.ts';
import { pathOf } from '../archive/file-list.ts';
import type { Listed } from '../archive/listed.ts';
import type { Manifest, ManifestDatabase, ManifestPostgres, ManifestSnapshot, Totals } from '../archive/manifest.ts';
import { filesBeside, pointerEnd, writeManifest, writeWhole } from '../archive/manifest-file.ts';
import { type BytePath, bytePathOf, shownPath } from '../byte-path.ts';
import { syncFolder } from '../disk.ts';
import { dumpDatabases } from '../postgres/dump.ts';
import { type HeldSnapshot, holdSnapshot } from '../restic/hold-snapshot.ts';
import { keepList } from '../restic/list-cache.ts';
import { expectedTree, type ListedFolder, listFolder } from '../restic/list-tree.ts';
import { forgetBackups } from '../restic/maintain.ts';
import { exactPattern } from '../restic/pattern.ts';
import { readAdded } from '../restic/read-added.ts';
import { type ResticRepository, wholeId } from '../restic/repository.ts';
import { digestOfFile, dumpsInto, writeOwn } from '../restic/set-folder.ts';
import { readSnapshotTree, type SnapshotTree } from '../restic/snapshot-tree.ts';
import {
  catalogueTag,
  databasesTag,
  forgetSnapshots,
  ownTag,
  type Taken,
  takeSnapshot,
  wholeTag,
} from '../restic/take-snapshot.ts';
import { mountsAt } from '../source/mounts.ts';
import { n8nKeysIn } from '../source/n8n-key.ts';
import { byHandScript } from './by-hand.ts';
import type { BackupToMake, MadeBackup } from './make-backup.ts';
import { type CopiedDatabase, copyDatabases, ownTexts } from './own-parts.ts';
import { byHandEnvironment } from './snapshot-environment.ts';
import type { SurveyedTree } from './survey.ts';

/** In the target's folder of backups, while one is made: what goes into the repository beside the target's own folders. */
export const setName = '.restic-set';
/** In there: what restic leaves out. */
const patternsName = 'excluded';
/** In there: what holds restic until the list is written. */
const gateName = 'gate';
/** How often everything is read anew because it changed meanwhile. */
export const maxAttempts = 3;

type Snapshot = {
  taken: Taken;
  /** What of the manifest comes from it. */
  facts: Pick<Manifest, 'degraded' | 'notes' | 'list' | 'totals' | 'databases' | 'postgres' | 'n8n_keys'> & {
    snapshot: ManifestSnapshot;
  };
  changed: string[];
};

/**
 * The same as an archive, in a repository of restic: the folders as they are, and beside them copies of the databases and what
 * says where all of it belongs. Here stays a text that says where it is, with its manifest.
 */
export async function makeSnapshot(backup: BackupToMake, at: ResticRepository): Promise<MadeBackup> {
  const { folder, into, name, signer } = backup;
  const work = join(folder, setName);
  const file = join(into, name);
  const partial = join(folder, `.${name}.partial`);
  let list = holdList(backup, at, work);
  try {
    let made = await take(backup, at, work);
    for (let attempt = 1; attempt < maxAttempts && made.changed.length > 0; attempt++) {
      // What forgets wants the repository for itself.
      await list.drop();
      await forgetSnapshots(at, [made.facts.snapshot.id]);
      list = holdList(backup, at, work);
      made = await take(backup, at, work);
    }
    // Beside what says where it is. Here only its last name makes it a backup; of a run that is killed meanwhile the repository
    // has one that nobody has read back, which a later fetch would bring.
    const reading = at.readBack ? readAdded(at, made.facts.snapshot.id, backup.startedMs) : Promise.resolve();
    reading.catch(() => undefined /* thrown below */);
    const text = pointerText(backup, made.facts, at);
    writeWhole(partial, text);
    const manifest = manifestOf(backup, made, text);
    writeManifest(file, manifest, signer);
    fillCatalogue(backup, { work, partial });
    await list.take();
    if (at.readBack) backup.progress?.({ phase: 'read back', doneBytes: 0, totalBytes: undefined, doneFiles: 0 });
    await reading.catch(async (error: unknown) => {
      await forgetBackups(at, [name]).catch(() => undefined /* The first failure is the one to tell. */);
      throw error;
    });
    keepList(backup.place, manifest.list.sha256, readFileSync(join(work, 'list', 'FILES.ndjson')));
    renameSync(partial, file);
    syncFolder(into);
    return { kind: manifest.degraded.length > 0 ? 'degraded' : 'sound', file, manifest };
  } catch (error) {
    const beside = filesBeside(file);
    for (const each of [beside.manifest, beside.signature]) rmSync(each, { force: true });
    throw error;
  } finally {
    await list.drop();
    rmSync(partial, { force: true });
    rmSync(work, { recursive: true, force: true });
  }
}

/** Makes the folder of what goes into the repository, with the place of the list, which restic waits for. */
function holdList({ target, name, host }: BackupToMake, at: ResticRepository, work: string): HeldSnapshot {
  rmSync(work, { recursive: true, force: true });
  mkdirSync(work, { mode: 0o700 });
  const list = join(work, 'list');
  mkdirSync(list, { mode: 0o700 });
  const tags = [ownTag, catalogueTag, `target=${target.name}`, `backup=${name}`];
  return holdSnapshot(at, { paths: [list], tags, host: host.name }, join(work, gateName));
}

async function take(backup: BackupToMake, at: ResticRepository, work: string): Promise<Snapshot> {
  const { surveyed, only, target, servers, startedMs, progress, host, name, program } = backup;
  const degraded = [...surveyed.degraded];
  const { databases: copied, folder: set } = await copyDatabases({ surveyed, work, progress }, degraded);
  const trees = only === undefined ? surveyed.trees : [];
  const roots = Object.fromEntries(trees.map(({ tree, root }) => [tree.name, root]));
  const snapshot = { id: null, set, roots, environment: byHandEnvironment(at) };
  for (const [path, text] of ownTexts({ ...backup, snapshot }, copied)) writeOwn(set, path, text);
  const notes = [...surveyed.notes];
  const tell = (bytes: number) =>
    progress?.({ phase: 'dump databases', doneBytes: bytes, totalBytes: undefined, doneFiles: 0 });
  const into = {
    builder: dumpsInto(set),
    ready: () => undefined,
    seconds: Math.floor(startedMs / 1000),
    progress: tell,
  };
  const postgres = await dumpDatabases(servers, into, notes);
  const databases: ManifestDatabase[] = [];
  for (const each of copied) databases.push({ ...each, sha256: await digestOfFile(join(set, each.member)) });

  const folders = foldersOf(set, trees, copied);
  // Strictly: also folders in which changes mean nothing have other times then.
  const strict = folders.map((each) => ({ ...each, busy: new Set<BytePath>() }));
  const expected = await expectedTree(folders);
  const taken = await takeSnapshot(at, {
    paths: [
      ...(program === undefined ? [] : [program]),
      set,
      ...trees.flatMap(({ root, included }) => [root, ...included.map((path) => join(root, path))]),
    ],
    exclude: trees.flatMap((tree) => patternsOf(tree, set)),
    excludeFile: join(work, patternsName),
    tags: [ownTag, only === undefined ? wholeTag : databasesTag, `target=${target.name}`, `backup=${name}`],
    host: host.name,
    progress,
  });
  degraded.push(...taken.unreadable.map((path) => `could not be read: ${path}`));
  const file = join(work, 'list', 'FILES.ndjson');
  let id = wholeId(at, taken.id);
  let listing = await listAs(expected, strict, file);
  if (id === undefined || !listing.isExact || listing.names !== taken.files - (program === undefined ? 0 : 1)) {
    const tree = await readSnapshotTree(at, taken.id);
    id = tree.id;
    rmSync(file);
    listing = await listAs(tree.nodes, folders, file);
  }
  const { list, totals, changed, links } = listing;
  notes.push(...links.map((path) => `only GAIA restores what this symlink says, restic before 0.16 does not: ${path}`));
  const n8nKeys = n8nKeysIn(target.trees);
  const facts = {
    ...{ degraded, notes, list, totals, databases },
    ...(postgres.length > 0 ? { postgres } : {}),
    ...(n8nKeys.length > 0 ? { n8n_keys: n8nKeys } : {}),
  };
  const where: ManifestSnapshot = { engine: 'restic', id, set, roots, added_bytes: taken.addedBytes };
  return { taken, facts: { ...facts, snapshot: where }, changed };
}

/** What restic leaves out of a tree. */
function patternsOf({ root, leaveOut, included }: SurveyedTree, set: string): string[] {
  const pattern = (path: BytePath) => exactPattern(root, path, { inFile: true });
  const below = relative(root, set);
  const setWithin = below.startsWith('..') || below.startsWith('/') ? undefined : bytePathOf(below);
  const excludedMounts = mountsAt(root).inside.filter((path) => !included.includes(path));
  return [
    ...leaveOut.flatMap((path) =>
      // The folder of backups, in which the set lies: all but the way to it.
      setWithin?.startsWith(`${path}/`) === true ? besides(root, path, setWithin).map(pattern) : [pattern(path)],
    ),
    ...excludedMounts.map((path) => `${pattern(path)}/*`),
  ];
}

/** Everything in a folder that is not on the way to something below. */
function besides(root: string, folder: BytePath, wanted: BytePath): BytePath[] {
  const next = wanted.slice(folder.length + 1).split('/')[0] as string;
  const names = readdirSync(join(root, Buffer.from(folder, 'latin1').toString('utf8')), { encoding: 'buffer' });
  const others = names.map((name) => name.toString('latin1')).filter((name) => name !== next);
  const way = `${folder}/${next}` as BytePath;
  return [
    ...others.map((name) => `${folder}/${name}` as BytePath),
    // The patterns themselves lie beside the set as soon as restic runs.
    ...(way === wanted ? [`${folder}/${patternsName}` as BytePath] : besides(root, way, wanted)),
  ];
}

type Listing = {
  list: Manifest['list'];
  totals: Totals;
  changed: string[];
  /** Symlinks whose text is no UTF-8. */
  links: string[];
  /** How many names of files there are, as restic counts them. */
  names: number;
  isExact: boolean;
};

/** Every folder that goes into the repository. */
function foldersOf(set: string, trees: readonly SurveyedTree[], databases: readonly CopiedDatabase[]): ListedFolder[] {
  const none = new Set<BytePath>();
  return [
    { root: set, prefix: '', leaveOut: none, notEntered: none, busy: none },
    ...trees.map(({ tree: { name }, root, leaveOut, included }) => ({
      root,
      prefix: `files/${name}`,
      leaveOut: new Set(leaveOut),
      notEntered: new Set(mountsAt(root).inside.filter((path) => !included.includes(path))),
      busy: new Set(databases.filter((each) => each.tree === name).map(({ path }) => folderOf(bytePathOf(path)))),
    })),
  ];
}

/** Writes FILES.ndjson of what is in some folders, as a snapshot has them. */
async function listAs(nodes: SnapshotTree['nodes'], folders: readonly ListedFolder[], file: string): Promise<Listing> {
  const set = folders[0]?.root ?? '';
  const totals: Totals = { files: 0, directories: 0, symlinks: 0, hardlinks: 0, bytes: 0, stored_bytes: 0 };
  const changed: string[] = [];
  const links: string[] = [];
  let came = false;
  let names = 0;
  const list = listFile(file);
  for (const folder of folders)
    await listFolder(folder, nodes, {
      add(listed) {
        list.add(listed);
        if (listed.type === 'file' || listed.type === 'hardlink') names++;
        count(totals, listed);
        if (listed.type === 'symlink' && listed.link_b64 !== undefined) links.push(shownPath(pathOf(listed)));
      },
      changed: (says) => void changed.push(says),
      came() {
        came = true;
      },
      skip: (path) => folder.root !== set && (set === path || set.startsWith(`${path}/`) || path.startsWith(`${set}/`)),
    });
  return { list: list.end(), totals, changed, links, names, isExact: changed.length === 0 && !came };
}

const folderOf = (path: BytePath) => path.slice(0, Math.max(path.lastIndexOf('/'), 0)) as BytePath;

function listFile(file: string) {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  const fd = openSync(file, 'wx', 0o600);
  const hash = createHash('sha256');
  let bytes = 0;
  let entries = 0;
  let lines = '';
  const flush = () => {
    const piece = Buffer.from(lines);
    lines = '';
    hash.update(piece);
    bytes += piece.length;
    for (let at = 0; at < piece.length; ) at += writeSync(fd, piece, at);
  };
  return {
    add(listed: Listed): void {
      lines += `${JSON.stringify(listed)}\n`;
      entries++;
      if (lines.length > 1024 * 1024) flush();
    },
    end(): Manifest['list'] {
      flush();
      fsyncSync(fd);
      closeSync(fd);
      return { offset: 0, bytes, sha256: hash.digest('hex'), entries };
    },
  };
}

/** Of the target alone. restic fills holes when it restores. */
function count(totals: Totals, listed: Listed): void {
  if (!/^(files|sqlite|db)\/./s.test(pathOf(listed))) return;
  if (listed.type === 'directory') totals.directories++;
  else if (listed.type === 'symlink') totals.symlinks++;
  else if (listed.type === 'hardlink') totals.hardlinks++;
  else {
    totals.files++;
    totals.bytes += listed.size ?? 0;
    totals.stored_bytes += listed.size ?? 0;
  }
}

/** What stands for the backup here: how to restore it by hand, in which its place is said. */
function pointerText(
  { name, target, startedMs }: BackupToMake,
  { snapshot, databases, postgres }: Snapshot['facts'],
  at: ResticRepository,
): Buffer {
  const script = byHandScript({
    archive: name,
    target: target.name,
    created: rfc3339(startedMs),
    trees: target.trees.filter(({ name: tree }) => snapshot.roots[tree] !== undefined),
    databases,
    postgres: postgres as readonly ManifestPostgres[] | undefined,
    snapshot: { ...snapshot, environment: byHandEnvironment(at) },
  });
  return Buffer.from(
    [
      '#!/bin/sh',
      '# This backup lies in a repository of restic, and this text says how it is restored by hand.',
      ...script,
      '',
    ].join('\n'),
  );
}

function manifestOf(backup: BackupToMake, { facts, changed }: Snapshot, text: Buffer): Manifest {
  const { name, target, startedMs, tool, reason, set, cause, only, host, previousManifest, signer } = backup;
  return {
    format: 'leveredge-archive/1',
    name,
    target: target.name,
    created_at: rfc3339(startedMs),
    ...{ tool, reason, set },
    ...(cause === undefined ? {} : { cause }),
    ...(only === undefined ? {} : { contents: 'databases' as const }),
    ...facts,
    degraded: [...facts.degraded, ...changed.map((path) => `changed while it was read: ${path}`)],
    archive: { bytes: text.length, sha256: createHash('sha256').update(text).digest('hex'), frames: 0 },
    trees: target.trees.map(({ name: tree, root }) => ({ name: tree, root })),
    host,
    previous_manifest_sha256: previousManifest,
    public_key: signer.publicKey,
  };
}

/**
 * The list of files, and all that says of this target's backups where they are: whoever has nothing but the repository finds it
 * there.
 */
function fillCatalogue({ folder, name }: BackupToMake, { work, partial }: { work: string; partial: string }): void {
  const list = join(work, 'list');
  const catalogue = join(list, 'catalogue');
  mkdirSync(catalogue, { mode: 0o700 });
  copyFileSync(partial, join(catalogue, name));
  const buckets = ['', 'hourly', 'daily', 'weekly', 'monthly'].map((bucket) => join(folder, bucket));
  for (const each of buckets)
    for (const found of statSync(each, { throwIfNoEntry: false }) === undefined ? [] : readdirSync(each)) {
      if (found.startsWith('.') || !found.endsWith(pointerEnd)) continue;
      copyFileSync(join(each, found), join(catalogue, found));
    }
  for (const each of buckets)
    for (const pointer of readdirSync(catalogue).filter((found) => found.endsWith(pointerEnd))) {
      const { manifest, signature } = filesBeside(pointer);
      for (const found of [manifest, signature])
        if (statSync(join(each, found), { throwIfNoEntry: false }) !== undefined)
          copyFileSync(join(each, found), join(catalogue, found));
    }
}
