import { closeSync, fsyncSync, mkdirSync, openSync, renameSync } from 'node:fs';
import { Fault, reasonOf } from '../../base/fault.ts';
import { type BytePath, bytesOf, shownPath } from '../byte-path.ts';
import { identityAt, isSame } from './identity.ts';
import { parentOf, type Unit } from './units.ts';

type SwapOptions = {
  /** Of the run, for the names of what is found in the way. */
  id: string;
  /** Whether the units were written down in this boot of the machine. */
  sameBoot: boolean;
  /** Called between any two renames; see engine.ts. */
  pause(point: string): void;
  /** Told of something that somebody made at a live path in between, and where it lies now. */
  onIntruder(at: BytePath, moved: BytePath): void;
};

/** How long a live path was missing, at most, in milliseconds. */
export type Swapped = { longestGapMs: number };

/**
 * Puts each unit's new state in its place and its old one aside. It looks where everything is before it renames anything, so
 * it may be repeated after a crash at any point, and when all is done it does nothing. Renames are on disk when it returns.
 * @throws Fault `conflict` when something is neither here nor there; then nothing was renamed
 */
export function swapIn(units: readonly Unit[], options: SwapOptions): Swapped {
  for (const { live, stage, new: wanted } of units) requireAt(live, stage, wanted, options);
  let longestGapMs = 0;
  for (const unit of units) longestGapMs = Math.max(longestGapMs, one(unit, options));
  syncFolders(parentsOf(units));
  return { longestGapMs };
}

function one(unit: Unit, options: SwapOptions): number {
  const { live, stage, aside } = unit;
  const at = (path: BytePath, wanted: string | null) => isSame(identityAt(path), wanted, options.sameBoot);
  if (unit.new !== null && at(live, unit.new)) return 0;
  let began = performance.now();
  if (unit.old !== null && at(live, unit.old)) {
    makeParent(aside);
    began = performance.now();
    rename(live, aside);
    options.pause('between the renames');
  } else moveIntruder(live, options);
  if (unit.new === null) return 0;
  makeParent(live);
  rename(stage, live);
  const gapMs = performance.now() - began;
  options.pause('after a swap');
  return unit.old === null ? 0 : gapMs;
}

/**
 * The way back: each unit's old state in its place again, the new one staged as before. Likewise safe to repeat.
 * @throws Fault `conflict` when an old state is neither here nor there; then nothing was renamed, for half of it would be
 * the worst of all
 */
export function takeBack(units: readonly Unit[], options: SwapOptions): void {
  for (const { live, aside, old } of units) requireAt(live, aside, old, options);
  for (const unit of [...units].reverse()) {
    const { live, stage, aside } = unit;
    const at = (path: BytePath, wanted: string | null) => isSame(identityAt(path), wanted, options.sameBoot);
    if (unit.new !== null && at(live, unit.new)) {
      makeParent(stage);
      rename(live, stage);
      options.pause('between the renames back');
    } else if (unit.old === null || !at(live, unit.old)) moveIntruder(live, options);
    if (unit.old !== null && !at(live, unit.old)) {
      makeParent(live);
      rename(aside, live);
      options.pause('after a swap back');
    }
  }
  syncFolders(parentsOf(units));
}

/** What is at a live path and was put there by nobody of us, as by a service that makes its folder when it is missing. */
function moveIntruder(live: BytePath, { id, onIntruder }: SwapOptions): void {
  if (identityAt(live) === null) return;
  for (let n = 1; ; n++) {
    const moved = `${live}.gaia-intruder-${id}${n === 1 ? '' : `-${n}`}` as BytePath;
    if (identityAt(moved) !== null) continue;
    rename(live, moved);
    onIntruder(live, moved);
    return;
  }
}

function rename(from: BytePath, to: BytePath): void {
  // A file would be replaced without a word, and it may be all there is of an old state.
  if (identityAt(to) !== null)
    throw new Fault(
      'conflict',
      `${shownPath(from)} cannot be renamed to ${shownPath(to)}, where something is already.`,
      {
        hint: 'Look at it and move it elsewhere; then go on: gaia resume, or gaia resume --back',
      },
    );
  try {
    renameSync(bytesOf(from), bytesOf(to));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const hints: Readonly<Record<string, string>> = {
      EBUSY: 'Something is mounted there. Unmount it, and go on: gaia resume',
      EXDEV: 'It lies on another file system than it did. Mount it as it was, and go on: gaia resume',
      EROFS: 'Its file system has become read-only. Look at dmesg; then go on: gaia resume',
    };
    throw new Fault('conflict', `${shownPath(from)} cannot be renamed to ${shownPath(to)}: ${reasonOf(error)}.`, {
      hint: hints[code ?? ''] ?? 'Mend that and go on: gaia resume, or gaia resume --back',
      cause: error,
    });
  }
}

/** Makes the folders above a path that are missing. Their names are on disk when it returns, for a rename goes into them. */
function makeParent(path: BytePath): void {
  const parent = parentOf(path);
  if (identityAt(parent) !== null) return;
  makeParent(parent);
  mkdirSync(bytesOf(parent), { mode: 0o700 });
  syncFolders([parentOf(parent)]);
}

function requireAt(live: BytePath, other: BytePath, wanted: string | null, { sameBoot }: SwapOptions): void {
  if (wanted === null || [live, other].some((path) => isSame(identityAt(path), wanted, sameBoot))) return;
  throw new Fault('conflict', `What should lie at ${shownPath(other)} is neither there nor at ${shownPath(live)}.`, {
    hint: 'Somebody moved it while the run was interrupted. Put it back, and try again.',
  });
}

function parentsOf(units: readonly Unit[]): Set<BytePath> {
  return new Set(units.flatMap(({ live, stage, aside }) => [parentOf(live), parentOf(stage), parentOf(aside)]));
}

function syncFolders(folders: Iterable<BytePath>): void {
  for (const folder of folders) {
    let fd: number | undefined;
    try {
      fd = openSync(bytesOf(folder), 'r');
      fsyncSync(fd);
    } catch (error) {
      // A folder that nothing was put into was never made.
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    } finally {
      if (fd !== undefined) closeSync(fd);
    }
  }
}
