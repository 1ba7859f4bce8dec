import { readFileSync } from 'node:fs';
import { Fault } from '../../base/fault.ts';
import { type BytePath, bytePathOf, shownPath } from '../byte-path.ts';
import type { Tree } from '../target.ts';
import { leftOutBy } from './left-out.ts';

/** Mount points below a root, relative to it, and whether the root is one. Links in the root must be resolved. */
export type Mounts = { rootIsMount: boolean; inside: BytePath[] };

const mountInfo = '/proc/self/mountinfo';

/** Reads the kernel's list; `text` is for tests. Nothing is found where there is no such list. */
export function mountsAt(root: string, text = readMountInfo()): Mounts {
  const base = bytePathOf(root);
  const inside = new Set<BytePath>();
  let rootIsMount = false;
  for (const line of text.split('\n')) {
    const field = line.split(' ')[4];
    if (field === undefined) continue;
    const point = field.replace(/\\([0-7]{3})/g, (_, octal) => String.fromCharCode(Number.parseInt(octal, 8)));
    if (point === base) rootIsMount = true;
    else if (point.startsWith(base === '/' ? '/' : `${base}/`)) inside.add(point.slice(base.length + 1) as BytePath);
  }
  return { rootIsMount, inside: [...inside].sort() };
}

function readMountInfo(): string {
  try {
    return readFileSync(mountInfo, 'latin1');
  } catch {
    return ''; // No Linux, or no /proc.
  }
}

/**
 * The mounts inside a tree that belong to the backup, and those that do not. Each must be named: tar would store a mounted
 * folder as an empty one.
 * @throws Fault `usage` naming those that are not
 */
export function sortMounts(tree: Tree, inside: readonly BytePath[]): { included: BytePath[]; excluded: BytePath[] } {
  const within = (path: BytePath, list: readonly string[]) =>
    list.some((each) => path === bytePathOf(each) || path.startsWith(`${bytePathOf(each)}/`));
  const byGlob = leftOutBy(tree.exclude);
  const isLeftOut = (path: string): boolean =>
    byGlob(path as BytePath) || (path.includes('/') && isLeftOut(path.slice(0, path.lastIndexOf('/'))));
  const excluded = inside.filter((path) => within(path, tree.mounts.exclude) || isLeftOut(path));
  const included = inside.filter((path) => !excluded.includes(path) && within(path, tree.mounts.include));
  const unnamed = inside.filter((path) => !excluded.includes(path) && !included.includes(path));
  if (unnamed.length > 0)
    throw new Fault(
      'usage',
      `Other file systems are mounted inside ${tree.root}: ${unnamed.map(shownPath).join(', ')}.`,
      {
        hint: `Say of each whether it belongs to the backup: mounts: { include: [${shownPath(unnamed[0] as BytePath)}] } or { exclude: [...] }`,
      },
    );
  return { included, excluded };
}
