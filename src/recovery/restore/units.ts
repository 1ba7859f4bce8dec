import { lstatSync, readdirSync } from 'node:fs';
import { Fault } from '../../base/fault.ts';
import { type BytePath, bytePath, bytesOf, shownPath } from '../byte-path.ts';
import { isOwnLeftover } from '../source/left-out.ts';
import { type Identity, identityAt } from './identity.ts';

/**
 * One thing that is swapped as a whole. All paths are absolute. `old` lies at `live` now and goes to `aside`; `new` lies at
 * `stage` and goes to `live`. Either may be null: a file that is added, or one that goes.
 */
export type Unit = { live: BytePath; stage: BytePath; aside: BytePath; old: Identity | null; new: Identity | null };

/** Units of one tree, and the folders that stay where they are, relative to it (`` is its top). */
export type TreeUnits = { units: Unit[]; stays: BytePath[] };

/** More would make the time between two states long, and the journal's line larger than anybody wants. */
const maxUnits = 100_000;

type Roots = {
  live: BytePath;
  stage: BytePath;
  aside: BytePath;
  /** Below the tree, what must stay where it is: mount points, what the configuration excludes. */
  keep: ReadonlySet<BytePath>;
  /** The top itself cannot be renamed, being a mount point. */
  topStays: boolean;
};

/**
 * How a staged tree takes the place of a live one: as one unit where nothing inside has to stay; else the folder stays and
 * what is in it are units, down to what must stay.
 * @throws Fault `conflict` when the backup has a file where something that stays lies below a folder
 */
export function unitsOf(roots: Roots): TreeUnits {
  const { live, stage, aside, keep, topStays } = roots;
  const result: TreeUnits = { units: [], stays: [] };
  const above = foldersAbove(keep);
  if (!topStays && keep.size === 0) return { units: [unitOf(live, stage, aside)], stays: [] };

  function folder(path: BytePath): void {
    result.stays.push(path);
    const names = new Set([...namesIn(join(live, path)), ...namesIn(join(stage, path))]);
    for (const name of names) {
      const below = (path === '' ? name : `${path}/${name}`) as BytePath;
      if (keep.has(below) || (path === '' && isOwnLeftover(name))) continue;
      if (above.has(below) && isFolder(join(live, below))) {
        if (identityAt(join(stage, below)) !== null && !isFolder(join(stage, below)))
          throw new Fault(
            'conflict',
            `${shownPath(join(live, below))} holds something that stays, and is no folder in the backup.`,
            {
              hint: 'Move what stays elsewhere, or change exclude and mounts in the configuration.',
            },
          );
        folder(below);
      } else result.units.push(unitOf(join(live, below), join(stage, below), join(aside, below)));
      if (result.units.length > maxUnits)
        throw new Fault(
          'conflict',
          `More than ${maxUnits} things would have to be swapped one by one in ${shownPath(live)}.`,
          {
            hint: 'Something in it must stay (a mount, an excluded path), and the folders around it are too full. Restore with --only PATH.',
          },
        );
    }
  }

  folder('' as BytePath);
  return result;
}

function unitOf(live: BytePath, stage: BytePath, aside: BytePath): Unit {
  return { live, stage, aside, old: identityAt(live), new: identityAt(stage) };
}

function foldersAbove(paths: ReadonlySet<BytePath>): Set<BytePath> {
  const above = new Set<BytePath>();
  for (const path of paths)
    for (let end = path.lastIndexOf('/'); end > 0; end = path.lastIndexOf('/', end - 1))
      above.add(path.slice(0, end) as BytePath);
  return above;
}

function namesIn(path: BytePath): BytePath[] {
  if (!isFolder(path)) return [];
  return readdirSync(bytesOf(path), { encoding: 'buffer' }).map(bytePath);
}

function isFolder(path: BytePath): boolean {
  return lstatSync(bytesOf(path), { throwIfNoEntry: false })?.isDirectory() === true;
}

function join(folder: BytePath, below: BytePath): BytePath {
  return (below === '' ? folder : `${folder}/${below}`) as BytePath;
}

/** The folder that holds an absolute path. */
export function parentOf(path: BytePath): BytePath {
  return (path.slice(0, path.lastIndexOf('/')) || '/') as BytePath;
}
