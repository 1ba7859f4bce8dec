import { Fault } from '../../base/fault.ts';
import { linkOf, pathOf } from '../archive/file-list.ts';
import type { Listed } from '../archive/listed.ts';
import { type BytePath, bytePathOf, shownPath } from '../byte-path.ts';
import { dumpFolder, isWithin, type PlacedDatabase, type PlacedTree, type Placement } from './placement.ts';

/** What a restore was asked for: everything, the databases, everything but them, or one path of one tree. */
export type Scope =
  | { kind: 'all' }
  | { kind: 'db'; name?: string }
  | { kind: 'files' }
  | { kind: 'path'; tree: PlacedTree; path: BytePath };

/** Understands `--only`. @throws Fault `usage` for a path outside the target */
export function scopeOf(only: string | null, placement: Placement): Scope {
  if (only === null) return { kind: 'all' };
  if (only === 'db' || only === 'files') return { kind: only };
  const names = [...placement.databases, ...placement.postgres.map(({ dumped }) => dumped)].map(({ name }) => name);
  const database = names.find((name) => `db:${name}` === only);
  if (database !== undefined) return { kind: 'db', name: database };
  const tree = placement.trees.find(({ live, tree: { root } }) =>
    [live, root].some((at) => only === at || isWithin(at, only)),
  );
  if (only.startsWith('/')) {
    if (tree === undefined) throw outside(only, placement);
    const root = only === tree.live || isWithin(tree.live, only) ? tree.live : tree.tree.root;
    return pathScope(tree, only.slice(root.length + 1), only, placement);
  }
  const first = placement.trees[0];
  if (first === undefined) throw outside(only, placement);
  return pathScope(first, only, only, placement);
}

function pathScope(tree: PlacedTree, path: string, asked: string, placement: Placement): Scope {
  const clean = path
    .replace(/^(\.\/+)+/, '')
    .replace(/\/+$/, '')
    .replace(/\/{2,}/g, '/');
  if (clean === '' || clean === '.') return { kind: 'all' };
  if (clean.split('/').some((part) => part === '..' || part === '.')) throw outside(asked, placement);
  return { kind: 'path', tree, path: bytePathOf(clean) };
}

function outside(only: string, { trees }: Placement): Fault {
  return new Fault('usage', `${only} lies outside the target (${trees.map(({ live }) => live).join(', ')}).`, {
    hint: 'Name a path below it, or db, or files.',
  });
}

/** Where a member goes: the stage folder, and its name in there. */
export type Destination = { stageFolder: string; name: BytePath; database?: PlacedDatabase };

/** Where databases wait in a stage folder until the tree they belong to is there. */
export const databaseFolder = '.databases';

/** Tells of each member whether it is restored, and where to. */
export function router(placement: Placement, scope: Scope): (path: BytePath) => Destination | undefined {
  const databases = new Map(placement.databases.map((database) => [database.member, database]));
  const dumps = new Map(placement.postgres.map((each) => [each.member, each]));
  const trees = new Map(placement.trees.map((tree) => [`files/${tree.tree.name}`, tree]));
  return (path) => {
    const database = databases.get(path);
    if (database !== undefined) {
      if (!wantsDatabase(scope, database)) return undefined;
      const name = `${databaseFolder}/${database.name}.db` as BytePath;
      return { stageFolder: database.stageFolder, name, database };
    }
    const dump = dumps.get(path);
    if (dump !== undefined) {
      if (!wantsDump(scope, dump.dumped.name)) return undefined;
      return { stageFolder: dump.stageFolder, name: `${dumpFolder}/${dump.dumped.name}.dump` as BytePath };
    }
    if (scope.kind === 'db' || !path.startsWith('files/')) return undefined;
    const slash = path.indexOf('/', 'files/'.length);
    const tree = trees.get(slash < 0 ? path : path.slice(0, slash));
    if (tree === undefined) return undefined;
    const below = slash < 0 ? '' : path.slice(slash + 1);
    if (scope.kind === 'path' && (scope.tree !== tree || !isAtOrBelow(scope.path, below))) return undefined;
    return {
      stageFolder: tree.stageFolder,
      name: (below === '' ? tree.tree.name : `${tree.tree.name}/${below}`) as BytePath,
    };
  };
}

function wantsDatabase(scope: Scope, { name, tree, path }: PlacedDatabase): boolean {
  if (scope.kind === 'all') return true;
  if (scope.kind === 'db') return scope.name === undefined || scope.name === name;
  return scope.kind === 'path' && scope.tree === tree && isAtOrBelow(scope.path, path);
}

function wantsDump(scope: Scope, name: string): boolean {
  return scope.kind === 'all' || (scope.kind === 'db' && (scope.name === undefined || scope.name === name));
}

/** The dumps that a scope restores. */
export function wantedDumps(scope: Scope, { postgres }: Placement): Placement['postgres'] {
  return postgres.filter(({ dumped }) => wantsDump(scope, dumped.name));
}

function isAtOrBelow(top: BytePath, path: string): boolean {
  return path === top || path.startsWith(`${top}/`);
}

/**
 * The lines of the list that are restored, with their place in it.
 * @throws Fault `not-found` when there is none; `usage` for a hard link whose file is not among them
 */
export function selected(
  list: readonly Listed[],
  route: (path: BytePath) => Destination | undefined,
  only: string | null,
): { index: number; listed: Listed; to: Destination }[] {
  const found = list.flatMap((listed, index) => {
    const to = route(pathOf(listed));
    return to === undefined ? [] : [{ index, listed, to }];
  });
  if (found.length === 0)
    throw new Fault('not-found', `The backup holds nothing at ${only ?? 'its folders'}.`, {
      hint: 'See what it holds: gaia runbook BACKUP, and FILES.ndjson in the archive.',
    });
  // Of the whole the reader judges where hard links lead; a part may leave out what they are names of.
  if (only === null) return found;
  const paths = new Set(found.map(({ listed }) => pathOf(listed)));
  for (const { listed } of found)
    if (listed.type === 'hardlink' && !paths.has(linkOf(listed)))
      throw new Fault(
        'usage',
        `${shownPath(pathOf(listed))} is another name of ${shownPath(linkOf(listed))}, which --only leaves out.`,
        {
          hint: 'Restore a folder that holds both.',
        },
      );
  return found;
}
