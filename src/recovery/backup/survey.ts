import { realpathSync, statSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { Fault } from '../../base/fault.ts';
import { type BytePath, bytePathOf, shownPath, utf8Of } from '../byte-path.ts';
import type { Place } from '../place.ts';
import { leftOutBy } from '../source/left-out.ts';
import { mountsAt, sortMounts } from '../source/mounts.ts';
import { specialNotes, type Walked, walkTree } from '../source/walk.ts';
import type { Target, Tree } from '../target.ts';

/** A tree with what is to be read of it. */
export type SurveyedTree = {
  tree: Tree;
  /** The root with symlinks resolved. */
  root: string;
  /** Mounts inside that belong to the backup. */
  included: BytePath[];
  /** Below the root, not to be read as files: excluded, special, databases and what lies beside them. */
  leaveOut: BytePath[];
};

export type SurveyedDatabase = {
  name: string;
  /** Absolute. */
  file: string;
  tree: string | null;
  /** Within the tree, or absolute. */
  path: string;
  discovered: boolean;
};

export type Survey = {
  trees: SurveyedTree[];
  databases: SurveyedDatabase[];
  files: number;
  bytes: number;
  notes: string[];
  degraded: string[];
};

const beside = ['', '-wal', '-shm', '-journal'];

/**
 * Looks at everything that a target is made of, before anything is copied. `dumped` are the data folders of PostgreSQL
 * servers that are asked for their databases.
 * @throws Fault `not-found`, `usage`
 */
export function survey(target: Target, place: Pick<Place, 'backups'>, dumped: readonly string[] = []): Survey {
  const result: Survey = { trees: [], databases: [], files: 0, bytes: 0, notes: [], degraded: [] };
  const folders = new Set(dumped.map(realOr));
  for (const tree of target.trees) surveyTree(tree, target, place, folders, result);
  for (const { name, path } of target.databases) {
    if (result.databases.some((each) => each.name === name)) continue;
    requireFile(path);
    result.databases.push({ name, file: path, tree: null, path, discovered: false });
    result.bytes += statSync(path).size;
  }
  return result;
}

function surveyTree(
  tree: Tree,
  target: Target,
  place: Pick<Place, 'backups'>,
  dumped: ReadonlySet<string>,
  result: Survey,
): void {
  const root = realRoot(tree);
  const { inside } = mountsAt(root);
  const { included, excluded } = sortMounts(tree, inside);
  const own = within(root, realOr(place.backups));
  const excludedByGlob = leftOutBy(tree.exclude);
  const leftOut = (path: BytePath) => path === own || excludedByGlob(path);
  const walked = walkTree(root, { leftOut, notEntered: new Set(excluded) });
  const servers = walked.postgres.filter((path) => dumped.has(join(root, shownPath(path))));
  refusePostgres(root, walked, servers);
  const databases = databasesOf(tree, root, target, walked, result.databases);
  result.databases.push(...databases);
  result.trees.push({
    tree,
    root,
    included,
    leaveOut: [
      ...walked.leftOut,
      ...servers,
      ...walked.special.map(({ path }) => path),
      ...databases.flatMap(({ path }) => beside.map((end) => bytePathOf(path + end))),
      ...databases.map(({ path }) => restoredNote(bytePathOf(path))),
    ],
  });
  result.files += walked.files;
  result.bytes += walked.bytes;
  result.notes.push(
    ...specialNotes(walked.special),
    ...excluded.map((path) => `left out: ${shownPath(path)} is another file system, excluded by name`),
    ...databases
      .filter(({ discovered }) => discovered)
      .map(({ path }) => `copied by SQLite, though not configured: ${path}`),
  );
  result.degraded.push(...walked.unreadable.map((path) => `could not be read: ${shownPath(path)}`));
}

/** `RESTORED.json` beside a database speaks of an earlier restore. */
function restoredNote(path: BytePath): BytePath {
  return `${path.slice(0, path.lastIndexOf('/') + 1)}RESTORED.json` as BytePath;
}

function databasesOf(
  tree: Tree,
  root: string,
  target: Target,
  walked: Walked,
  taken: readonly SurveyedDatabase[],
): SurveyedDatabase[] {
  const names = new Set([...taken, ...target.databases].map(({ name }) => name));
  const configured = target.databases.flatMap(({ name, path }): SurveyedDatabase[] => {
    const below = within(root, realOr(path));
    if (below === undefined || below === '') return [];
    requireFile(path);
    return [{ name, file: realOr(path), tree: tree.name, path: utf8Of(below) ?? '', discovered: false }];
  });
  const found: SurveyedDatabase[] = [];
  for (const path of walked.databases) {
    const text = utf8Of(path);
    // One whose name is no UTF-8 is read as a file like any other.
    if (text === undefined || configured.some((each) => each.path === text)) continue;
    const name = freeDatabaseName(text, names);
    names.add(name);
    found.push({ name, file: join(root, text), tree: tree.name, path: text, discovered: true });
  }
  return [...configured, ...found];
}

function freeDatabaseName(path: string, taken: ReadonlySet<string>): string {
  const stem = path
    .toLowerCase()
    .replace(/\.(db|db3|sqlite|sqlite3)$/, '')
    .replace(/[^a-z0-9._-]+/g, '-')
    .replace(/^[-.]+/, '');
  const short = stem.slice(-80) || 'database';
  let name = short;
  for (let n = 2; taken.has(name); n++) name = `${short}-${n}`;
  return name;
}

function refusePostgres(root: string, { postgres }: Walked, servers: readonly BytePath[]): void {
  const first = postgres.find((path) => !servers.includes(path));
  if (first === undefined) return;
  const at = first === '' ? root : join(root, shownPath(first));
  throw new Fault(
    'usage',
    `${at} is the data folder of a PostgreSQL server, which must not be copied as files while it runs.`,
    {
      hint: 'A copy of such a folder often does not start. Name its databases in the configuration, with engine: postgres and how to reach the server; or leave the folder out with exclude.',
    },
  );
}

function requireFile(path: string): void {
  if (!statSync(path, { throwIfNoEntry: false })?.isFile())
    throw new Fault('not-found', `There is no database at ${path}, which the configuration names.`, {
      hint: 'Correct its path, or take it out of the configuration.',
    });
}

function realRoot({ root, name }: Tree): string {
  const found = statSync(root, { throwIfNoEntry: false });
  if (!found?.isDirectory())
    throw new Fault('not-found', `There is no folder ${root} to back up (${name}).`, {
      hint: 'Correct root in the configuration. If it is on a disk that is not mounted, mount it.',
    });
  return realpathSync(root);
}

function realOr(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path; // Not there: judged by its name.
  }
}

/** The path below a root, empty for the root itself; undefined when it lies elsewhere. */
function within(root: string, path: string): BytePath | undefined {
  const below = relative(root, path);
  if (below === '..' || below.startsWith(`..${sep}`) || below.startsWith('/')) return undefined;
  return bytePathOf(below);
}
