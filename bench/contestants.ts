import { execFile } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type Figures, publishLoad, resultIn } from './load/wrk.ts';
import { freePort, startPostgres } from './rivals/postgres.ts';
import { headOf, type Running, startServer } from './server.ts';

const run = promisify(execFile);
const root = join(import.meta.dirname, '..');
const pgBossVersion = '12.38.0';
export const connectionsTried = [1, 16, 64];
/** Before anything counts: what is compiled while it runs has to be, and a service runs for weeks. */
const warmUp = { connections: 64, seconds: 3 };

/** `server` and `load`: the cores they are pinned to; undefined is wherever the kernel likes. */
export type Cores = { server: string | undefined; load: string | undefined };
export type Course = { folder: string; cores: Cores; connections: readonly number[]; seconds: number; env?: Slow };
type Slow = Record<string, string> | undefined;

export type Contestant = {
  name: string;
  title: string;
  /** Why it cannot run here, as a sentence, or undefined. */
  missing(): Promise<string | undefined>;
  /** Starts afresh in an empty folder and publishes with each number of connections in turn. */
  publish(course: Course): Promise<Map<number, Figures>>;
};

/** Starts our bus in its real form: `leveredge bus` as a process of its own, with everything on. */
export function startBus(home: string, core: string | undefined, env?: Slow): Promise<Running> {
  return startServer({
    command: [process.execPath, join(root, 'src/bin/leveredge.ts'), 'bus', '--home', home, '--port', '0'],
    port: /http:\/\/127\.0\.0\.1:(\d+)/,
    core,
    env,
  });
}

function ceiling(commit: 'group' | 'each'): (course: Course) => Promise<Running> {
  return ({ folder, cores, env }) =>
    startServer({
      command: [
        process.execPath,
        join(root, 'bench/rivals/ceiling.ts'),
        '--file',
        join(folder, 'events.db'),
        '--commit',
        commit,
      ],
      port: /LISTENING (\d+)/,
      core: cores.server,
      env,
    });
}

async function startFirstStyle({ folder, cores, env }: Course): Promise<Running> {
  const port = await freePort();
  const script = join(root, 'bench/rivals/first-style.py');
  return startServer({
    command: ['/usr/bin/python3', script, join(folder, 'events.db'), String(port)],
    port,
    core: cores.server,
    env,
  });
}

export const contestants = {
  bus: overHttp('bus', 'LeverEdge, all defaults on', (course) =>
    startBus(course.folder, course.cores.server, course.env),
  ),
  ceiling: overHttp('ceiling', 'bare ceiling: node:http + node:sqlite, group commit', ceiling('group')),
  each: overHttp('each', 'the same, a commit per event', ceiling('each')),
  python: overHttp('python', 'Python: FastAPI, sqlite3 defaults', startFirstStyle, pythonMissing),
  pgBoss: {
    name: 'pgBoss',
    title: `pg-boss ${pgBossVersion} \`send\`, PostgreSQL`,
    missing: async () => (existsSync('/usr/lib/postgresql') ? undefined : 'no PostgreSQL (apt-get install postgresql)'),
    publish: publishByPgBoss,
  },
} satisfies Record<string, Contestant>;

function overHttp(
  name: string,
  title: string,
  start: (course: Course) => Promise<Running>,
  missing: Contestant['missing'] = async () => undefined,
): Contestant {
  return {
    name,
    title,
    missing,
    async publish(course) {
      const server = await start(course);
      try {
        const load = { url: server.url, core: course.cores.load };
        await publishLoad({ ...load, ...warmUp });
        const figures = new Map<number, Figures>();
        for (const connections of course.connections) {
          const before = await headOf(server.url);
          const result = await publishLoad({ ...load, connections, seconds: course.seconds });
          const stored = (await headOf(server.url)) - before;
          if (stored < result.requests - result.failed)
            throw new Error(`${title} answered ${result.requests} publishes and stored ${stored}.`);
          figures.set(connections, result);
        }
        return figures;
      } finally {
        await server.stop();
      }
    },
  };
}

async function pythonMissing(): Promise<string | undefined> {
  try {
    await run('/usr/bin/python3', ['-c', 'import fastapi, uvicorn']);
    return undefined;
  } catch {
    return 'no FastAPI for /usr/bin/python3 (apt-get install python3-fastapi uvicorn)';
  }
}

/** pg-boss is installed on demand into a folder beside the data, so that the project does not depend on it. */
async function publishByPgBoss({ folder, cores, connections, seconds }: Course): Promise<Map<number, Figures>> {
  const module = join(folder, '..', 'pg-boss');
  if (!existsSync(join(module, 'node_modules'))) {
    mkdirSync(module, { recursive: true });
    writeFileSync(join(module, 'package.json'), '{"private":true}');
    await run('npm', ['install', '--ignore-scripts', '--no-audit', `pg-boss@${pgBossVersion}`], { cwd: module });
  }
  const script = join(module, 'pg-boss.mjs');
  copyFileSync(join(root, 'bench/rivals/pg-boss.mjs'), script);
  const postgres = await startPostgres(cores.server);
  if (typeof postgres === 'string') throw new Error(postgres);
  try {
    const figures = new Map<number, Figures>();
    const pin = cores.load === undefined ? [] : ['taskset', '-c', cores.load];
    for (const inFlight of connections) {
      const line = [...pin, process.execPath, script, postgres.connectionString, String(inFlight), String(seconds)];
      const { stdout } = await run(line[0] as string, line.slice(1), { cwd: module });
      figures.set(inFlight, resultIn(stdout));
    }
    return figures;
  } finally {
    await postgres.stop();
  }
}
