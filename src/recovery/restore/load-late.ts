import { Fault } from '../../base/fault.ts';
import type { ManifestPostgres } from '../archive/manifest.ts';
import { untilServes } from '../postgres/away.ts';
import { checkServers } from '../postgres/check-server.ts';
import { connectionOf, type DatabaseUnit, swapDatabases } from '../postgres/database-units.ts';
import { loadBeside, unitNames } from '../postgres/load.ts';
import type { Progress } from '../progress.ts';
import type { JournalLine, Step } from '../run/journal.ts';
import type { RunRequest } from '../run/run-folder.ts';
import { type OpenBackup, openBackup, openerOf } from './open-backup.ts';
import { placementOf } from './placement.ts';
import type { Services } from './services.ts';
import type { SwapRecord } from './swap-record.ts';

type Late = {
  request: RunRequest;
  record: SwapRecord;
  stamp: string;
  services: Services;
  lines: readonly JournalLine[];
  known: Parameters<typeof openBackup>[1];
  progress: Progress;
  pause(point: string): void;
  note(step: Step, state: JournalLine['state'], facts?: Record<string, unknown>): void;
};

/** An image may have to be loaded, and a new data folder be filled. */
const startMs = 180_000;

/**
 * Starts servers on their new data folders, once the files are in place, and loads their databases. May be repeated after a
 * crash at any point.
 * @throws Fault when a server does not come up, or does not take what is loaded
 */
export async function loadLate(late: Late): Promise<void> {
  const { record, request, services, note, lines } = late;
  const { target } = request;
  const fresh = record.fresh ?? [];
  for (const service of new Set(fresh.map((each) => each.service))) await services.startOne(service);
  for (const { name } of fresh) await untilServes(name, target, startMs);
  let units = lateUnits(lines);
  if (units === undefined) {
    const backup = await openBackup(request.backup?.file ?? '', late.known, openerOf(request));
    try {
      units = backup.kind === 'own' ? await loadAll(late, backup) : [];
    } finally {
      await backup.close();
    }
    note('load', 'done', { databases: units, late: true });
  }
  late.pause('before late databases are swapped');
  await swapDatabases(units, target, 'in');
  late.pause('after late databases are swapped');
}

async function loadAll(late: Late, backup: OpenBackup & { kind: 'own' }): Promise<DatabaseUnit[]> {
  const { request, record, note, progress, stamp } = late;
  const { target, id: runId } = request;
  const wanted = new Set((record.fresh ?? []).map(({ name }) => name));
  const { postgres } = placementOf(target, backup.signed.manifest, { id: runId, stamp });
  const dumps = postgres.filter(({ dumped }) => wanted.has(dumped.name));
  await requireTheyTake(
    dumps.map(({ dumped }) => dumped),
    request,
  );
  const names = [];
  for (const { dumped } of dumps) names.push(unitNames(dumped, await connectionOf(dumped.name, target), runId));
  note('load', 'begin', { databases: names, late: true });
  const units: DatabaseUnit[] = [];
  for (const { dumped, stage } of dumps) {
    const globals = (await backup.member(dumped.globals)).toString('utf8');
    units.push(await loadBeside({ dumped, dump: stage, globals, runId, target, progress }));
  }
  return units;
}

async function requireTheyTake(dumps: readonly ManifestPostgres[], { target }: RunRequest): Promise<void> {
  const [refusal] = (await checkServers(dumps, target)).refusals;
  if (refusal !== undefined) throw new Fault(refusal.code, refusal.says, { hint: refusal.hint });
}

/** What was loaded into new servers and is ready to get its name; undefined as long as not all of it is. */
export function lateUnits(lines: readonly JournalLine[]): DatabaseUnit[] | undefined {
  const done = lines.findLast(({ step, state, facts }) => step === 'load' && state === 'done' && facts.late === true);
  return done?.facts.databases as DatabaseUnit[] | undefined;
}
