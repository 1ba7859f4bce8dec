import { Fault } from '../base/fault.ts';
import { knownKey } from '../recovery/archive/sign.ts';
import { type Backup, findBackup } from '../recovery/catalog/catalog.ts';
import { withVolumes } from '../recovery/compose/volumes.ts';
import type { AwayServer } from '../recovery/postgres/away.ts';
import { checkServers } from '../recovery/postgres/check-server.ts';
import { openBackup, openerOf } from '../recovery/restore/open-backup.ts';
import { type Prepared, planRestore, type Refusal } from '../recovery/restore/plan.ts';
import { wantedDumps } from '../recovery/restore/selection.ts';
import { awayOf } from '../recovery/restore/servers-of.ts';
import { targetServices } from '../recovery/restore/target-services.ts';
import { newRunId, stampOf } from '../recovery/run/run-folder.ts';
import { stopsOf, type Target } from '../recovery/target.ts';
import type { Call } from './command.ts';

export type PreparedRestore = {
  target: Target;
  backup: Backup;
  prepared: Prepared;
  manifestSha256: string | null;
  id: string;
  atMs: number;
};

/** Finds the backup and makes the plan. @throws Fault `not-found`, `damaged`, `usage` */
export async function prepareRestore(call: Call, named: Target, wanted = asked(call)): Promise<PreparedRestore> {
  const target = await withVolumes(named, { toRestore: true });
  const { around, flags } = call;
  const { place } = call.config();
  const isDatabases = /^db(:|$)/.test(String(flags.only ?? ''));
  const backup = findBackup(place, [target.name], wanted, isDatabases);
  const atMs = around.clock();
  const id = newRunId(atMs);
  const opener = { ...openerOf({ place, target }), signal: around.signal };
  const open = await openBackup(backup.file, knownKey(place.publicKey), opener);
  try {
    const only = flags.only === undefined ? null : String(flags.only);
    const fresh_server = flags['fresh-server'] === true;
    const away = open.kind === 'own' ? await awayOf(open, { target, only, fresh_server }) : [];
    const prepared = planRestore(open, {
      target,
      only,
      freshFolders: away.flatMap(({ kind, folder }) => (kind === 'fresh' ? (folder ?? []) : [])),
      ignoreOpen: flags['ignore-open'] === true || stopsOf(target).length > 0,
      run: { id, stamp: stampOf(atMs) },
      uid: around.uid,
      ownPids: around.ownPids,
    });
    prepared.plan.refusals.push(...(await noServices(target, around.uid)));
    const dumps = wantedDumps(prepared.scope, prepared.placement)
      .map(({ dumped }) => dumped)
      .filter(({ name }) => !away.some((each) => each.name === name));
    prepared.plan.warnings.push(...away.map(awayText));
    const { refusals, warnings, space } = await checkServers(dumps, target);
    prepared.plan.refusals.push(...refusals);
    prepared.plan.warnings.push(...warnings);
    prepared.plan.space.push(...space);
    return { target, backup, prepared, manifestSha256: open.kind === 'own' ? open.signed.sha256 : null, id, atMs };
  } finally {
    await open.close();
  }
}

function awayText({ name, service, kind, folder }: AwayServer): string {
  if (kind === 'asleep') return `The service ${service}, which holds ${name}, does not run; it is started first.`;
  const aside = folder === null ? '' : ` Its data folder, ${folder}, is put aside, with all databases in it.`;
  return `${name} is loaded into a new server: ${service} starts when the files are in place, so everything is down for as long as that takes.${aside}`;
}

/** Why what works on the target could not be stopped and started. */
async function noServices(target: Target, uid: number): Promise<Refusal[]> {
  try {
    await targetServices(target, uid).look();
    return [];
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    return [{ code: error.code, says: error.message, hint: error.hint ?? '' }];
  }
}

function asked({ flags }: Call): string {
  return flags.backup === undefined ? 'latest' : String(flags.backup);
}

/** @throws Fault for the first thing that is in the way */
export function requireNothingInTheWay({ prepared: { plan } }: PreparedRestore): void {
  const [refusal] = plan.refusals;
  if (refusal !== undefined) throw new Fault(refusal.code, refusal.says, { hint: refusal.hint });
}
