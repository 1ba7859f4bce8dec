import { execFile } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type Figures, publishLoad, resultIn } from './load/wrk.ts';
import { freePort, startPostgres } from './rivals/postgres.ts';
import { type Store, startNats, startRedis } from './rivals/stores.ts';
import { headOf, type Running, startServer } from './server.ts';
import { missingTool } from './tools.ts';

const run = promisify(execFile);
const root = join(import.meta.dirname, '..');
const pgBossVersion = '12.38.0';
const redisVersion = '6.3.1';
const natsVersion = '3.4.0';
export const connectionsTried = [1, 16, 64];
/** Before anything counts: what is compiled while it runs has to be, and a service runs for weeks. */
const warmUp = { connections: 64, seconds: 3 };

/** `server` and `load`: the cores they are pinned to; undefined is wherever the kernel likes. */
export type Cores = { server: string | undefined; load: string | undefined };
export type Course = {
  folder: string;
  cores: Cores;
  connections: readonly number[];
  seconds: number;
  env?: Slow;
  /** Events in one request; left out, each event is a request of its own. */
  batch?: number;
};
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

/** The bare ceiling with group commit, wherever the kernel puts it. */
export function startCeiling(folder: string): Promise<Running> {
  const anywhere = { server: undefined, load: undefined };
  return ceiling('group')({ folder, cores: anywhere, connections: [], seconds: 0 });
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
  redis: overHttp(
    'redis',
    'HTTP service on Redis Streams, `appendfsync always`',
    (course) => startOnStore(course, startRedis, 'redis-streams.mjs', [`redis@${redisVersion}`]),
    async () => missingTool('redis-server'),
  ),
  nats: overHttp(
    'nats',
    'HTTP service on NATS JetStream, synced every 2 minutes',
    (course) =>
      startOnStore(course, startNats, 'nats-jetstream.mjs', [
        `@nats-io/jetstream@${natsVersion}`,
        `@nats-io/transport-node@${natsVersion}`,
      ]),
    async () => missingTool('nats-server'),
  ),
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
        const load = { url: server.url, core: course.cores.load, batch: course.batch };
        await publishLoad({ ...load, ...warmUp });
        const figures = new Map<number, Figures>();
        for (const connections of course.connections) {
          const before = await headOf(server.url);
          const result = await publishLoad({ ...load, connections, seconds: course.seconds });
          const stored = (await headOf(server.url)) - before;
          const answered = (result.requests - result.failed) * (course.batch ?? 1);
          if (stored < answered) throw new Error(`${title} confirmed ${answered} events and stored ${stored}.`);
          figures.set(connections, { ...result, requests: result.requests * (course.batch ?? 1) });
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

/** What a rival needs is installed on demand into a folder beside the data, so that the project does not depend on it. */
async function installed(folder: string, name: string, packages: readonly string[]): Promise<string> {
  const module = join(folder, '..', name);
  if (existsSync(join(module, 'node_modules'))) return module;
  mkdirSync(module, { recursive: true });
  writeFileSync(join(module, 'package.json'), '{"private":true}');
  await run('npm', ['install', '--ignore-scripts', '--no-audit', ...packages], { cwd: module });
  return module;
}

/** A store of others with an HTTP service in front of it, both on the server's core. */
async function startOnStore(
  { folder, cores, env }: Course,
  startStore: (core: string | undefined, env: Slow) => Promise<Store>,
  script: string,
  packages: readonly string[],
): Promise<Running> {
  const module = await installed(folder, script.replace('.mjs', ''), packages);
  for (const file of [script, 'hearers.mjs', 'serve-publishes.mjs'])
    copyFileSync(join(root, 'bench/rivals', file), join(module, file));
  const store = await startStore(cores.server, env);
  const port = await freePort();
  try {
    const command = [process.execPath, join(module, script), String(store.port), String(port)];
    const server = await startServer({ command, port, core: cores.server });
    return { ...server, stop: () => server.stop().then(store.stop) };
  } catch (error) {
    await store.stop();
    throw error;
  }
}

async function publishByPgBoss({ folder, cores, connections, seconds }: Course): Promise<Map<number, Figures>> {
  const module = await installed(folder, 'pg-boss', [`pg-boss@${pgBossVersion}`]);
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
