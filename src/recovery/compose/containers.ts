import { realpathSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Fault } from '../../base/fault.ts';
import type { Ran } from '../source/run-program.ts';
import { type ContainerEngine, enginesHere, runEngine } from './engine.ts';

export type Container = {
  id: string;
  /** Whose container it is. Not in journals of before there were two. */
  engine?: ContainerEngine;
  /** Made by podman-compose, and not by Docker's own compose. */
  byPodmanCompose?: boolean;
  project: string;
  service: string;
  running: boolean;
  /** The policy, as `always` or `on-failure:3`. */
  restart: string;
  /** As Docker says: `running`, `restarting`, `exited`, `created`, … */
  state: string;
  exitCode: number;
  /** How often its engine has started it again by itself. */
  restarts?: number;
  /** Of its own health check: `healthy`, `starting`, `unhealthy`; empty when it has none. */
  health: string;
  /** The id of its image. */
  image: string;
  /** Those that it mounts, and where they lie on this machine. */
  volumes: readonly { name: string; folder: string }[];
  /** Folders and files of this machine that it sees. */
  binds: readonly { source: string; destination: string }[];
  /** Of its first process; 0 when it does not run. */
  pid: number;
  /** In its networks. */
  addresses: readonly string[];
};

/**
 * Found by the folder of the file, which compose writes on each container: their names, and the project's, may be any. They are
 * those of one engine, the first that has some.
 * @throws Fault `unreachable` when one that may have some does not answer
 */
export async function containersOf(file: string): Promise<readonly Container[]> {
  const failures: unknown[] = [];
  for (const engine of await enginesHere())
    try {
      const found = await containersIn(engine, file);
      if (found.length > 0) return found;
    } catch (error) {
      failures.push(error);
    }
  if (failures.length > 0) throw failures[0];
  return [];
}

async function containersIn(engine: ContainerEngine, file: string): Promise<readonly Container[]> {
  const ids = new Set<string>();
  for (const folder of new Set([dirname(file), realOr(dirname(file))])) {
    const filter = `label=com.docker.compose.project.working_dir=${folder}`;
    const ran = await runEngine(engine, ['ps', '-a', '-q', '--no-trunc', '--filter', filter]);
    requireWorked(ran, `${engineName(engine)} could not be asked what runs`);
    for (const id of linesOf(ran.stdout)) ids.add(id);
  }
  return ids.size === 0 ? [] : inspect(engine, [...ids]);
}

/** As in a sentence. */
export const engineName = (engine: ContainerEngine) => (engine === 'docker' ? 'Docker' : 'Podman');

/** The members that are used of what Docker says of a container. `Health` is missing where there is no health check. */
type Inspected = {
  Id: string;
  Image: string;
  RestartCount?: number;
  Mounts: { Type: string; Name?: string; Source?: string; Destination: string }[];
  NetworkSettings: { Networks: Record<string, { IPAddress: string }> | null };
  State: { Pid: number; Running: boolean; Status: string; ExitCode: number; Health?: { Status: string } };
  Config: { Labels: Record<string, string> | null };
  HostConfig: { RestartPolicy: { Name: string; MaximumRetryCount: number } };
};

async function inspect(engine: ContainerEngine, ids: readonly string[]): Promise<readonly Container[]> {
  const ran = await runEngine(engine, ['inspect', ...ids]);
  requireWorked(ran, `${engineName(engine)} could not be asked what runs`);
  // What somebody runs once (compose run) is neither stopped nor started by compose either.
  const lasting = (JSON.parse(ran.stdout) as Inspected[]).filter(
    ({ Config }) => Config.Labels?.['com.docker.compose.oneoff'] !== 'True',
  );
  return lasting.map(({ Id, Image, RestartCount = 0, Mounts, State, Config, HostConfig, NetworkSettings }) => {
    const { Name, MaximumRetryCount } = HostConfig.RestartPolicy;
    return {
      id: Id,
      engine,
      byPodmanCompose: Config.Labels?.['io.podman.compose.project'] !== undefined,
      project: Config.Labels?.['com.docker.compose.project'] ?? '',
      service: Config.Labels?.['com.docker.compose.service'] ?? '',
      running: State.Running,
      restart: MaximumRetryCount > 0 ? `${Name}:${MaximumRetryCount}` : Name,
      // Podman's word for one that it has stopped itself.
      state: State.Status === 'stopped' ? 'exited' : State.Status,
      restarts: RestartCount,
      exitCode: State.ExitCode,
      health: State.Health?.Status ?? '',
      image: Image,
      volumes: Mounts.flatMap(({ Type, Name, Source }) =>
        Type === 'volume' && Name !== undefined ? [{ name: Name, folder: Source ?? '' }] : [],
      ),
      binds: Mounts.flatMap(({ Type, Source, Destination }) =>
        Type === 'bind' && Source !== undefined ? [{ source: Source, destination: Destination }] : [],
      ),
      pid: State.Pid,
      addresses: Object.values(NetworkSettings.Networks ?? {}).flatMap(({ IPAddress }) => IPAddress || []),
    };
  });
}

const linesOf = (text: string) => text.split('\n').filter((line) => line !== '');

function realOr(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path; // Gone, as on the worst day.
  }
}

/** Whether a program ended well. */
export const worked = ({ code }: Ran) => code === 0;

/** @throws Fault `unreachable` with the last lines of what it said */
export function requireWorked(ran: Ran, what: string): void {
  if (worked(ran)) return;
  const why =
    ran.stderr
      .trim()
      .split('\n')
      .slice(-3)
      .join(' ')
      .replace(/[.?!]+$/, '') || ran.ended;
  throw new Fault('unreachable', `${what.charAt(0).toUpperCase()}${what.slice(1)}: ${why}.`, {
    hint: `Try it yourself: ${ran.command}`,
  });
}

/**
 * Whether a running container still sees what lay at one of its folders before something else was put there: a mount goes with
 * what was mounted, and not with its name.
 */
export function seesOldState({ binds, pid }: Pick<Container, 'binds' | 'pid'>): boolean {
  if (pid === 0) return false;
  return binds.some(({ source, destination }) => {
    try {
      const [here, inside] = [statSync(source), statSync(join(`/proc/${pid}/root`, destination))];
      return here.ino !== inside.ino || here.dev !== inside.dev;
    } catch {
      return false; // Gone meanwhile, or not to be looked at without root.
    }
  });
}
