import { mkdirSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { parse } from 'yaml';
import { type Clock, rfc3339 } from '../../base/clock.ts';
import { Fault, reasonOf } from '../../base/fault.ts';
import { makeFolder } from '../../base/files.ts';
import { configTool, filesOf } from '../compose/compose-tool.ts';
import { type Container, containersOf, requireWorked } from '../compose/containers.ts';
import { askMs, engineEnv, enginesHere } from '../compose/engine.ts';
import { askEndpoint, isWell, type Probe, passGate } from '../health/gate.ts';
import type { Place } from '../place.ts';
import { untilServes } from '../postgres/away.ts';
import { connectionOf, databaseComplaint, swapDatabases } from '../postgres/database-units.ts';
import { loadBeside } from '../postgres/load.ts';
import { deactivateOnServer } from '../postgres/n8n-workflows.ts';
import type { Progress } from '../progress.ts';
import { compareStaged } from '../restore/compare.ts';
import type { OpenBackup } from '../restore/open-backup.ts';
import { type Placement, placementOf, realOr, stageFolders } from '../restore/placement.ts';
import { router, scopeOf, selected } from '../restore/selection.ts';
import { composeServices, type Services } from '../restore/services.ts';
import { settleDatabases } from '../restore/settle-databases.ts';
import { spaceAt } from '../restore/space.ts';
import { deactivateWorkflows } from '../source/n8n-workflows.ts';
import { runProgram } from '../source/run-program.ts';
import { databaseServices, type Target } from '../target.ts';
import { behindPort, type ComposeConfig, type Moved, scratchOf } from './scratch-compose.ts';
import { closeScratch, openScratch } from './scratch-place.ts';

export type DrillPhase = { name: 'unpack' | 'databases' | 'start' | 'health'; ms: number };

export type DrillResult = {
  kind: 'proven' | 'failed';
  /** Why it failed, or what was proven. */
  says: string;
  /** Whether somebody was asked who knows whether all of the target is well, and not only whether it runs. */
  asked: boolean;
  phases: DrillPhase[];
  /** From nothing to well, by this drill. */
  rtoMs: number;
  /** How old the backup was: what came since would be lost. */
  rpoMs: number;
  at: string;
  /** What was different from the real thing. */
  notes: string[];
  /** The last lines of services that were not well. */
  logs: string[];
};

export type DrillRequest = {
  id: string;
  target: Target;
  backup: OpenBackup & { kind: 'own' };
  place: Place;
  clock: Clock;
  progress: Progress;
  /** Aborted when it is to end: it removes what it has made first. */
  signal: AbortSignal;
};

type Drill = DrillRequest & {
  folder: string;
  scratch: Target;
  placement: Placement;
  moved: Moved;
  notes: string[];
  phases: DrillPhase[];
  /** As compose resolved them. */
  configs: ComposeConfig[];
};

const serverMs = 180_000;
const usualHealth = { withinSeconds: 120, consecutive: 3 };

/**
 * Brings a backup back beside the live target, in a folder and compose projects of its own, and asks whether it is well. All
 * of it is removed again, whatever happens. The caller holds the lock.
 * @throws Fault for what forbids a drill, before anything is made
 */
export async function runDrill(request: DrillRequest): Promise<DrillResult> {
  const drill = prepare(request);
  const { place, id, phases, notes, backup, clock } = drill;
  const began = performance.now();
  let failure: string | undefined;
  let logs: string[] = [];
  let asked = false;
  requireRoom(drill);
  const like = await liveContainers(request.target);
  const engine = like[0]?.engine ?? (await enginesHere())[0] ?? 'docker';
  openScratch(place, id, drill.folder, projectsOf(drill), engine);
  const services = composeServices(drill.scratch.compose ?? [], [], like);
  try {
    await timed(drill, 'unpack', () => unpack(drill));
    await makeProjects(drill);
    await timed(drill, 'databases', () => load(drill, services));
    await timed(drill, 'start', async () => void (await services.start(await services.look())));
    const outcome = await timed(drill, 'health', () => health(drill, services));
    asked = outcome.asked;
    failure = outcome.failure;
    if (failure !== undefined) logs = await services.lastLines(await services.look());
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    failure = error.message;
    logs = await services.look().then(services.lastLines, () => []);
  } finally {
    const left = await closeScratch(place, id);
    if (left !== undefined) notes.push(left);
  }
  const rtoMs = phases.reduce((sum, { ms }) => sum + ms, 0);
  const now = clock();
  return {
    kind: failure === undefined ? 'proven' : 'failed',
    says: failure ?? 'It came back, and was well.',
    asked,
    phases,
    rtoMs: failure === undefined ? rtoMs : performance.now() - began,
    rpoMs: now - Date.parse(backup.signed.manifest.created_at),
    at: rfc3339(now),
    notes,
    logs,
  };
}

/** One phase after the other, as long as nobody wants it to end. @throws Fault `unavailable` when somebody does */
async function timed<T>({ phases, signal }: Drill, name: DrillPhase['name'], act: () => Promise<T>): Promise<T> {
  if (signal.aborted) throw interrupted();
  const began = performance.now();
  try {
    // What it makes is removed afterwards, so it is not left to itself.
    return await act();
  } finally {
    phases.push({ name, ms: performance.now() - began });
  }
}

const interrupted = () => new Fault('unavailable', 'It was ended before it was through.');

/** The target as it will lie in the scratch folder. */
function prepare(request: DrillRequest): Drill {
  const { target, backup, id } = request;
  const first = target.trees[0];
  if (first === undefined) throw new Fault('usage', `${target.name} has no folder.`);
  const folder = join(dirname(realOr(first.root)), `.gaia-drill-${id}`);
  const moved = target.trees.flatMap(({ name, root }) =>
    [...new Set([root, realOr(root)])].map((live) => ({ live, scratch: join(folder, name) })),
  );
  const to = (path: string, otherwise: string) => {
    const found = moved.find(({ live }) => path === live || path.startsWith(`${live}/`));
    return found === undefined ? otherwise : found.scratch + path.slice(found.live.length);
  };
  const scratch: Target = {
    ...target,
    trees: target.trees.map((tree) => ({ ...tree, root: join(folder, tree.name) })),
    databases: target.databases.map((each) => ({ ...each, path: to(each.path, join(folder, 'alone', each.name)) })),
    // Into a server that is live nothing is loaded for a drill.
    postgres: (target.postgres ?? []).filter(({ reach }) => reach.kind === 'service'),
    // The folder has the project's name: Debian's podman-compose takes it from there and from nowhere else.
    compose: (target.compose ?? []).map((_, n) => join(folder, projectName(id, n), 'docker-compose.yml')),
  };
  const placement = placementOf(scratch, backup.signed.manifest, { id, stamp: id });
  const notes = (target.postgres ?? [])
    .filter(({ reach }) => reach.kind !== 'service')
    .map(({ name }) => `the database ${name} was left out: its server is no service of the project`);
  return { ...request, folder, scratch, placement, moved, notes, phases: [], configs: [] };
}

/** Of the first project that has some: the drill's are made in the same engine, where their images are. */
async function liveContainers({ compose = [] }: Target): Promise<readonly Container[]> {
  for (const file of compose) {
    const found = await containersOf(file);
    if (found.length > 0) return found;
  }
  return [];
}

/** The names that compose projects get: unique, and fit for every compose. */
function projectsOf({ scratch, id }: Drill): string[] {
  return (scratch.compose ?? []).map((_, n) => projectName(id, n));
}

const projectName = (id: string, n: number) => `gaia-drill-${id.slice(-9)}-${n}`;

function requireRoom({ folder, backup }: Drill): void {
  const { totals, postgres = [], list } = backup.signed.manifest;
  const bytes = totals.stored_bytes + postgres.reduce((sum, { size }) => sum + size, 0);
  const { neededBytes, freeBytes } = spaceAt(dirname(folder), bytes, list.entries);
  if (neededBytes <= freeBytes) return;
  const mebibytes = (amount: number) => `${Math.ceil(amount / 1024 / 1024)} MiB`;
  throw new Fault(
    'storage-full',
    `There is no room for a drill at ${dirname(folder)}: ${mebibytes(neededBytes)} are needed, and ${mebibytes(freeBytes)} are free.`,
  );
}

/** Everything of the backup, judged and compared as in a restore, in its place in the scratch folder. */
async function unpack({ backup, placement, clock, progress }: Drill): Promise<void> {
  const { signed, list } = backup;
  for (const folder of stageFolders(placement)) {
    makeFolder(dirname(folder), 0o711);
    mkdirSync(folder, { mode: 0o711 });
  }
  const route = router(placement, scopeOf(null, placement));
  const selection = selected(list, route, null);
  await backup.stage({ selection, route, whole: true, progress });
  const { name, created_at } = signed.manifest;
  const note = { backup: name, backup_taken_at: created_at, restored_at: rfc3339(clock()) };
  await settleDatabases(placement.databases, note);
  await compareStaged({ selected: selection, totalBytes: signed.manifest.totals.bytes, progress });
  for (const { stage } of placement.databases) deactivateWorkflows(stage);
  for (const { stage, live } of placement.trees) renameSync(stage, live);
}

const isFile = (path: string) => statSync(path, { throwIfNoEntry: false })?.isFile() === true;

/** Writes compose files that touch nothing of what is live. */
async function makeProjects(drill: Drill): Promise<void> {
  const { target, scratch, moved, notes, configs } = drill;
  const names = projectsOf(drill);
  for (const [n, live] of (target.compose ?? []).entries()) {
    const at = moved.find((each) => live.startsWith(`${each.live}/`));
    const source = at === undefined ? live : at.scratch + live.slice(at.live.length);
    const [program = '', ...first] = await configTool();
    const ran = await runProgram(
      program,
      [...first, ...filesOf(source).flatMap((each) => ['-f', each]), 'config'],
      askMs,
      engineEnv(),
    );
    requireWorked(ran, `the compose file ${basename(live)} of the backup cannot be read`);
    const config = parse(ran.stdout) as ComposeConfig;
    const images = new Map((await containersOf(live)).map(({ service, image }) => [service, image]));
    const made = scratchOf(config, { moved, leadsTo: realOr, isFile }, images);
    configs.push(config);
    notes.push(...made.notes);
    const file = (scratch.compose ?? [])[n] as string;
    mkdirSync(dirname(file), { mode: 0o700 });
    writeFileSync(file, JSON.stringify(made.config, null, 1));
    // Whichever compose it is, it takes the project's name from here.
    writeFileSync(join(dirname(file), '.env'), `COMPOSE_PROJECT_NAME=${names[n]}\n`);
  }
}

/** Servers first, on new data folders; then what the dumps hold, with its rows counted. */
async function load({ backup, scratch, placement, id, progress }: Drill, services: Services): Promise<void> {
  for (const service of databaseServices(scratch)) await services.startOne(service);
  for (const { dumped, stage } of placement.postgres) {
    if (!(scratch.postgres ?? []).some(({ name }) => name === dumped.name)) continue;
    await untilServes(dumped.name, scratch, serverMs);
    const globals = (await backup.member(dumped.globals)).toString('utf8');
    const unit = await loadBeside({ dumped, dump: stage, globals, runId: id, target: scratch, progress });
    await swapDatabases([unit], scratch, 'in');
    await deactivateOnServer(await connectionOf(dumped.name, scratch));
  }
}

/** Containers, databases, and the endpoints of the configuration by the addresses that they have here. */
async function health(drill: Drill, services: Services): Promise<{ asked: boolean; failure: string | undefined }> {
  const { scratch, target, progress, signal } = drill;
  const limits = typeof target.health === 'string' ? usualHealth : target.health;
  const running = await services.look();
  const probes: Probe[] = (scratch.postgres ?? []).map(({ name }) => ({
    name: `the database ${name}`,
    ask: () => databaseComplaint(name, scratch),
  }));
  if (!services.isEmpty) probes.unshift({ name: 'among the containers,', ask: () => services.complaint(running) });
  const endpoints = endpointsOf(drill);
  const tell = (passes: number) =>
    progress({
      phase: 'health',
      doneBytes: 0,
      totalBytes: undefined,
      doneFiles: 0,
      says: `well ${passes} times in a row`,
    });
  const all = [...probes, ...endpoints];
  const { withinSeconds } = limits;
  // Where there is nobody to ask, asking again tells no more.
  const consecutive = all.length === 0 ? 1 : limits.consecutive;
  const result = await passGate({ endpoints: [], withinSeconds, consecutive }, { probes: all, tell, signal });
  if (signal.aborted) throw interrupted();
  const isWhole = (scratch.postgres ?? []).length === (target.postgres ?? []).length;
  const asked = isWhole && (endpoints.length > 0 || target.health === 'none');
  return { asked, failure: result.kind === 'healthy' ? undefined : result.says };
}

function endpointsOf({ target, scratch, configs, notes }: Drill): Probe[] {
  if (typeof target.health === 'string') return [];
  return target.health.endpoints.flatMap(({ name, url }): Probe[] => {
    const at = new URL(url);
    const port = Number(at.port || (at.protocol === 'https:' ? 443 : 80));
    const found = configs.map((config) => behindPort(config, port)).findIndex((each) => each !== undefined);
    const behind = configs[found] && behindPort(configs[found], port);
    const file = (scratch.compose ?? [])[found];
    if (behind === undefined || file === undefined) {
      notes.push(`${name} was not asked: no service publishes port ${port}`);
      return [];
    }
    const ask = async () => {
      try {
        const container = (await containersOf(file)).find(({ service }) => service === behind.service);
        const address = container?.addresses[0];
        if (address === undefined) return 'has no address';
        const answer = await askEndpoint(`${at.protocol}//${address}:${behind.port}${at.pathname}${at.search}`);
        return isWell(answer) ? undefined : typeof answer === 'number' ? `answers ${answer}` : answer;
      } catch (error) {
        return reasonOf(error);
      }
    };
    return [{ name: `${name} (${behind.service}:${behind.port}${at.pathname})`, ask }];
  });
}
