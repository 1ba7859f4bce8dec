import { realpathSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Fault } from '../../base/fault.ts';
import { type Ran, runProgram } from '../source/run-program.ts';

export type Container = {
  id: string;
  project: string;
  service: string;
  running: boolean;
  /** The policy, as `always` or `on-failure:3`. */
  restart: string;
  /** As Docker says: `running`, `restarting`, `exited`, `created`, … */
  state: string;
  exitCode: number;
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

/** How long Docker may take to answer a question, in milliseconds. */
export const askMs = 60_000;

/** Found by the folder of the file, which compose writes on each container: their names, and the project's, may be any. */
export async function containersOf(file: string): Promise<readonly Container[]> {
  const ids = new Set<string>();
  for (const folder of new Set([dirname(file), realOr(dirname(file))])) {
    const filter = `label=com.docker.compose.project.working_dir=${folder}`;
    // What somebody runs once (compose run) is neither stopped nor started by compose either.
    const once = 'label=com.docker.compose.oneoff=False';
    const ran = await runProgram(
      'docker',
      ['ps', '-a', '-q', '--no-trunc', '--filter', filter, '--filter', once],
      askMs,
    );
    requireWorked(ran, 'Docker could not be asked what runs');
    for (const id of linesOf(ran.stdout)) ids.add(id);
  }
  return ids.size === 0 ? [] : inspect([...ids]);
}

/** The members that are used of what Docker says of a container. `Health` is missing where there is no health check. */
type Inspected = {
  Id: string;
  Image: string;
  Mounts: { Type: string; Name?: string; Source?: string; Destination: string }[];
  NetworkSettings: { Networks: Record<string, { IPAddress: string }> | null };
  State: { Pid: number; Running: boolean; Status: string; ExitCode: number; Health?: { Status: string } };
  Config: { Labels: Record<string, string> | null };
  HostConfig: { RestartPolicy: { Name: string; MaximumRetryCount: number } };
};

async function inspect(ids: readonly string[]): Promise<readonly Container[]> {
  const ran = await runProgram('docker', ['inspect', ...ids], askMs);
  requireWorked(ran, 'Docker could not be asked what runs');
  return (JSON.parse(ran.stdout) as Inspected[]).map(
    ({ Id, Image, Mounts, State, Config, HostConfig, NetworkSettings }) => {
      const { Name, MaximumRetryCount } = HostConfig.RestartPolicy;
      return {
        id: Id,
        project: Config.Labels?.['com.docker.compose.project'] ?? '',
        service: Config.Labels?.['com.docker.compose.service'] ?? '',
        running: State.Running,
        restart: MaximumRetryCount > 0 ? `${Name}:${MaximumRetryCount}` : Name,
        state: State.Status,
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
    },
  );
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
