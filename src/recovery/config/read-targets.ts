import { basename, isAbsolute, join, relative, sep } from 'node:path';
import { bytePathOf } from '../byte-path.ts';
import type { Place } from '../place.ts';
import { realOr } from '../restore/placement.ts';
import { leftOutBy } from '../source/left-out.ts';
import type { Target, Tree } from '../target.ts';
import type { Located } from './located.ts';
import { databasesIn, type From } from './read-databases.ts';
import { encryptToIn } from './read-encryption.ts';
import { healthIn } from './read-health.ts';
import { engineIn, secretFilesOf, type UsualEngine } from './read-restic.ts';
import { unitsIn } from './read-units.ts';

const targetName = /^[a-z][a-z0-9]*(-[a-z0-9]+)*$/;
/** In this order a whole home comes back; others follow by name. */
const order = ['control-plane', 'prod', 'dev'];
const oldKeys = ['compose', 'n8n_data', 'supabase_data', 'n8n', 'agents'];
const newKeys = [
  'root',
  'databases',
  'exclude',
  'mounts',
  'health',
  'units',
  'volumes',
  'compose',
  'engine',
  'restic',
  'encrypt_to',
  'retention',
  'schedule',
];
/** Understood in a file, and acted on by a later version. */
const notYet = ['agents'];

/** What a bare machine needs beside `control-plane` to come back, as far as it is there. */
const homeFolders = ['gaia', 'config', 'shared/credentials', 'shared/scripts', 'shared/templates', 'monitoring'];
/** Secrets of the emergency bot and of encryption: in no backup that everyone who has the file can read. */
const secretFiles = [
  '.telegram_token',
  '.2fa_secret',
  '.2fa_backup_codes',
  '.authorized_users',
  '.identity',
  '.signing_key',
];

/** The targets of a configuration, checked against each other. Mistakes are noted in the tree of the file. */
export function readTargets(
  root: Located,
  place: Place,
  { from, recipients }: { from: From; recipients: readonly string[] | undefined },
): Target[] {
  const section = root.section('restore_targets');
  if (section === undefined) {
    if (root.get('restore_targets') === undefined)
      root.wrong('names no restore_targets, so there is nothing to back up');
    return [];
  }
  section.knownKeys(['control-plane', 'data-plane']);
  const found: { target: Target; at: Located }[] = [];
  const usual = { usual: encryptToIn(root, recipients), engine: engineIn(root, place, from), place };
  const control = section.section('control-plane');
  if (control !== undefined) found.push({ target: readControlPlane(control, from, usual), at: control });
  const data = section.section('data-plane');
  for (const name of data?.keys ?? []) {
    const at = data?.section(name);
    if (at === undefined) continue;
    if (!targetName.test(name) || name === 'full' || name === 'control-plane')
      at.wrong('is no name of a target: small letters, digits and hyphens, and not full');
    else
      found.push({
        target: readTarget(name, at, { usualRoot: join(place.home, 'data-plane', name), from, ...usual }),
        at,
      });
  }
  for (const { target, at } of found)
    if ((target.postgres ?? []).some(({ reach }) => reach.kind === 'service') && (target.compose ?? []).length === 0)
      at.wrong('has a database in a service, and no compose file that the service is in');
  const secrets = [...new Set(found.flatMap(({ target }) => secretFilesOf(target)))];
  for (const each of found) each.target = withoutBackups(withoutKeys(each.target, place), place, secrets);
  for (const { target, at } of found) judge(target, at, place);
  judgeOverlap(found);
  const rank = ({ name }: Target) => (order.indexOf(name) + order.length + 1) % (order.length + 1);
  return found.map(({ target }) => target).sort((a, b) => rank(a) - rank(b) || (a.name < b.name ? -1 : 1));
}

/** With a `root` it is that folder; without one, as in older files, all that the home needs to come back. */
function readControlPlane(at: Located, from: From, usual: Pick<Usual, 'usual' | 'engine' | 'place'>): Target {
  const { place } = usual;
  const target = readTarget('control-plane', at, { usualRoot: join(place.home, 'control-plane'), from, ...usual });
  if (at.get('root') !== undefined) return target;
  const mounts = { include: [], exclude: [] };
  const further = homeFolders
    .map((name) => ({ name: name.replaceAll('/', '-'), root: join(place.home, name) }))
    .filter(({ root }) => !target.trees.some((tree) => isWithinOrSame(tree.root, root)))
    .map(
      (tree): Tree => ({
        ...tree,
        ...{ exclude: [], mounts, optional: true },
        ...(tree.name === 'gaia' ? { secrets: secretFiles } : {}),
        ...(tree.name === 'shared-credentials' ? { isSecret: true } : {}),
      }),
    );
  if ((target.encryptTo ?? []).length === 0 && target.restic?.active !== true)
    at.note(
      `has no secrets in its backups, since they are not encrypted: shared/credentials and gaia/{${secretFiles.join(',')}} are left out. Keep copies of them elsewhere`,
    );
  return { ...target, trees: [...target.trees, ...further] };
}

type Usual = {
  usualRoot: string;
  from: From;
  usual: readonly string[] | undefined;
  engine: UsualEngine;
  place: Place;
};

function readTarget(name: string, at: Located, { usualRoot, from, usual, engine, place }: Usual): Target {
  at.knownKeys([...newKeys, ...oldKeys]);
  const root = from(at.text('root') ?? usualRoot);
  const mounts = at.section('mounts');
  mounts?.knownKeys(['include', 'exclude']);
  const tree: Tree = {
    name,
    root,
    exclude: pathsIn(at, 'exclude'),
    mounts: { include: mounts ? pathsIn(mounts, 'include') : [], exclude: mounts ? pathsIn(mounts, 'exclude') : [] },
  };
  refuseLater(at);
  return {
    name,
    trees: [tree, ...oldTrees(name, at, tree, from)],
    ...databasesIn(at, root, from),
    compose: composeIn(at, root, from),
    ...volumesIn(at),
    units: unitsIn(at),
    health: healthIn(at),
    ...encryptedTo(encryptToIn(at, usual)),
    ...engineIn(at, place, from, engine),
  };
}

const encryptedTo = (recipients: readonly string[] | undefined): Pick<Target, 'encryptTo'> =>
  recipients === undefined ? {} : { encryptTo: recipients };

/** Folders that old keys name outside the target's own. */
function oldTrees(target: string, at: Located, { root, exclude }: Tree, from: From): Tree[] {
  const folders = [
    { key: at, name: 'n8n_data' },
    { key: at.section('n8n'), name: 'data_dir' },
    { key: at.section('agents'), name: 'dir' },
  ];
  const trees: Tree[] = [];
  for (const { key, name } of folders) {
    const text = key?.text(name);
    if (text === undefined) continue;
    const path = from(text);
    if (isWithinOrSame(root, path) || trees.some((tree) => isWithinOrSame(tree.root, path))) continue;
    trees.push({
      name: `${target}-${name.replaceAll('_', '-')}`,
      root: path,
      exclude,
      mounts: { include: [], exclude: [] },
    });
  }
  return trees;
}

/**
 * Compose files: `compose` of the target, as a text or a list, or that of `n8n` in older files. A relative one begins at the
 * target's folder, as in older files, whose `compose` names the file in it.
 */
function composeIn(at: Located, root: string, from: From): string[] {
  const own = at.get('compose');
  const inN8n = at.get('n8n')?.isMap === true ? at.section('n8n')?.text('compose') : undefined;
  const named =
    own === undefined
      ? inN8n === undefined
        ? []
        : [inN8n]
      : own.isList
        ? at.texts('compose')
        : [at.text('compose') ?? ''];
  const files = named.filter((file) => file !== '').map((file) => (isAbsolute(file) ? from(file) : join(root, file)));
  for (const [n, file] of files.entries()) if (files.indexOf(file) !== n) own?.wrong(`names ${file} twice`);
  return files;
}

/** Docker's names of volumes, each in one of two lists. */
function volumesIn(at: Located): Pick<Target, 'volumes'> {
  const volumes = at.get('volumes')?.isMap === true ? at.section('volumes') : undefined;
  if (at.get('volumes') !== undefined && volumes === undefined)
    at.get('volumes')?.wrong('must be { include: […], exclude: […] }, with names as docker volume ls has them');
  if (volumes === undefined) return {};
  volumes.knownKeys(['include', 'exclude']);
  const [include, exclude] = [volumes.texts('include'), volumes.texts('exclude')];
  for (const name of include) if (exclude.includes(name)) volumes.wrong(`has ${name} in both lists`);
  return { volumes: { include, exclude } };
}

function refuseLater(at: Located): void {
  at.get('retention')?.wrong(
    'cannot be set for one target in this version; set it at the top of the file, where it holds for all',
  );
  for (const key of notYet) at.get(key)?.note('is understood, and nothing of it is stopped or started by this version');
}

function pathsIn(at: Located, key: string): string[] {
  return at.texts(key).flatMap((path) => {
    const clean = path.replace(/^(\.\/)+/, '').replace(/\/+$/, '');
    if (clean !== '' && !clean.startsWith('/') && !clean.split('/').some((part) => part === '..' || part === '.'))
      return [clean];
    at.get(key)?.wrong(`has ${JSON.stringify(path)}, which is no path below the target's folder`);
    return [];
  });
}

/**
 * Whoever has the key that signs backups can forge them, and whoever has the machine's own identity opens them: both are secret,
 * wherever they lie. In an encrypted backup they are: a machine that is rebuilt goes on with them.
 */
function withoutKeys(target: Target, { signingKey, identity }: Place): Target {
  const trees = target.trees.map((tree) => {
    const inside = [signingKey, ...(identity === undefined ? [] : [identity])].filter(
      (path) => isWithinOrSame(tree.root, path) && tree.secrets?.includes(basename(path)) !== true,
    );
    if (inside.length === 0) return tree;
    // What would be a wildcard in a key's own name stands for any character.
    const paths = inside.map((path) => relative(tree.root, path).replace(/[*?]/g, '?'));
    return { ...tree, secrets: [...(tree.secrets ?? []), ...paths] };
  });
  return { ...target, trees };
}

/**
 * Where backups lie is in none of them, and stays where it is when one is restored. The same is true of what opens a repository:
 * an older password, brought back, would open it no more, and a machine without it has it from the recovery kit.
 */
function withoutBackups(target: Target, { backups }: Place, secrets: readonly string[]): Target {
  const repository = target.restic?.repository;
  const paths = [
    backups,
    ...secrets,
    ...(typeof repository === 'string' && isAbsolute(repository) ? [repository] : []),
  ];
  const trees = target.trees.map((tree) => {
    // As it is written, and as it is where symlinks lead.
    const places = paths.flatMap((path) => [
      [tree.root, path],
      [realOr(tree.root), realOr(path)],
    ]) as [string, string][];
    const inside = places.filter(([root, path]) => path !== root && isWithinOrSame(root, path));
    if (inside.length === 0) return tree;
    // What would be a wildcard in its own name stands for any character.
    const names = new Set(inside.map(([root, path]) => relative(root, path).replace(/[*?]/g, '?')));
    return { ...tree, exclude: [...tree.exclude, ...names] };
  });
  return { ...target, trees };
}

function judge(target: Target, at: Located, place: Place): void {
  const repository = target.restic?.repository;
  for (const { root } of target.trees) {
    const where = at.get('root') ?? at;
    if (root === '/') where.wrong('is the whole machine; name a folder');
    else if (isWithinOrSame(place.backups, root)) where.wrong(`lies within the folder of backups, ${place.backups}`);
    else if (typeof repository === 'string' && isAbsolute(repository) && isWithinOrSame(repository, root))
      where.wrong(`lies within the repository of restic, ${repository}`);
  }
  for (const [n, { name, path }] of target.databases.entries()) {
    const databases = at.get('databases') ?? at;
    if (isWithinOrSame(place.backups, path)) databases.wrong(`has ${name}, which lies within the folder of backups`);
    const same = target.databases.slice(0, n).find((each) => each.path === path);
    if (same) databases.wrong(`has ${same.name} and ${name}, which are the same file`);
    const without = target.trees.find(({ root, exclude }) => isWithinOrSame(root, path) && leaves(root, exclude, path));
    if (without) databases.wrong(`has ${name}, which lies within what exclude leaves out of ${without.name}`);
  }
  if (target.trees[0] !== undefined && isWithinOrSame(target.trees[0].root, place.backups))
    at.note(
      `holds the folder of backups, which is left out of its own backups. After a disk is lost both are gone: keep copies elsewhere`,
    );
}

/** Whether the file, or a folder above it, is excluded. */
function leaves(root: string, exclude: readonly string[], path: string): boolean {
  const isLeftOut = leftOutBy(exclude);
  const parts = relative(root, path).split(sep);
  return parts.some((_, n) => isLeftOut(bytePathOf(parts.slice(0, n + 1).join('/'))));
}

function judgeOverlap(found: readonly { target: Target; at: Located }[]): void {
  const trees = found.flatMap(({ target, at }) => target.trees.map((tree) => ({ target, at, tree })));
  for (const [n, one] of trees.entries())
    for (const other of trees.slice(n + 1))
      if (isWithinOrSame(one.tree.root, other.tree.root) || isWithinOrSame(other.tree.root, one.tree.root))
        other.at.wrong(
          `has the folder ${other.tree.root}, and ${one.target.name} has ${one.tree.root}: two restores would work on the same files`,
        );
}

function isWithinOrSame(folder: string, path: string): boolean {
  const below = relative(folder, path);
  return below === '' || (below !== '..' && !below.startsWith(`..${sep}`) && !isAbsolute(below));
}
