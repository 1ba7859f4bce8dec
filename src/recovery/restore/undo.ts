import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Fault } from '../../base/fault.ts';
import { writeWhole } from '../archive/manifest-file.ts';
import { type BytePath, bytesOf, shownPath } from '../byte-path.ts';
import { syncFolder } from '../disk.ts';
import type { Place } from '../place.ts';
import {
  adminDatabase,
  besideName,
  connectionOf,
  type DatabaseUnit,
  dropDatabases,
  oidOf,
} from '../postgres/database-units.ts';
import { askOnce } from '../postgres/session.ts';
import { bootId } from '../run/live-process.ts';
import type { RunRequest } from '../run/run-folder.ts';
import { type RunState, statusOf } from '../run/status.ts';
import { mountsAt } from '../source/mounts.ts';
import { identityAt, isSame } from './identity.ts';
import { lateUnits } from './load-late.ts';
import { realOr } from './placement.ts';
import { keptBelow } from './plan.ts';
import { attributesOf } from './run-tar.ts';
import { type Staying, type SwapRecord, swapRecordOf } from './swap-record.ts';
import { parentOf, type Unit, unitsOf } from './units.ts';

/** Says in a run's folder that the databases it put aside were removed: the journal alone cannot tell, nor can the disk. */
const droppedName = 'databases-dropped';

/** The old state that a run put aside, as far as it is still there. */
export type Leftover = { run: RunState; paths: string[]; sinceMs: number };

/**
 * The newest run of a target that can be undone: committed, and all that it put aside is still there.
 * @throws Fault `not-found`
 */
export function undoable(place: Pick<Place, 'state'>, target: string): RunState {
  const committed = statusOf(place).runs.filter(
    ({ request, outcome }) => request.target.name === target && outcome?.kind === 'committed',
  );
  const newest = committed.at(-1);
  if (newest === undefined)
    throw new Fault('not-found', `Nothing was restored to ${target} that could be undone.`, {
      hint: 'See: gaia status',
    });
  const record = swapRecordOf(newest.lines);
  const gone = record?.units.find(({ old, aside }) => old !== null && identityAt(aside) === null);
  if (record === undefined || gone !== undefined || existsSync(join(newest.folder, droppedName)))
    throw new Fault('not-found', `What the last restore of ${target} put aside is not there any more.`, {
      hint: `Restore a backup of before it: gaia list --target ${target}`,
    });
  return newest;
}

/** A rename takes along what is mounted below, and removing goes through it. */
function requireNoMount(path: BytePath): void {
  const { rootIsMount, inside } = mountsAt(shownPath(path));
  if (!rootIsMount && inside.length === 0) return;
  const at = inside[0] === undefined ? path : (`${path}/${inside[0]}` as BytePath);
  throw new Fault('conflict', `Another file system is mounted at ${shownPath(at)}.`, {
    hint: `Unmount it first: umount ${shownPath(at)}`,
  });
}

/** How the state of before a run takes the place of what is there now. */
export async function recordUndo(
  folder: string,
  request: RunRequest,
  place: Pick<Place, 'state'>,
  stamp: string,
): Promise<SwapRecord> {
  const run = statusOf(place).runs.find(({ id }) => id === request.undoes);
  const before = run && swapRecordOf(run.lines);
  if (run === undefined || before === undefined)
    throw new Fault('not-found', `There is no run ${request.undoes} to undo.`);
  const units = before.units.map((unit): Unit => {
    const there = identityAt(unit.aside);
    if (unit.old !== null && !isSame(there, unit.old, before.boot_id === bootId()))
      throw new Fault('conflict', `${shownPath(unit.aside)} is not what the restore put aside.`, {
        hint: 'Somebody changed it. Look at it before you go on.',
      });
    return {
      live: unit.live,
      stage: unit.aside,
      aside: asideFor(unit.aside, stamp),
      old: identityAt(unit.live),
      new: unit.old === null ? null : there,
    };
  });
  for (const each of before.staying) units.push(...cameSince(each, before.units, request, stamp));
  for (const { live, old } of units) if (old !== null) requireNoMount(live);
  requireNamesKnown(run, before);
  const databases = await namesBack(before.databases ?? [], request);
  const staying: Staying[] = [];
  for (const [n, each] of before.staying.entries()) {
    const names = { before: `staying-${n}-before.tar`, after: `staying-${n}-after.tar` };
    writeWhole(join(folder, names.before), await attributesOf(each.root, each.folders));
    writeWhole(join(folder, names.after), readFileSync(join(run.folder, each.before)));
    staying.push({ ...each, before: names.before, after: names.after, aside: asideFor(each.aside, stamp) });
  }
  syncFolder(folder);
  return { boot_id: bootId(), units, staying, databases, fresh: before.fresh ?? [] };
}

/** Where a server had its data was not known, so neither is whether that went aside with the files. */
function requireNamesKnown({ lines }: RunState, { fresh = [] }: SwapRecord): void {
  const unknown = fresh.filter(({ folder }) => folder === null).map(({ name }) => name);
  const [first] = (lateUnits(lines) ?? []).filter(({ name, old }) => old !== null && unknown.includes(name));
  if (first === undefined) return;
  throw new Fault('conflict', `${first.live} was loaded into a server whose data folder was not known then.`, {
    hint: `What was there before is the database ${first.aside} now, if it was not new. Give it its name back with ALTER DATABASE, and restore files from a backup of before.`,
  });
}

/** The databases that a run put aside get their names again. @throws Fault `conflict` when one is gone */
async function namesBack(before: readonly DatabaseUnit[], { id, target }: RunRequest): Promise<DatabaseUnit[]> {
  const units: DatabaseUnit[] = [];
  for (const { name, live, aside, old } of before) {
    const connection = await connectionOf(name, target);
    const [there, kept] = await askOnce(
      connection,
      async (session) => [await oidOf(session, live), await oidOf(session, aside)] as const,
      adminDatabase(live),
    );
    if (old !== null && kept !== old)
      throw new Fault('conflict', `The database ${aside} is not what the restore put aside (${connection.label}).`, {
        hint: 'Somebody renamed or removed it. Restore a backup of before it.',
      });
    units.push({ name, live, staged: aside, aside: besideName(live, 'old', id), old: there, new: old });
  }
  return units;
}

/**
 * What was made after the restore in folders that stay: it belongs to the state that is put aside. Without it the old state
 * would come back with parts of the new one in it.
 */
function cameSince(
  { root, aside, kept }: Staying,
  before: readonly Unit[],
  { target, only }: RunRequest,
  stamp: string,
): Unit[] {
  const live = shownPath(root);
  const tree = target.trees.find((each) => realOr(each.root) === live);
  if (tree === undefined) return [];
  const now = keptBelow({ tree, live, mounts: mountsAt(live).inside }, only === 'files');
  const known = new Set(before.map((unit) => unit.live));
  const isKnown = (path: BytePath): boolean =>
    path.length > root.length && (known.has(path) || isKnown(parentOf(path)));
  const { units } = unitsOf({
    live: root,
    // Nothing of the old state lies there under these names.
    stage: `${aside}.none` as BytePath,
    aside: asideFor(aside, stamp),
    keep: new Set([...kept, ...now]),
    topStays: true,
  });
  return units.filter((unit) => !isKnown(unit.live));
}

const stampEnd = /\.pre-restore\.\d{8}T\d{6}Z(-\d+)?/;

/** As before, with the time of this run. */
function asideFor(aside: BytePath, stamp: string): BytePath {
  return aside.replace(stampEnd, `.pre-restore.${stamp}`) as BytePath;
}

/** Those that exchanged their names. What a new server had beside is left alone: it may be older than it. */
function databasesOf({ lines }: RunState): DatabaseUnit[] {
  return [...(swapRecordOf(lines)?.databases ?? [])];
}

/** What restores have put aside and is still there, oldest first. */
export function leftovers(place: Pick<Place, 'state'>, target?: string): Leftover[] {
  const { runs } = statusOf(place);
  // What an undo has given its name back is put aside no longer; nobody asks the server for that.
  const usedAgain = new Set(
    runs.flatMap(({ outcome, request, lines }) =>
      outcome?.kind === 'committed' && request.kind === 'undo'
        ? (swapRecordOf(lines)?.databases ?? []).map(({ name, staged }) => `${name} ${staged}`)
        : [],
    ),
  );
  return runs.flatMap((run) => {
    if (run.outcome?.kind !== 'committed' || (target !== undefined && run.request.target.name !== target)) return [];
    const record = swapRecordOf(run.lines);
    const sameBoot = record?.boot_id === bootId();
    const paths = (record?.units ?? []).flatMap(({ old, aside }) =>
      isSame(identityAt(aside), old, sameBoot) ? [shownPath(aside)] : [],
    );
    const kept = existsSync(join(run.folder, droppedName)) ? [] : databasesOf(run);
    const databases = kept.flatMap(({ old, aside, name }) =>
      old === null || usedAgain.has(`${name} ${aside}`) ? [] : [`database ${aside}`],
    );
    if (paths.length + databases.length === 0) return [];
    return [{ run, paths: [...paths, ...databases], sinceMs: Date.parse(run.outcome.at) }];
  });
}

/**
 * Removes what a run put aside; it cannot be undone after that. Only what still is what was put there.
 * @throws Fault `conflict`, with nothing removed, when another file system is mounted in it: its files are nobody's leftover
 */
export async function removeLeftover({ run }: Leftover): Promise<void> {
  const record = swapRecordOf(run.lines);
  for (const { old, aside } of record?.units ?? []) if (old !== null) requireNoMount(aside);
  const databases = databasesOf(run).filter(({ old }) => old !== null);
  if (databases.length > 0 && !existsSync(join(run.folder, droppedName))) {
    await dropDatabases(
      databases.map(({ name, aside }) => ({ name, database: aside })),
      run.request.target,
    );
    writeWhole(join(run.folder, droppedName), Buffer.from(''));
  }
  for (const { old, aside } of record?.units ?? [])
    if (old !== null && isSame(identityAt(aside), old, record?.boot_id === bootId()))
      rmSync(bytesOf(aside), { recursive: true, force: true });
}
