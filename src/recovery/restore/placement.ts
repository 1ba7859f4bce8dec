import { existsSync, realpathSync, statSync } from 'node:fs';
import { basename, dirname, join, relative, sep } from 'node:path';
import { isSecret, type Manifest, type ManifestPostgres } from '../archive/manifest.ts';
import { type BytePath, bytePathOf } from '../byte-path.ts';
import { mountsAt } from '../source/mounts.ts';
import { type Target, type Tree, withSecrets } from '../target.ts';

/** Where one tree is staged and put aside. Absolute paths. */
export type PlacedTree = {
  tree: Tree;
  /** The live root, symlinks resolved as far as it exists. */
  live: string;
  /** Or a file system of its own in another way: it cannot be renamed, and what is in it not moved out. */
  rootIsMount: boolean;
  /** Mount points inside, relative. */
  mounts: BytePath[];
  /** A folder of this run, mode 0700, on the same file system as the live root. */
  stageFolder: string;
  /** In it, the tree. */
  stage: string;
  /** Where the old tree, or what of it is replaced, goes. */
  aside: string;
};

/** A database that a backup has: in which tree, or alone. */
export type PlacedDatabase = {
  name: string;
  member: BytePath;
  live: string;
  /** The tree it lies in and its path there. */
  tree: PlacedTree | undefined;
  path: BytePath;
  stageFolder: string;
  /** Where it is staged: within its tree's stage, or in the stage folder. */
  stage: string;
  aside: string;
  sha256: string | undefined;
};

/** A dump that is staged as a file until it is loaded into its server. */
export type PlacedPostgres = { dumped: ManifestPostgres; member: BytePath; stageFolder: string; stage: string };

export type Placement = { trees: PlacedTree[]; databases: PlacedDatabase[]; postgres: PlacedPostgres[] };

/** Where dumps wait in a stage folder. */
export const dumpFolder = '.dumps';

type Run = { id: string; stamp: string };

/**
 * Where everything of a backup goes on this machine. Trees and databases are matched by name, so that a backup of another
 * machine goes where this one's configuration says.
 */
export function placementOf(
  target: Target,
  manifest: Pick<Manifest, 'trees' | 'databases' | 'postgres' | 'encryption' | 'snapshot'> | undefined,
  run: Run,
): Placement {
  const names = manifest?.trees.map(({ name }) => name);
  const { trees: all } = withSecrets(target, manifest !== undefined && isSecret(manifest));
  const trees = all
    .filter(({ name }) => names === undefined || names.includes(name))
    .map((tree) => placeTree(tree, run));
  const databases = (manifest?.databases ?? []).map((database): PlacedDatabase => {
    const { name, member, sha256 } = database;
    const configured = target.databases.find((each) => each.name === name)?.path;
    const tree = trees.find((each) => each.tree.name === database.tree);
    const live =
      configured === undefined
        ? tree === undefined
          ? database.path
          : join(tree.live, database.path)
        : realOr(configured);
    const inTree = trees.find((each) => isWithin(each.live, live));
    const own = { name, member: bytePathOf(member), live, sha256 };
    if (inTree !== undefined) {
      const path = relative(inTree.live, live);
      const { stageFolder, stage, aside, rootIsMount } = inTree;
      const beside = `${live}.pre-restore.${run.stamp}`;
      return {
        ...own,
        tree: inTree,
        path: bytePathOf(path),
        stageFolder,
        stage: join(stage, path),
        aside: rootIsMount ? join(aside, path) : beside,
      };
    }
    const stageFolder = join(dirname(live), `.gaia-stage-${run.id}`);
    return {
      ...own,
      tree: undefined,
      path: '' as BytePath,
      stageFolder,
      stage: join(stageFolder, 'alone', basename(live)),
      aside: `${live}.pre-restore.${run.stamp}`,
    };
  });
  return { trees, databases, postgres: placePostgres(target, manifest?.postgres ?? [], trees, run) };
}

/** Beside the first tree, where there is room for all of the target. */
function placePostgres(
  target: Target,
  dumps: readonly ManifestPostgres[],
  trees: readonly PlacedTree[],
  run: Run,
): PlacedPostgres[] {
  if (dumps.length === 0) return [];
  const { stageFolder } = trees[0] ?? placeTree(target.trees[0] as Tree, run);
  return dumps.map((dumped) => ({
    dumped,
    member: bytePathOf(dumped.member),
    stageFolder,
    stage: join(stageFolder, dumpFolder, `${dumped.name}.dump`),
  }));
}

function placeTree(tree: Tree, { id, stamp }: Run): PlacedTree {
  const live = realOr(tree.root);
  const { rootIsMount: isMount, inside } = mountsAt(live);
  const rootIsMount = isMount || isOnAnotherDevice(live);
  const stageFolder = join(rootIsMount ? live : dirname(live), `.gaia-stage-${id}`);
  return {
    tree,
    live,
    rootIsMount,
    mounts: inside,
    stageFolder,
    stage: join(stageFolder, tree.name),
    aside: rootIsMount ? join(live, `.pre-restore.${stamp}`) : `${live}.pre-restore.${stamp}`,
  };
}

/** A subvolume of btrfs is no mount, and yet nothing can be renamed into or out of it. */
function isOnAnotherDevice(live: string): boolean {
  const found = statSync(live, { throwIfNoEntry: false });
  return found !== undefined && found.dev !== statSync(dirname(live)).dev;
}

/** Symlinks resolved, of the nearest folder above that exists. */
export function realOr(path: string): string {
  if (existsSync(path)) return realpathSync(path);
  const parent = dirname(path);
  return parent === path ? path : join(realOr(parent), basename(path));
}

export function isWithin(folder: string, path: string): boolean {
  const below = relative(folder, path);
  return below !== '' && below !== '..' && !below.startsWith(`..${sep}`) && !below.startsWith('/');
}

/** The folders that this run stages in, each once. */
export function stageFolders({ trees, databases, postgres }: Placement): string[] {
  return [...new Set([...trees, ...databases, ...postgres].map(({ stageFolder }) => stageFolder))];
}
