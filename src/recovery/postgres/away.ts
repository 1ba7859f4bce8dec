import { existsSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Fault, reasonOf } from '../../base/fault.ts';
import { containersOf } from '../compose/containers.ts';
import type { Target } from '../target.ts';
import { connect, inspectServer, onThisMachine } from './connection.ts';
import { adminDatabase } from './database-units.ts';
import { askOnce } from './session.ts';

/**
 * A server in a compose service that databases cannot be loaded into beside the live ones now. `asleep`: it has its data and
 * does not run, so it is started first. `fresh`: it has none, or shall get new ones; it is started on an empty
 * folder once the files are in place.
 */
export type AwayServer = {
  /** Of the database, in the configuration. */
  name: string;
  service: string;
  kind: 'asleep' | 'fresh';
  /** Its data folder on this machine as it is now, to be put aside. */
  folder: string | null;
};

type Asked = Pick<Target, 'postgres' | 'compose'>;

/**
 * Looks at the servers of the databases of these names. Changes nothing, and never throws.
 * `within`: data folders that were found in the target's own folders. `fresh`: whoever restores wants new data folders.
 */
export async function serversAway(
  names: readonly string[],
  { postgres = [], compose = [] }: Asked,
  { within, fresh }: { within: readonly string[]; fresh: boolean },
): Promise<AwayServer[]> {
  const away: AwayServer[] = [];
  for (const database of postgres.filter(({ name }) => names.includes(name))) {
    if (database.reach.kind !== 'service') continue;
    const { name } = database;
    const { service } = database.reach;
    const answers = await readiness(database, compose).then(
      () => true,
      (error: unknown) => error instanceof Fault && error.extra.runs === true,
    );
    if (!fresh && (answers || (await isUp(database, compose)))) continue;
    const folder = (await dataFolder(service, compose)) ?? (within.length === 1 ? within[0] : undefined);
    away.push({ name, service, kind: fresh || folder === undefined ? 'fresh' : 'asleep', folder: folder ?? null });
  }
  return away;
}

/** A server that runs and does not answer now, as one that is overloaded, is neither started nor stopped: it is told. */
async function isUp({ reach }: NonNullable<Asked['postgres']>[number], files: readonly string[]): Promise<boolean> {
  if (reach.kind !== 'service') return true;
  try {
    for (const file of files)
      if ((await containersOf(file)).some(({ service, state }) => service === reach.service && state === 'running'))
        return true;
    return false;
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    return true; // Docker cannot be asked: it says so itself.
  }
}

/** By the mounts of its container, whether that runs or not. */
async function dataFolder(service: string, files: readonly string[]): Promise<string | undefined> {
  try {
    for (const file of files) {
      const found = (await containersOf(file)).find((each) => each.service === service);
      if (found === undefined) continue;
      const server = await inspectServer(found);
      const folder = onThisMachine(server, server.data);
      if (folder !== undefined && existsSync(join(folder, 'PG_VERSION'))) return realpathSync(folder);
    }
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
  }
  return undefined;
}

/** When the server began, and whether it listens for others. @throws Fault when it does not answer */
async function readiness(database: NonNullable<Asked['postgres']>[number], files: readonly string[]): Promise<Answer> {
  const connection = await connect(database, files);
  return askOnce(
    connection,
    (session) =>
      session.askJson<Answer>(
        "SELECT json_build_object('since', pg_postmaster_start_time(), 'listens', current_setting('listen_addresses') <> '')",
      ),
    adminDatabase(connection.database),
  );
}

type Answer = { since: string; listens: boolean };

const everyMs = 500;
/** One that listens for nobody may be the one that images start while they fill a new data folder, and stop again. */
const steadyMs = 10_000;

/** So often in a row its container is seen to have ended before nobody waits any longer. */
const hopeless = 20;

/** Whether it has ended, or has been started again since the last look: Podman does that at once, and it seems to run. */
async function hasFallen(
  { reach }: NonNullable<Asked['postgres']>[number],
  files: readonly string[],
  before: { restarts?: number },
): Promise<boolean> {
  if (reach.kind !== 'service') return false;
  for (const file of files) {
    const found = (await containersOf(file)).find(({ service }) => service === reach.service);
    if (found === undefined) continue;
    const { state, restarts = 0 } = found;
    const again = restarts > (before.restarts ?? restarts);
    before.restarts = restarts;
    return again || state !== 'running';
  }
  return false;
}

/**
 * Waits until the server of a database is there to stay.
 * @throws Fault `unreachable` with the last answer when it is not within that time
 */
export async function untilServes(
  name: string,
  { postgres = [], compose = [] }: Asked,
  withinMs: number,
): Promise<void> {
  const database = postgres.find((each) => each.name === name);
  if (database === undefined) throw new Fault('not-found', `The configuration has no database ${name}.`);
  let last: unknown;
  let steady: { since: string; at: number } | undefined;
  let fallen = 0;
  const seen: { restarts?: number } = {};
  for (const end = performance.now() + withinMs; performance.now() < end; await sleep(everyMs))
    try {
      const { since, listens } = await readiness(database, compose);
      if (listens) return;
      if (steady?.since !== since) steady = { since, at: performance.now() };
      if (performance.now() - steady.at > steadyMs) return;
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      last = error;
      steady = undefined;
      fallen = (await hasFallen(database, compose, seen)) ? fallen + 1 : 0;
      if (fallen >= hopeless) break;
    }
  const how = fallen >= hopeless ? 'ends again and again' : `did not come up within ${withinMs / 1000} s`;
  const why = last === undefined ? '' : `: ${reasonOf(last)}`;
  throw new Fault('unreachable', `The server of the database ${name} ${how}${why}`);
}
