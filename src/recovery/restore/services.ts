import { existsSync, realpathSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { Fault } from '../../base/fault.ts';
import { type Ran, runProgram } from './run-program.ts';

/** What ran before it was stopped; written into the journal, so that another process can start it again. */
export type Running = { projects: readonly RunningProject[] };

type Container = { id: string; project: string; service: string; running: boolean; restart: string };

type RunningProject = {
  /** The compose file. */
  file: string;
  containers: readonly Container[];
};

/** What runs on a target and must not while its state is swapped. Each call may be repeated. */
export type Services = {
  readonly isEmpty: boolean;
  /** Changes nothing. @throws Fault when what is needed to stop and start is not there */
  look(): Promise<Running>;
  /** Stops everything, and keeps it from starting by itself, also after a reboot. Says what it did. @throws Fault */
  stop(running: Running): Promise<string>;
  /** Starts what ran, or everything where nothing did. Says what it did. @throws Fault */
  start(running: Running): Promise<string>;
  /** The last lines that they logged, for whoever wonders why they are not well. Never throws. */
  lastLines(running: Running): Promise<string[]>;
};

/** How long a project may take to stop, and to start. Images may have to be loaded. */
const stopMs = 5 * 60_000;
const startMs = 15 * 60_000;
const askMs = 60_000;
const shownLines = 20;

/** The compose projects of a target, each by its file, in the order in which they are started. */
export function composeServices(files: readonly string[]): Services {
  let tool: Promise<readonly string[]> | undefined;
  const compose = async ({ file, containers }: RunningProject, words: readonly string[], withinMs: number) => {
    tool ??= composeTool();
    const [program = '', ...first] = await tool;
    const project = containers[0]?.project;
    const named = project === undefined || project === '' ? [] : ['-p', project];
    return runProgram(
      program,
      [...first, ...named, ...filesOf(file).flatMap((each) => ['-f', each]), ...words],
      withinMs,
    );
  };

  return {
    isEmpty: files.length === 0,
    async look() {
      if (files.length === 0) return { projects: [] };
      tool ??= composeTool();
      await tool;
      const projects: RunningProject[] = [];
      for (const file of files) projects.push({ file, containers: await containersOf(file) });
      return { projects };
    },
    async stop({ projects }) {
      for (const project of [...projects].reverse()) {
        const { file } = project;
        // As they are now: somebody may have made them anew meanwhile.
        const ids = (await containersOf(file)).map(({ id }) => id);
        if (ids.length === 0) continue;
        // First, so that a reboot in the middle starts nothing.
        await keepDown(ids);
        // In the order that the file says, as far as there is one.
        const ran = existsSync(file) ? await compose(project, ['stop'], stopMs) : undefined;
        if (ran === undefined || !worked(ran))
          requireWorked(await runProgram('docker', ['stop', ...ids], stopMs), `${file} could not be stopped`);
      }
      return files.length === 0 ? 'nothing to stop' : `stopped ${projectsText(projects)}`;
    },
    async start({ projects }) {
      for (const project of projects) {
        const { file, containers } = project;
        for (const { id, restart } of containers) await restartPolicy(id, restart);
        const names = containers.filter(({ running }) => running).map(({ service }) => service);
        const some = names.length < containers.length ? names : [];
        requireWorked(await compose(project, ['up', '-d', ...some], startMs), `${file} could not be started`);
      }
      return files.length === 0 ? 'nothing to start' : `started ${projectsText(projects)}`;
    },
    async lastLines({ projects }) {
      const lines: string[] = [];
      for (const project of projects) {
        const { stdout } = await compose(project, ['logs', '--no-color', `--tail=${shownLines}`], askMs);
        lines.push(
          ...stdout
            .split('\n')
            .filter((line) => line.trim() !== '')
            .slice(-shownLines),
        );
      }
      return lines;
    },
  };
}

/** With the file that compose would read beside it if none were named. */
function filesOf(file: string): string[] {
  const [, stem] = /^((?:docker-)?compose)\.ya?ml$/.exec(basename(file)) ?? [];
  if (stem === undefined) return [file];
  const beside = ['yml', 'yaml']
    .map((end) => join(dirname(file), `${stem}.override.${end}`))
    .find((each) => existsSync(each));
  return beside === undefined ? [file] : [file, beside];
}

const projectsText = (projects: readonly RunningProject[]) =>
  projects
    .map(
      ({ file, containers }) =>
        `${file} (${containers.filter(({ running }) => running).length} of ${containers.length} ran)`,
    )
    .join(', ');

/** What was known, and what has come since with the policy that it has now. */
export function alsoRunning(known: Running, now: Running): Running {
  const projects = now.projects.map(({ file, containers }) => {
    const before = known.projects.find((each) => each.file === file)?.containers ?? [];
    return { file, containers: [...before, ...containers.filter(({ id }) => !before.some((each) => each.id === id))] };
  });
  return { projects };
}

async function composeTool(): Promise<readonly string[]> {
  for (const tool of [['docker', 'compose'], ['docker-compose']]) {
    const [program = '', ...words] = tool;
    if (worked(await runProgram(program, [...words, 'version'], askMs))) return tool;
  }
  throw new Fault(
    'unreachable',
    'Neither docker compose nor docker-compose can be run here, and the target has services.',
    {
      hint: 'Install one: apt-get install docker-compose. Or take compose out of the configuration and stop the services yourself.',
    },
  );
}

/** Found by the folder of the file, which compose writes on each container: their names, and the project's, may be any. */
async function containersOf(file: string): Promise<readonly Container[]> {
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

async function inspect(ids: readonly string[]): Promise<readonly Container[]> {
  const label = (name: string) => `{{index .Config.Labels "com.docker.compose.${name}"}}`;
  const policy = '{{.HostConfig.RestartPolicy.Name}}:{{.HostConfig.RestartPolicy.MaximumRetryCount}}';
  const format = ['{{.Id}}', label('project'), label('service'), '{{.State.Running}}', policy].join('\t');
  const ran = await runProgram('docker', ['inspect', '--format', format, ...ids], askMs);
  requireWorked(ran, 'Docker could not be asked what runs');
  return linesOf(ran.stdout).map((line) => {
    const [id = '', project = '', service = '', running, restart = ''] = line.split('\t');
    return { id, project, service, running: running === 'true', restart: restart.replace(/:0$/, '') };
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

async function keepDown(ids: readonly string[]): Promise<void> {
  if (ids.length === 0) return;
  requireWorked(
    await runProgram('docker', ['update', '--restart=no', ...ids], askMs),
    'the containers could not be kept from starting by themselves',
  );
}

async function restartPolicy(id: string, policy: string): Promise<void> {
  const ran = await runProgram('docker', ['update', `--restart=${policy || 'no'}`, id], askMs);
  // One that is gone is made anew, with the policy of its file.
  if (!worked(ran) && !/no such container/i.test(ran.stderr))
    requireWorked(ran, 'the restart policy of a container could not be set back');
}

const worked = ({ code }: Ran) => code === 0;

function requireWorked(ran: Ran, what: string): void {
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
