import { readFileSync } from 'node:fs';
import { basename, dirname, join as joinPath } from 'node:path';
import { writeWhole } from '../archive/manifest-file.ts';
import { type BytePath, bytePathOf, shownPath } from '../byte-path.ts';
import { syncFolder } from '../disk.ts';
import type { AwayServer } from '../postgres/away.ts';
import type { DatabaseUnit } from '../postgres/database-units.ts';
import type { JournalLine } from '../run/journal.ts';
import { identityAt } from './identity.ts';
import type { Placement } from './placement.ts';
import { type Prepared, singleDatabases } from './plan.ts';
import { applyAttributes, attributesOf } from './run-tar.ts';
import { restoredName } from './settle-databases.ts';
import { type Unit, unitsOf } from './units.ts';

/** A folder that stays while what is in it is swapped, and its attributes before and after, as files of the run. */
export type Staying = {
  root: BytePath;
  folders: BytePath[];
  before: string;
  after: string | null;
  /** Where what is put aside of it lies, and what in it was not touched. */
  aside: BytePath;
  kept: BytePath[];
};

/** All that is needed to finish a swap or to take it back. It stands in the journal before the first rename. */
export type SwapRecord = {
  boot_id: string;
  units: Unit[];
  staying: Staying[];
  databases?: DatabaseUnit[];
  fresh?: AwayServer[];
};

const sidecars = ['-wal', '-shm', '-journal'];

/** Looks at what is staged and what is live, and writes down how the one takes the place of the other. */
export async function recordSwap(
  folder: string,
  boot: string,
  prepared: Prepared,
  stamp: string,
  fresh: readonly AwayServer[] = [],
): Promise<SwapRecord> {
  const { scope, placement, keep } = prepared;
  const record: SwapRecord = { boot_id: boot, units: [], staying: [] };
  if (scope.kind === 'all' || scope.kind === 'files') {
    for (const tree of placement.trees) {
      const roots = { live: bytePathOf(tree.live), stage: bytePathOf(tree.stage), aside: bytePathOf(tree.aside) };
      const kept = keep.get(tree) ?? new Set<BytePath>();
      const found = unitsOf({ ...roots, keep: kept, topStays: tree.rootIsMount });
      // Where something stays, what is put aside lies beside the tree in a folder of the same shape.
      record.units.push(...found.units);
      if (found.stays.length > 0)
        record.staying.push({
          ...(await staying(folder, record.staying.length, roots, found.stays)),
          aside: roots.aside,
          kept: [...kept],
        });
    }
  } else if (scope.kind === 'path') record.units.push(...pathUnits(prepared, scope, stamp));
  for (const { live, stage, aside } of singleDatabases(scope, placement)) {
    record.units.push(unit(live, stage, aside));
    for (const end of sidecars) record.units.push(unit(live + end, stage + end, aside + end));
    const note = (path: string) => joinPath(dirname(path), restoredName);
    record.units.push(unit(note(live), note(stage), `${note(live)}.pre-restore.${stamp}`));
  }
  for (const server of fresh) record.units.push(...dataUnits(server, record.units, prepared, stamp));
  syncFolder(folder);
  record.units = distinct(record.units).filter((each) => each.old !== null || each.new !== null);
  return record;
}

/** A data folder goes aside with the tree it lies in, where that is swapped as a whole; else by itself. */
function dataUnits({ folder }: AwayServer, units: readonly Unit[], { placement }: Prepared, stamp: string): Unit[] {
  if (
    folder === null ||
    units.some(({ live }) => folder === shownPath(live) || folder.startsWith(`${shownPath(live)}/`))
  )
    return [];
  const stage = joinPath(placement.postgres[0]?.stageFolder ?? folder, 'none');
  return [unit(folder, stage, `${folder}.pre-restore.${stamp}`)];
}

function pathUnits(
  { placement, keep }: Prepared,
  scope: { tree: Placement['trees'][number]; path: BytePath },
  stamp: string,
): Unit[] {
  const { tree, path } = scope;
  // A database is a file with others beside it; see singleDatabases.
  if (placement.databases.some((each) => each.tree === tree && each.path === path)) return [];
  const inside = new Set<BytePath>();
  for (const kept of keep.get(tree) ?? [])
    if (kept.startsWith(`${path}/`)) inside.add(kept.slice(path.length + 1) as BytePath);
  const at = (root: string, end = '') => `${bytePathOf(root)}/${path}${end}` as BytePath;
  return unitsOf({
    live: at(tree.live),
    stage: at(tree.stage),
    aside: at(tree.live, `.pre-restore.${stamp}`),
    keep: inside,
    topStays: false,
  }).units;
}

function unit(live: string, stage: string, aside: string): Unit {
  const [a, b] = [bytePathOf(live), bytePathOf(stage)];
  return { live: a, stage: b, aside: bytePathOf(aside), old: identityAt(a), new: identityAt(b) };
}

/** Two databases in one folder share the note beside them. */
function distinct(units: readonly Unit[]): Unit[] {
  return [...new Map(units.map((each) => [each.live, each])).values()];
}

async function staying(
  folder: string,
  n: number,
  roots: { live: BytePath; stage: BytePath },
  folders: BytePath[],
): Promise<Omit<Staying, 'aside' | 'kept'>> {
  const before = `staying-${n}-before.tar`;
  writeWhole(joinPath(folder, before), await attributesOf(roots.live, folders));
  const staged = folders.filter(
    (path) => identityAt((path === '' ? roots.stage : `${roots.stage}/${path}`) as BytePath) !== null,
  );
  if (staged.length === 0) return { root: roots.live, folders, before, after: null };
  const after = `staying-${n}-after.tar`;
  writeWhole(joinPath(folder, after), await attributesOf(roots.stage, staged));
  return { root: roots.live, folders, before, after };
}

/** Gives the folders that stay their new attributes, or their old ones back. Safe to repeat. */
export async function applyStaying(
  folder: string,
  { staying: all }: SwapRecord,
  which: 'before' | 'after',
): Promise<void> {
  for (const each of all) {
    const name = each[which];
    if (name !== null) await applyAttributes(each.root, readFileSync(joinPath(folder, basename(name))));
  }
}

/** The record of a run's swap, if it came so far. */
export function swapRecordOf(lines: readonly JournalLine[]): SwapRecord | undefined {
  const line = lines.find(({ step, state }) => step === 'swap' && state === 'begin');
  return line?.facts as SwapRecord | undefined;
}

/** The folders in which a run staged, if it came so far. */
export function stagesOf(lines: readonly JournalLine[]): string[] {
  const line = lines.find(({ step, state }) => step === 'stage' && state === 'begin');
  return (line?.facts.folders as string[] | undefined) ?? [];
}

/** The databases that a run made, or began to make, beside the live ones. */
export function loadedBy(lines: readonly JournalLine[]): { name: string; database: string }[] {
  const units = lines
    .filter(({ step, state }) => step === 'load' && state === 'begin')
    .flatMap(({ facts }) => (facts.databases ?? []) as Pick<DatabaseUnit, 'name' | 'staged'>[]);
  const names = new Map(units.map(({ name, staged }) => [staged, { name, database: staged }]));
  return [...names.values()];
}
