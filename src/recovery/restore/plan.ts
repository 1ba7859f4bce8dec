import { hash } from 'node:crypto';
import { accessSync, constants, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { Fault, type FaultCode } from '../../base/fault.ts';
import { pathOf } from '../archive/file-list.ts';
import { type BytePath, shownPath } from '../byte-path.ts';
import { leftOutBy } from '../source/left-out.ts';
import { sortMounts } from '../source/mounts.ts';
import { otherKeysHere } from '../source/n8n-key.ts';
import { walkTree } from '../source/walk.ts';
import { stopsOf, type Target } from '../target.ts';
import type { OpenBackup } from './open-backup.ts';
import { type OpenFile, openFilesBelow } from './open-files.ts';
import { type PlacedDatabase, type PlacedTree, type Placement, placementOf, realOr } from './placement.ts';
import { router, type Scope, scopeOf, selected, wantedDumps } from './selection.ts';
import { restoredName } from './settle-databases.ts';
import { nearest, type Space, spaceAt } from './space.ts';

/** Why a restore would not begin now. */
export type Refusal = { code: FaultCode; says: string; hint: string };

/** What a restore would do, for a person to read and confirm. */
export type RestorePlan = {
  target: string;
  backup: { name: string; file: string; created_at: string | null; format: 'own' | 'old'; signer: string | null };
  only: string | null;
  /** Databases of servers that get a new state, as `app (service db)`; likewise put aside. */
  databases: string[];
  /** Live paths that get a new state; the old one is put aside. */
  replaces: string[];
  /** Paths below them that stay as they are. */
  keeps: string[];
  /** Units, and compose files whose services, are stopped for the swap and started after it. */
  stops: string[];
  /** Who is asked afterwards whether the target is well. */
  health: Target['health'];
  files: number;
  bytes: number;
  space: Space[];
  open: OpenFile[];
  warnings: string[];
  refusals: Refusal[];
  /** Of what does not change by itself: what was confirmed is what is done. */
  hash: string;
};

export type PlanRequest = {
  target: Target;
  /** Data folders of servers that get new ones. */
  freshFolders?: readonly string[];
  only: string | null;
  ignoreOpen: boolean;
  run: { id: string; stamp: string };
  /** The user that restores; only root may give files to others. */
  uid: number;
  /** Processes that do not count as holding files: this one. */
  ownPids: ReadonlySet<number>;
};

export type Prepared = {
  plan: RestorePlan;
  placement: Placement;
  scope: Scope;
  /** For an archive of our own. */
  selection: ReturnType<typeof selected>;
  keep: ReadonlyMap<PlacedTree, ReadonlySet<BytePath>>;
};

const maxShown = 1000;
/** Of an archive without a list nobody knows how much it holds before it is read; compressed text is about a fifth. */
const oldRatio = 5;

/**
 * Finds out what restoring a backup would do here and now. Touches nothing.
 * @throws Fault `usage` for a path outside the target, `not-found` when the backup does not hold it
 */
export function planRestore(backup: OpenBackup, request: PlanRequest): Prepared {
  const { target, only, run } = request;
  const manifest = backup.kind === 'own' ? backup.signed.manifest : undefined;
  if (manifest !== undefined && manifest.target !== target.name)
    throw new Fault('conflict', `${manifest.name} is a backup of ${manifest.target}, and not of ${target.name}.`, {
      hint: `See: gaia list --target ${target.name}`,
    });
  if (manifest?.contents === 'databases' && only !== 'db' && only?.startsWith('db:') !== true)
    throw new Fault('usage', `${manifest.name} holds the databases of ${target.name} and nothing else.`, {
      hint: 'Restore it with --only db, or take a whole one: gaia list',
    });
  const placement = placementOf(target, manifest, run);
  const scope = scopeOf(only, placement);
  if (backup.kind === 'old' && scope.kind !== 'all')
    throw new Fault('usage', 'Of an archive of an older tool everything is restored or nothing.', {
      hint: 'Leave --only away, or take single files out by hand: gaia runbook',
    });
  const selection = backup.kind === 'own' ? selected(backup.list, router(placement, scope), only) : [];
  const keep = new Map(placement.trees.map((tree) => [tree, keptIn(tree, scope, placement, request.freshFolders)]));
  const files = selection.filter(({ listed }) => listed.type === 'file').length;
  const bytes = selection.reduce((sum, { listed }) => sum + (listed.size ?? 0), 0);
  const plan: RestorePlan = {
    target: target.name,
    backup: describe(backup),
    only,
    databases: wantedDumps(scope, placement).map(({ dumped }) => reachText(dumped.name, target)),
    replaces: replacedBy(scope, placement),
    keeps: keptPaths(keep).slice(0, maxShown),
    stops: stopsOf(target),
    health: target.health,
    files,
    bytes,
    space: spaceFor(backup, placement, selection),
    open: [],
    warnings: [...warningsOf(backup), ...keysMissing(backup, scope, target)],
    refusals: [],
    hash: '',
  };
  plan.hash = hashOf(plan);
  plan.open = openFilesBelow(plan.replaces, request.ownPids, keptPaths(keep));
  plan.refusals = refusalsOf(plan, backup, placement, scope, request);
  return { plan, placement, scope, selection, keep };
}

function describe(backup: OpenBackup): RestorePlan['backup'] {
  const name = backup.file.slice(backup.file.lastIndexOf('/') + 1);
  if (backup.kind === 'old') return { name, file: backup.file, created_at: null, format: 'old', signer: null };
  const { manifest, signature } = backup.signed;
  const signer = signature.kind === 'bad' ? null : `${signature.kind} ${signature.fingerprint}`;
  return { name, file: backup.file, created_at: manifest.created_at, format: 'own', signer };
}

/** Absolute paths of what stays. */
export function keptPaths(keep: Prepared['keep']): string[] {
  return [...keep].flatMap(([{ live }, paths]) => [...paths].map((path) => `${live}/${shownPath(path)}`));
}

/** What must stay within a tree: what its backups leave out, and for `files` its databases. */
function keptIn(
  tree: PlacedTree,
  scope: Scope,
  { databases }: Placement,
  freshFolders: readonly string[] = [],
): Set<BytePath> {
  const isFiles = scope.kind === 'files';
  const kept = keptBelow(tree, isFiles);
  for (const path of [...kept]) if (freshFolders.includes(`${tree.live}/${shownPath(path)}`)) kept.delete(path);
  if (isFiles) for (const { tree: at, path } of databases) if (at === tree) keepDatabase(path, kept);
  return kept;
}

/**
 * What of that there is now below a live folder, databases included or not. Also those that came after the backup: their
 * programs do not expect to lose them with the files.
 */
export function keptBelow(
  { tree, live, mounts }: Pick<PlacedTree, 'tree' | 'live' | 'mounts'>,
  withDatabases: boolean,
): Set<BytePath> {
  const { excluded } = sortMounts(tree, mounts);
  const kept = new Set<BytePath>(excluded);
  if (nearest(live) !== live) return kept;
  const leftOut = leftOutBy(tree.exclude);
  const walked = walkTree(live, { leftOut, notEntered: new Set(excluded) });
  for (const path of walked.leftOut) if (leftOut(path)) kept.add(path);
  // A server has them open, and no backup holds them as files.
  for (const path of walked.postgres) kept.add(path);
  if (withDatabases) for (const path of walked.databases) keepDatabase(path, kept);
  return kept;
}

function keepDatabase(path: BytePath, kept: Set<BytePath>): void {
  for (const end of ['', '-wal', '-shm', '-journal']) kept.add((path + end) as BytePath);
  // What is said beside a database of its last restore stays true of it.
  kept.add(`${path.slice(0, path.lastIndexOf('/') + 1)}${restoredName}` as BytePath);
}

/** As a person finds it: by the name in the configuration and how its server is reached. */
function reachText(name: string, { postgres = [] }: Target): string {
  const reach = postgres.find((each) => each.name === name)?.reach;
  if (reach === undefined) return `${name} (not in the configuration)`;
  if (reach.kind === 'service') return `${name} (service ${reach.service})`;
  return `${name} (${reach.kind === 'socket' ? `socket ${reach.folder}` : reach.parameters.host})`;
}

function replacedBy(scope: Scope, { trees, databases }: Placement): string[] {
  if (scope.kind === 'path') return [`${scope.tree.live}/${shownPath(scope.path)}`];
  const wanted = databases.filter(({ name }) => scope.kind !== 'db' || scope.name === undefined || scope.name === name);
  if (scope.kind === 'db') return wanted.map(({ live }) => live);
  const alone = scope.kind === 'all' ? databases.filter(({ tree }) => tree === undefined).map(({ live }) => live) : [];
  return [...trees.map(({ live }) => live), ...alone];
}

function spaceFor(backup: OpenBackup, placement: Placement, selection: Prepared['selection']): Space[] {
  const needs = new Map<string, { bytes: number; entries: number }>();
  for (const { listed, to } of selection) {
    const need = needs.get(to.stageFolder) ?? { bytes: 0, entries: 0 };
    need.bytes += listed.size ?? 0;
    need.entries++;
    needs.set(to.stageFolder, need);
  }
  if (backup.kind === 'own') shrinkSparse(backup.signed.manifest.totals, needs);
  else
    for (const { stageFolder } of placement.trees)
      needs.set(stageFolder, { bytes: sizeOf(backup.file) * oldRatio, entries: 16 });
  return [...needs].map(([folder, { bytes, entries }]) => spaceAt(dirname(folder), bytes, entries));
}

/** Holes take no room; how much of which file is known in total only. */
function shrinkSparse(totals: { bytes: number; stored_bytes: number }, needs: Map<string, { bytes: number }>): void {
  const share = totals.bytes === 0 ? 1 : totals.stored_bytes / totals.bytes;
  for (const need of needs.values()) need.bytes = Math.ceil(need.bytes * share);
}

function sizeOf(file: string): number {
  const { size } = statSync(file);
  return size;
}

function warningsOf(backup: OpenBackup): string[] {
  if (backup.kind === 'old')
    return [
      'This archive was made by an older tool: nothing says what it should hold, so only its form can be checked.',
    ];
  const { manifest, signature } = backup.signed;
  const warnings = manifest.degraded.map((text) => `The backup is not whole: ${text}.`);
  if (signature.kind === 'unknown-signer')
    warnings.push(
      `This machine knows no key that signs backups. This one is signed by the key ${signature.fingerprint}: compare it with your recovery kit.`,
    );
  return warnings;
}

/** Databases alone bring no key. */
function keysMissing(backup: OpenBackup, scope: Scope, { trees }: Target): string[] {
  return backup.kind === 'own' && scope.kind === 'db'
    ? otherKeysHere(backup.signed.manifest.n8n_keys ?? [], trees)
    : [];
}

function hashOf({ target, backup, only, databases, replaces, keeps, files, bytes }: RestorePlan): string {
  return hash('sha256', JSON.stringify({ target, backup, only, databases, replaces, keeps, files, bytes })).slice(
    0,
    16,
  );
}

function refusalsOf(
  plan: RestorePlan,
  backup: OpenBackup,
  placement: Placement,
  scope: Scope,
  { uid, ignoreOpen, target }: PlanRequest,
): Refusal[] {
  const refusals: Refusal[] = [];
  for (const space of plan.space) refusals.push(...noRoom(space));
  for (const { stageFolder } of [...placement.trees, ...placement.databases])
    refusals.push(...readOnly(dirname(stageFolder), refusals));
  if (backup.kind === 'own' && uid !== 0) refusals.push(...otherOwners(backup, uid));
  refusals.push(...mountsInTheWay(scope, placement));
  if (scope.kind === 'path') refusals.push(...noParent(scope, target));
  refusals.push(...leadsOut(scope, placement));
  const writers = plan.open.filter(({ writes }) => writes);
  if (writers.length > 0 && !ignoreOpen) refusals.push(heldOpen(writers));
  return refusals;
}

function noRoom({ folder, neededBytes, freeBytes, neededInodes, freeInodes }: Space): Refusal[] {
  const mebibytes = (bytes: number) => `${Math.ceil(bytes / 1024 / 1024)} MiB`;
  const hint = 'Free some there. What earlier restores put aside can go: gaia prune --dry-run';
  if (neededBytes > freeBytes)
    return [
      {
        code: 'storage-full',
        says: `There is no room at ${folder}: ${mebibytes(neededBytes)} are needed beside what is there, and ${mebibytes(freeBytes)} are free.`,
        hint,
      },
    ];
  if (freeInodes !== null && neededInodes > freeInodes)
    return [
      {
        code: 'storage-full',
        says: `There are not enough inodes at ${folder}: ${neededInodes} are needed for files and folders, and ${freeInodes} are free.`,
        hint: 'Remove what consists of many small files there.',
      },
    ];
  return [];
}

function readOnly(folder: string, before: readonly Refusal[]): Refusal[] {
  try {
    accessSync(nearest(folder), constants.W_OK);
    return [];
  } catch (error) {
    const isReadOnly = (error as NodeJS.ErrnoException).code === 'EROFS';
    const says = isReadOnly ? `The file system of ${folder} is read-only.` : `This user may not write to ${folder}.`;
    if (before.some((each) => each.says === says)) return [];
    const hint = isReadOnly ? 'If it became so by itself, the disk may be failing: see dmesg.' : 'Run it as root.';
    return [{ code: isReadOnly ? 'storage-full' : 'forbidden', says, hint }];
  }
}

function otherOwners(backup: OpenBackup & { kind: 'own' }, uid: number): Refusal[] {
  const other = backup.list.find((listed) => listed.uid !== uid && /^(files|sqlite)\//.test(pathOf(listed)));
  if (other === undefined) return [];
  return [
    {
      code: 'forbidden',
      says: `${shownPath(pathOf(other))} belongs to user ${other.uid}, and only root can give files to others.`,
      hint: 'Run it as root: sudo gaia …',
    },
  ];
}

/**
 * A rename does not cross into another file system, and takes along what is mounted below. Also where only a part is
 * restored: it may lie in what is mounted now, or hold it.
 */
function mountsInTheWay(scope: Scope, placement: Placement): Refusal[] {
  const isAtOrBelow = (path: string, folder: string) => path === folder || path.startsWith(`${folder}/`);
  const parts = singleDatabases(scope, placement).flatMap(({ tree, path }) =>
    tree === undefined ? [] : [{ tree, path }],
  );
  if (scope.kind === 'path') parts.push(scope);
  const meets = (at: PlacedTree, mount: BytePath) =>
    scope.kind === 'all' ||
    scope.kind === 'files' ||
    parts.some(({ tree, path }) => tree === at && (isAtOrBelow(mount, path) || isAtOrBelow(path, mount)));
  return placement.trees.flatMap((placed): Refusal[] => {
    const { included } = sortMounts(placed.tree, placed.mounts);
    const mount = included.find((each) => meets(placed, each));
    if (mount === undefined) return [];
    return [
      {
        code: 'conflict',
        says: `Another file system is mounted at ${placed.live}/${shownPath(mount)}, which the backup has as a folder.`,
        hint: `Unmount it, restore, and move what is restored onto it. Or restore other parts with --only.`,
      },
    ];
  });
}

function noParent({ tree, path }: { tree: PlacedTree; path: BytePath }, target: Target): Refusal[] {
  const parent = dirname(`${tree.live}/${shownPath(path)}`);
  if (nearest(parent) === parent) return [];
  return [
    {
      code: 'not-found',
      says: `There is no folder ${parent} any more to restore into.`,
      hint: `Restore a folder above it with --only, or all of ${target.name}.`,
    },
  ];
}

/** A folder that became a symlink since: what is restored below it would land in, and be taken from, another folder. */
function leadsOut(scope: Scope, placement: Placement): Refusal[] {
  const inTrees = singleDatabases(scope, placement).flatMap(({ tree, live }) => (tree === undefined ? [] : [live]));
  const paths = scope.kind === 'path' ? [`${scope.tree.live}/${shownPath(scope.path)}`, ...inTrees] : inTrees;
  return paths.flatMap((path): Refusal[] => {
    const parent = dirname(path);
    const real = realOr(parent);
    if (real === parent) return [];
    return [
      {
        code: 'conflict',
        says: `${parent} is reached through a symlink and lies at ${real}, which is not what the backup holds.`,
        hint: 'Move the symlink away and make a folder in its place, or restore a folder above it with --only.',
      },
    ];
  });
}

function heldOpen(writers: readonly OpenFile[]): Refusal {
  const shown = writers.slice(0, 3).map(({ pid, command, path }) => `process ${pid} (${command}) has ${path} open`);
  const more = writers.length > shown.length ? ` and ${writers.length - shown.length} more` : '';
  return {
    code: 'conflict',
    says: `Files are open for writing: ${shown.join('; ')}${more}.`,
    hint: 'What they write would go into the old state. Stop them and try again, or accept that: --ignore-open',
  };
}

/** Databases that a scope replaces one by one, each with what lies beside it. */
export function singleDatabases(scope: Scope, { databases }: Placement): PlacedDatabase[] {
  if (scope.kind === 'all') return databases.filter(({ tree }) => tree === undefined);
  if (scope.kind === 'db') return databases.filter(({ name }) => scope.name === undefined || scope.name === name);
  if (scope.kind === 'path') return databases.filter(({ tree, path }) => tree === scope.tree && path === scope.path);
  return [];
}
