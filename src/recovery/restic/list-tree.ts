import { type BigIntStats, lstatSync, readdirSync, readlinkSync } from 'node:fs';
import type { Listed } from '../archive/listed.ts';
import { type BytePath, bytePath, bytePathOf, shownPath, utf8Of } from '../byte-path.ts';
import { isOwnLeftover } from '../source/left-out.ts';
import { withLongPath } from '../source/long-path.ts';
import { readable } from './pattern.ts';
import type { SnapshotNode, SnapshotTree } from './snapshot-tree.ts';

/** A folder that a snapshot holds, and what its members are called in a list of files. */
export type ListedFolder = {
  /** Absolute, symlinks resolved. */
  root: string;
  /** `files/dev`; empty for the folder whose members are at the top. */
  prefix: string;
  leaveOut: ReadonlySet<BytePath>;
  /** Mounts that are not entered: there as empty folders. */
  notEntered: ReadonlySet<BytePath>;
  /** Folders in which changes mean nothing, as those of databases. */
  busy: ReadonlySet<BytePath>;
};

/**
 * What a snapshot will hold of some folders if nothing changes meanwhile, as the disk has it now. Where `listFolder` finds no
 * difference afterwards, it is what restic has read, and need not be asked for.
 */
export async function expectedTree(folders: readonly ListedFolder[]): Promise<SnapshotTree['nodes']> {
  const nodes: SnapshotTree['nodes'] = new Map();
  for (const folder of folders)
    await eachBelow(folder, (path, stats) => {
      const whole = wholePath(folder.root, path);
      const text = readable(whole, '\uFFFD');
      const node = nodeOf(text, stats);
      const same = nodes.get(text);
      if (same === undefined) nodes.set(text, [node]);
      else same.push(node);
      return true;
    });
  return nodes;
}

function nodeOf(path: string, stats: BigIntStats): SnapshotNode {
  const kind = stats.isFile()
    ? 'file'
    : stats.isDirectory()
      ? 'directory'
      : stats.isSymbolicLink()
        ? 'symlink'
        : 'other';
  return {
    ...{ kind, path, mode: Number(stats.mode & 0o7777n), uid: Number(stats.uid), gid: Number(stats.gid) },
    ...{ size: Number(stats.size), mtimeNs: stats.mtimeNs, ctimeNs: stats.ctimeNs },
  };
}

const wholePath = (root: string, path: BytePath) =>
  path === '' ? bytePathOf(root) : (`${bytePathOf(root)}/${path}` as BytePath);

/** Names of a folder, parents first, without what is left out. Entered where `visit` says so. */
async function eachBelow(
  { root, leaveOut, notEntered }: Pick<ListedFolder, 'root' | 'leaveOut' | 'notEntered'>,
  visit: (path: BytePath, stats: BigIntStats) => boolean,
): Promise<void> {
  let done = 0;
  async function one(path: BytePath): Promise<void> {
    if (++done % 500 === 0) await new Promise((resume) => setImmediate(resume));
    const stats = withLongPath(root, path, (at) => lstatSync(at, { bigint: true, throwIfNoEntry: false }));
    if (stats === undefined || !visit(path, stats) || !stats.isDirectory() || notEntered.has(path)) return;
    for (const name of namesIn(root, path)) {
      const below = (path === '' ? name : `${path}/${name}`) as BytePath;
      if (!leaveOut.has(below) && !isOwnLeftover(name)) await one(below);
    }
  }
  await one('' as BytePath);
}

export type ListInto = {
  add(listed: Listed): void;
  /** What was not the same any more after restic had read it. */
  changed(says: string): void;
  /** Something is there that restic has not met. */
  came(): void;
  /** What lies in the folder and is none of it. */
  skip(path: string): boolean;
};

/**
 * Compares a folder with what a snapshot holds of it, and lists the latter. Sizes, owners, modes and times are restic's; what it
 * does not tell, as which names are one file and where symlinks lead, is looked at on the disk, where nothing has changed since.
 */
export async function listFolder(folder: ListedFolder, nodes: SnapshotTree['nodes'], into: ListInto): Promise<void> {
  const { root, prefix, busy } = folder;
  const firstNames = new Map<string, string>();
  const seen = new Set<SnapshotNode>();
  await eachBelow(folder, (path, stats) => {
    const node = closest(nodes.get(readable(wholePath(root, path), '\uFFFD')) ?? [], stats, seen);
    if (node === undefined) {
      into.came();
      return false;
    }
    seen.add(node);
    if (node.ctimeNs !== stats.ctimeNs && !(node.kind === 'directory' && busy.has(path)))
      into.changed(path === '' ? root : shownPath(path));
    const member = (prefix === '' ? path : path === '' ? prefix : `${prefix}/${path}`) as BytePath;
    if (member !== '') into.add(lineOf(member, node, root, path, stats, firstNames));
    return node.kind === 'directory';
  });
  missed(root, nodes, seen, into);
}

/** What restic has read and is gone. */
function missed(root: string, nodes: SnapshotTree['nodes'], seen: ReadonlySet<SnapshotNode>, into: ListInto): void {
  const top = readable(bytePathOf(root), '\uFFFD');
  for (const [path, same] of nodes) {
    if (path !== top && !path.startsWith(`${top}/`)) continue;
    for (const node of same) if (!seen.has(node) && !into.skip(path)) into.changed(`${path} (gone since)`);
  }
}

/** Names that look the same as text are told apart by their times. */
function closest(
  same: readonly SnapshotNode[],
  { ctimeNs }: BigIntStats,
  seen: ReadonlySet<SnapshotNode>,
): SnapshotNode | undefined {
  const free = same.filter((node) => !seen.has(node));
  return free.find((node) => node.ctimeNs === ctimeNs) ?? free[0];
}

function lineOf(
  member: BytePath,
  node: SnapshotNode,
  root: string,
  path: BytePath,
  stats: BigIntStats,
  firstNames: Map<string, string>,
): Listed {
  const name = utf8Of(member);
  const base = {
    ...(name === undefined ? { path_b64: base64Of(member) } : { path: name }),
    mode: node.mode.toString(8).padStart(4, '0'),
    uid: node.uid,
    gid: node.gid,
    mtime: timeText(node.mtimeNs),
  };
  if (node.kind === 'symlink') {
    const text = stats.isSymbolicLink()
      ? withLongPath(root, path, (at) => bytePath(readlinkSync(at, { encoding: 'buffer' })))
      : ('' as BytePath);
    return { ...base, type: 'symlink', ...linkTo(text), offset: 0 };
  }
  if (node.kind === 'directory') return { ...base, type: 'directory', offset: 0 };
  if (stats.nlink > 1n) {
    const inode = `${stats.dev}:${stats.ino}`;
    const first = firstNames.get(inode);
    if (first !== undefined) return { ...base, type: 'hardlink', ...linkTo(first as BytePath), offset: 0 };
    firstNames.set(inode, member);
  }
  return { ...base, type: 'file', size: node.size, offset: 0 };
}

function linkTo(path: BytePath): Pick<Listed, 'link' | 'link_b64'> {
  const text = utf8Of(path);
  return text === undefined ? { link_b64: base64Of(path) } : { link: text };
}

function namesIn(root: string, path: BytePath): BytePath[] {
  try {
    return withLongPath(root, path, (at) => readdirSync(at, { encoding: 'buffer' })).map((name) => bytePath(name));
  } catch {
    return []; // Gone, or not to be read: restic says so.
  }
}

const base64Of = (path: BytePath) => Buffer.from(path, 'latin1').toString('base64');

/** Seconds, rounded down, and nine digits. */
function timeText(ns: bigint): string {
  const rest = ((ns % 1_000_000_000n) + 1_000_000_000n) % 1_000_000_000n;
  return `${(ns - rest) / 1_000_000_000n}.${String(rest).padStart(9, '0')}`;
}
