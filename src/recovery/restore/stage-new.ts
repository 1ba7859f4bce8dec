import { mkdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { rfc3339 } from '../../base/clock.ts';
import { Fault } from '../../base/fault.ts';
import { makeFolder } from '../../base/files.ts';
import { type AwayServer, untilServes } from '../postgres/away.ts';
import { checkServers } from '../postgres/check-server.ts';
import { connectionOf, type DatabaseUnit } from '../postgres/database-units.ts';
import { loadBeside, unitNames } from '../postgres/load.ts';
import type { JournalLine, Step } from '../run/journal.ts';
import { bootId } from '../run/live-process.ts';
import type { RunRequest } from '../run/run-folder.ts';
import { stopsOf } from '../target.ts';
import { compareStaged } from './compare.ts';
import type { EngineDeps } from './engine.ts';
import { flushTo } from './flush.ts';
import { keepTime } from './keep-time.ts';
import { type OpenBackup, openBackup, openerOf } from './open-backup.ts';
import { openFilesBelow, requireNoWriter } from './open-files.ts';
import { stageFolders } from './placement.ts';
import { keptPaths, type Prepared, planRestore, singleDatabases } from './plan.ts';
import { router, wantedDumps } from './selection.ts';
import { awayOf } from './servers-of.ts';
import type { Services } from './services.ts';
import { settleDatabases } from './settle-databases.ts';
import { stageOld } from './stage-old.ts';
import { recordSwap, type SwapRecord } from './swap-record.ts';

/** How long a server may take that was stopped, and may have to put its data in order first. */
const awakenMs = 120_000;

type Staging = {
  services: Services;
  folder: string;
  request: RunRequest;
  stamp: string;
  deps: EngineDeps;
  note(step: Step, state: JournalLine['state'], facts?: Record<string, unknown>): void;
};

/**
 * Preflight, stage, compare: everything up to the swap. Nothing live is touched.
 * @throws Fault for whatever forbids going on
 */
export async function stageNew(staging: Staging): Promise<SwapRecord> {
  const { request, deps, note, folder, stamp } = staging;
  note('preflight', 'begin', { running: await staging.services.look() });
  const { backup: asked } = request;
  if (asked === null) throw new Fault('invalid', 'The request names no backup.');
  const backup = await openBackup(asked.file, deps.known, openerOf(request));
  try {
    const away = backup.kind === 'own' ? await awayOf(backup, request) : [];
    const fresh = away.filter(({ kind }) => kind === 'fresh');
    const prepared = preflight(backup, staging, fresh);
    await awaken(away, staging);
    await requireServers(prepared, request, fresh);
    note('preflight', 'done', { plan: prepared.plan });
    const folders = stageFolders(prepared.placement);
    note('stage', 'begin', { folders });
    await makeStages(folders);
    if (backup.kind === 'own') await stageOwn(backup, prepared, staging);
    else await stageOld(backup.file, prepared.placement, deps.progress);
    note('stage', 'done', { files: prepared.plan.files, bytes: prepared.plan.bytes });
    note('compare', 'begin');
    if (backup.kind === 'own')
      await compareStaged({ selected: prepared.selection, totalBytes: prepared.plan.bytes, progress: deps.progress });
    await flushTo(folders);
    note('compare', 'done', { compared: prepared.selection.length });
    const databases = backup.kind === 'own' ? await loadDumps(backup, prepared, staging, fresh) : [];
    requireQuiet(prepared, staging);
    return { ...(await recordSwap(folder, bootId(), prepared, stamp, fresh)), databases, fresh };
  } finally {
    await backup.close();
  }
}

function preflight(backup: OpenBackup, { request, stamp, deps }: Staging, fresh: readonly AwayServer[]): Prepared {
  const { target, only, id } = request;
  const manifest = backup.kind === 'own' ? backup.signed.sha256 : null;
  if (manifest !== (request.backup?.manifest_sha256 ?? null))
    throw new Fault('conflict', 'The backup is not the one that was confirmed: its manifest has changed since.', {
      hint: 'Look at it again: gaia verify, gaia plan',
    });
  const prepared = planRestore(backup, {
    target,
    only,
    freshFolders: fresh.flatMap(({ folder: at }) => at ?? []),
    // Those that are to be stopped may hold it until then.
    ignoreOpen: request.ignore_open || stopsOf(target).length > 0,
    run: { id, stamp },
    uid: deps.uid,
    ownPids: deps.ownPids,
  });
  if (prepared.plan.hash !== request.plan_hash)
    throw new Fault('conflict', 'What would be done now is not what was confirmed: the target has changed since.', {
      hint: 'See the new plan: gaia plan, and confirm that.',
    });
  const [refusal] = prepared.plan.refusals;
  if (refusal !== undefined) throw new Fault(refusal.code, refusal.says, { hint: refusal.hint });
  return prepared;
}

/** Makes the folders in which is staged, and proves that files can be made there. */
async function makeStages(folders: readonly string[]): Promise<void> {
  for (const folder of folders) {
    const parent = dirname(folder);
    makeFolder(parent, 0o755);
    const { mtimeNs } = statSync(parent, { bigint: true });
    mkdirSync(folder, { mode: 0o700 });
    // It may be the live tree's own top.
    await keepTime(parent, mtimeNs);
    writeFileSync(`${folder}/.writable`, '');
    rmSync(`${folder}/.writable`);
  }
}

async function stageOwn(
  backup: OpenBackup & { kind: 'own' },
  prepared: Prepared,
  { request, deps }: Staging,
): Promise<void> {
  const { placement, scope, selection } = prepared;
  const { signed } = backup;
  const whole = scope.kind === 'all' || scope.kind === 'files';
  await backup.stage({ selection, route: router(placement, scope), whole, progress: deps.progress });
  const wanted = new Set(selection.flatMap(({ to }) => (to.database === undefined ? [] : [to.database])));
  const note = {
    backup: request.backup?.name ?? '',
    backup_taken_at: signed.manifest.created_at,
    restored_at: rfc3339(deps.clock()),
  };
  await settleDatabases([...wanted], note, signed.manifest.degraded.length > 0);
}

/** Those of servers that are to be new are loaded later. */
function loadedNow<T extends { dumped: { name: string } }>(dumps: readonly T[], fresh: readonly AwayServer[]): T[] {
  return dumps.filter(({ dumped }) => !fresh.some(({ name }) => name === dumped.name));
}

/** Servers that have their data and do not run are started: their databases are swapped by name. @throws Fault */
async function awaken(away: readonly AwayServer[], { request, services }: Staging): Promise<void> {
  const asleep = away.filter(({ kind }) => kind === 'asleep');
  try {
    for (const service of new Set(asleep.map((each) => each.service))) await services.startOne(service);
    for (const { name } of asleep) await untilServes(name, request.target, awakenMs);
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    for (const { service } of asleep) await services.stopOne(service);
    throw new Fault('unreachable', error.message, {
      hint: 'If its data folder is beyond help: --fresh-server puts that aside, and loads the databases into a new one.',
      cause: error,
    });
  }
}

/** @throws Fault for the first thing that is in the way on a database server */
async function requireServers(
  { scope, placement }: Prepared,
  { target }: RunRequest,
  fresh: readonly AwayServer[],
): Promise<void> {
  const dumps = loadedNow(wantedDumps(scope, placement), fresh).map(({ dumped }) => dumped);
  const [refusal] = (await checkServers(dumps, target)).refusals;
  if (refusal !== undefined) throw new Fault(refusal.code, refusal.says, { hint: refusal.hint });
}

/** Loads what was staged into the servers, beside what is live. The names are written down first, so that it can be removed. */
async function loadDumps(
  backup: OpenBackup & { kind: 'own' },
  { scope, placement }: Prepared,
  { request, deps, note }: Staging,
  fresh: readonly AwayServer[],
): Promise<DatabaseUnit[]> {
  const dumps = loadedNow(wantedDumps(scope, placement), fresh);
  if (dumps.length === 0) return [];
  const { id: runId, target } = request;
  const names = [];
  for (const { dumped } of dumps) names.push(unitNames(dumped, await connectionOf(dumped.name, target), runId));
  note('load', 'begin', { databases: names });
  const units: DatabaseUnit[] = [];
  for (const { dumped, stage } of dumps) {
    const globals = (await backup.member(dumped.globals)).toString('utf8');
    units.push(await loadBeside({ dumped, dump: stage, globals, runId, target, progress: deps.progress }));
    // It has taken the room of the whole database once more.
    rmSync(stage);
  }
  note('load', 'done', { databases: units });
  return units;
}

function requireQuiet({ plan, scope, placement, keep }: Prepared, { request, deps }: Staging): void {
  if (request.ignore_open || stopsOf(request.target).length > 0) return;
  const paths = [...plan.replaces, ...singleDatabases(scope, placement).map(({ live }) => live)];
  requireNoWriter(openFilesBelow(paths, deps.ownPids, keptPaths(keep)));
}
