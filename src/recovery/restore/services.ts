import { existsSync } from 'node:fs';
import { stripVTControlCharacters } from 'node:util';
import { Fault, reasonOf } from '../../base/fault.ts';
import { type Container, containersOf, requireWorked, seesOldState, worked } from '../compose/containers.ts';
import { askMs, type ContainerEngine, runEngine } from '../compose/engine.ts';
import {
  bringUp,
  fingerprintOf,
  type PodmanProject,
  podmanLines,
  servicesIn,
  startPodmanProject,
} from '../compose/podman-compose.ts';
import { type Compose, composeRunner } from '../compose/run-compose.ts';
import type { TargetUnit } from '../target.ts';
import { holdPodmanBoot, releasePodmanBoot } from './podman-boot.ts';

/** What ran before it was stopped; written into the journal, so that another process can start it again. */
export type Running = {
  projects: readonly RunningProject[];
  /** Not in journals of before there were any. */
  units?: readonly RunningUnit[];
};

export type RunningUnit = TargetUnit & {
  /** Whether it is started again. */
  ran: boolean;
};

/** A compose file, its containers, and what tells whether they were made from the file as it is now. */
type RunningProject = PodmanProject;

/** What runs on a target and must not while its state is swapped. Each call may be repeated. */
export type Services = {
  readonly isEmpty: boolean;
  /**
   * Changes nothing. Units that are known are left out: they may be gone, in the middle of a restore.
   * @throws Fault when what is needed to stop and start is not there
   */
  look(known?: Running): Promise<Running>;
  /** Stops everything, and keeps it from starting by itself, also after a reboot. Says what it did. @throws Fault */
  stop(running: Running, also?: readonly string[]): Promise<string>;
  /** Starts one service and nothing else. @throws Fault */
  startOne(service: string): Promise<void>;
  /** Stops what `startOne` started in vain. Never throws. */
  stopOne(service: string): Promise<void>;
  /** Starts what ran, or everything where nothing did. Says what it did. @throws Fault */
  start(running: Running): Promise<string>;
  /** Why one of them is not well by what its runtime says, or undefined. Never throws. */
  complaint(running: Running): Promise<string | undefined>;
  /** The last lines that they logged, for whoever wonders why they are not well. Never throws. */
  lastLines(running: Running): Promise<string[]>;
};

/** How long a project may take to stop, and to start. Images may have to be loaded. */
const stopMs = 5 * 60_000;
const startMs = 15 * 60_000;
const shownLines = 20;

/**
 * The compose projects of a target, each by its file, in the order in which they are started. Services that stay are not stopped:
 * servers of databases, which are swapped by their names while they run, in folders that are not swapped.
 * @param like containers of what made those that a project without any gets
 */
export function composeServices(
  files: readonly string[],
  stays: readonly string[] = [],
  like: readonly Container[] = [],
): Services {
  const compose = composeRunner(like);
  /** How often each had been started again, when it was asked last. */
  const restarts = new Map<string, number>();

  return {
    isEmpty: files.length === 0,
    async look() {
      const projects: RunningProject[] = [];
      for (const file of files) {
        const project = { file, containers: await containersOf(file), fingerprint: fingerprintOf(file) };
        await compose.toolFor(project);
        projects.push(project);
      }
      return { projects };
    },
    startOne: (service) => startOne(service, files, compose),
    async stopOne(service) {
      for (const file of files)
        for (const each of await containersOf(file).catch(() => []))
          if (each.service === service) await runEngine(each.engine ?? 'docker', ['stop', each.id], stopMs);
    },
    async stop({ projects }, also = []) {
      const staying = stays.filter((service) => !also.includes(service));
      for (const project of [...projects].reverse()) {
        const { file } = project;
        // As they are now: somebody may have made them anew meanwhile.
        const all = await containersOf(file);
        const stopping = all.filter(({ service }) => !staying.includes(service));
        const ids = stopping.map(({ id }) => id);
        if (ids.length === 0) continue;
        // All of a project are of one.
        const engine = stopping[0]?.engine ?? 'docker';
        // First, so that a reboot in the middle starts nothing.
        await keepDown(engine, ids);
        // In the order that the file says, as far as there is one.
        const ran = existsSync(file)
          ? await compose.run(project, ['stop', ...namesOf(stopping, all)], stopMs)
          : undefined;
        if (ran === undefined || !worked(ran) || engine === 'podman')
          requireWorked(await runEngine(engine, ['stop', ...ids], stopMs), `${file} could not be stopped`);
      }
      if (files.length === 0) return 'nothing to stop';
      const left = staying.length === 0 ? '' : `; ${staying.join(', ')} goes on, whose databases are swapped by name`;
      return `stopped ${projectsText(projects)}${left}`;
    },
    async start({ projects }) {
      for (const project of projects) {
        await startProject(project, compose);
        await refresh(project.file, stays);
      }
      if (files.length > 0) await releasePodmanBoot();
      return files.length === 0 ? 'nothing to start' : `started ${projectsText(projects)}`;
    },
    async complaint({ projects }) {
      try {
        for (const { file, containers } of projects) {
          const ran = new Set(containers.filter(({ running }) => running).map(({ service }) => service));
          for (const each of await containersOf(file)) {
            const { id, restarts: now = 0 } = each;
            const again = now > (restarts.get(id) ?? now);
            restarts.set(id, now);
            const why = again ? startsAgain : complaintOf(each, ran.has(each.service));
            if (why !== undefined) return `the service ${each.service} ${why}`;
          }
        }
        return undefined;
      } catch (error) {
        return reasonOf(error);
      }
    },
    async lastLines({ projects }) {
      const lines: string[] = [];
      for (const project of projects) {
        if ((await compose.toolFor(project)).isPodmanCompose) {
          lines.push(...(await podmanLines(await containersOf(project.file), shownLines)));
          continue;
        }
        const { stdout } = await compose.run(project, ['logs', '--no-color', `--tail=${shownLines}`], askMs);
        lines.push(
          // Compose 2 clears each line first, terminal or not.
          ...stripVTControlCharacters(stdout)
            .split('\n')
            .filter((line) => line.trim() !== '')
            .slice(-shownLines),
        );
      }
      return lines;
    },
  };
}

async function startProject(project: RunningProject, compose: Compose): Promise<void> {
  const { file, containers } = project;
  if ((await compose.toolFor(project)).isPodmanCompose)
    return startPodmanProject(project, (words) => compose.run(project, words, startMs), startMs);
  for (const { id, restart, engine } of containers) await restartPolicy(engine ?? 'docker', id, restart);
  const names = containers.filter(({ running }) => running).map(({ service }) => service);
  const some = names.length < containers.length ? names : [];
  requireWorked(await compose.run(project, ['up', '-d', ...some], startMs), `${file} could not be started`);
}

/** Those that went on while files were swapped, and have some of the old ones open. */
async function refresh(file: string, stays: readonly string[]): Promise<void> {
  if (stays.length === 0) return;
  const old = (await containersOf(file)).filter((each) => stays.includes(each.service) && seesOldState(each));
  for (const { id, service, engine = 'docker' } of old)
    requireWorked(await runEngine(engine, ['restart', id], stopMs), `the service ${service} could not be restarted`);
}

async function startOne(service: string, files: readonly string[], compose: Compose): Promise<void> {
  for (const file of files.filter((each) => existsSync(each))) {
    const project = { file, containers: await containersOf(file) };
    if ((await compose.toolFor(project)).isPodmanCompose) {
      if (!servicesIn(file).includes(service)) continue;
      return bringUp(file, [service], (words) => compose.run(project, words, startMs));
    }
    const { stdout } = await compose.run(project, ['config', '--services'], askMs);
    if (!stdout.split('\n').includes(service)) continue;
    const ran = await compose.run(project, ['up', '-d', '--no-deps', service], startMs);
    return requireWorked(ran, `the service ${service} could not be started`);
  }
  throw new Fault('not-found', `No compose file of the target has a service ${service}.`);
}

const startsAgain = 'starts again and again';

/** One that has done its work and ended well is well, unless it is meant to go on. */
function complaintOf({ state, health, exitCode, restart }: Container, ran: boolean): string | undefined {
  if (state === 'restarting') return startsAgain;
  if (state === 'running') return health === '' || health === 'healthy' ? undefined : `is ${health}`;
  if (state === 'exited' && exitCode === 0 && (!ran || restart === 'no' || restart === '')) return undefined;
  return state === 'exited' ? `has ended with ${exitCode}` : `is ${state}`;
}

/** Nothing for all of them: compose knows services that have no container yet. */
function namesOf(some: readonly Container[], all: readonly Container[]): string[] {
  return some.length === all.length ? [] : [...new Set(some.map(({ service }) => service))];
}

const projectsText = (projects: readonly RunningProject[]) =>
  projects
    .map(
      ({ file, containers }) =>
        `${file} (${containers.filter(({ running }) => running).length} of ${containers.length} ran)`,
    )
    .join(', ');

async function keepDown(engine: ContainerEngine, ids: readonly string[]): Promise<void> {
  if (engine === 'podman') return holdPodmanBoot();
  requireWorked(
    await runEngine(engine, ['update', '--restart=no', ...ids]),
    'the containers could not be kept from starting by themselves',
  );
}

async function restartPolicy(engine: ContainerEngine, id: string, policy: string): Promise<void> {
  if (engine === 'podman') return; // Its policy was not changed.
  const ran = await runEngine(engine, ['update', `--restart=${policy || 'no'}`, id]);
  // One that is gone is made anew, with the policy of its file.
  if (!worked(ran) && !/no such container/i.test(ran.stderr))
    requireWorked(ran, 'the restart policy of a container could not be set back');
}
