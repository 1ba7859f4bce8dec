import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { makeStand, type Stand } from '../recovery/gaia.fixtures.ts';
import { type Engine, startEngine } from './docker.fixtures.ts';
import { composeIn, engineProgram } from './engines.fixtures.ts';
import { buildStackImage, networkedFile, stackFile } from './stack.fixtures.ts';

/** A running stack of a database and an application in the target `dev`, and one backup of it. */
export type Stack = Stand & {
  engine: Engine;
  ports: { database: number; web: number };
  docker(...args: string[]): string;
  compose(...args: string[]): string;
  /** The running container of a service. */
  idOf(service: string): string;
  sql(text: string, database?: string): string;
  /** The application's databases, with what runs made of them. */
  own(): string;
  version(text: string): void;
  /** What the application answers, or `nothing`. */
  says(): Promise<string>;
  untilSays(wanted: string): Promise<void>;
  untilServes(): Promise<void>;
  configure(database?: string, more?: string): void;
  removeBackup(name: string): void;
  end(): Promise<void>;
};

/** A port that nobody listens at, just now. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  return port;
}

/** Starts an engine and the stack in it; `networked`: in a network of its own instead of the machine's. */
export async function makeStack({ networked = false } = {}): Promise<Stack> {
  const home = mkdtempSync(join(tmpdir(), 'fire-stack-'));
  const engine = await startEngine();
  buildStackImage();
  const ports = { database: await freePort(), web: await freePort() };
  const stand = makeStand({ after: () => undefined }, { home });
  const docker = (...args: string[]) => execFileSync(engineProgram, args, { encoding: 'utf8', stdio: 'pipe' }).trim();
  const idOf = (service: string) =>
    docker('ps', '-q', '--no-trunc', '--filter', `label=com.docker.compose.service=${service}`);
  const stack: Stack = {
    ...stand,
    engine,
    ports,
    docker,
    idOf,
    compose: (...args) => composeIn(stand.root, args),
    sql: (text, database = 'app') =>
      docker('exec', '-i', idOf('db'), 'psql', '-U', 'app', '-d', database, '-XqAtc', text),
    own: () =>
      stack.sql("SELECT string_agg(datname, ',' ORDER BY datname) FROM pg_database WHERE datname ~ '^app'", 'postgres'),
    version: (text) => writeFileSync(join(stand.root, 'site', 'version'), `${text}\n`),
    async says() {
      try {
        const at = networked ? `${addressOf(docker, idOf('web'))}:80` : `127.0.0.1:${ports.web}`;
        const answer = await fetch(`http://${at}/cgi-bin/health`);
        return answer.ok ? (await answer.text()).trim() : String(answer.status);
      } catch {
        return 'nothing';
      }
    },
    async untilSays(wanted) {
      for (const end = performance.now() + 30_000; (await stack.says()) !== wanted; await pause(100))
        assert.ok(performance.now() < end, `the application says ${await stack.says()} instead of ${wanted}`);
    },
    async untilServes() {
      for (const end = performance.now() + 60_000; ; await pause(300))
        try {
          if (stack.sql('SHOW listen_addresses') !== '') return;
        } catch (error) {
          if (performance.now() > end) throw error;
        }
    },
    configure(database = '{ name: app, engine: postgres, service: db }', more = 'within_seconds: 8, consecutive: 2') {
      const sqlite = `{ name: events, engine: sqlite, path: ${stand.database} }`;
      writeFileSync(
        stand.config,
        `backup_locations: { local: ${stand.backups} }\nrestore_targets:\n  data-plane:\n    dev:\n      root: ${stand.root}\n` +
          `      compose: compose.yml\n      volumes: ${networked ? '{}' : '{ include: [dev_uploads], exclude: [dev_cache] }'}\n      databases: [ ${sqlite}, ${database} ]\n` +
          `      health: { endpoints: [ { name: web, url: "http://127.0.0.1:${ports.web}/cgi-bin/health" } ], ${more} }\n`,
      );
    },
    removeBackup(name) {
      for (const end of ['tar.zst', 'manifest.json', 'manifest.json.sig'])
        rmSync(join(stand.backups, 'dev', name.replace(/tar\.zst$/, end)));
    },
    async end() {
      for (const id of docker('ps', '-aq')
        .split('\n')
        .filter((line) => line !== ''))
        docker('rm', '-f', id);
      await engine.end();
      rmSync(home, { recursive: true, force: true });
    },
  };
  try {
    await begin(stack, networked ? networkedFile(ports.web) : stackFile(ports));
    return stack;
  } catch (error) {
    await stack.end();
    throw error;
  }
}

/** The machine reaches containers by their own addresses, whether ports can be published here or not. */
function addressOf(docker: Stack['docker'], id: string): string {
  return docker('inspect', '--format', '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}', id);
}

async function begin(stack: Stack, file: string): Promise<void> {
  stack.configure();
  writeFileSync(join(stack.root, 'compose.yml'), file);
  mkdirSync(join(stack.root, 'site'));
  stack.version('1');
  stack.compose('up', '-d');
  await stack.untilServes();
  stack.sql("CREATE TABLE status AS SELECT 'well'::text AS said");
  stack.sql('CREATE TABLE account AS SELECT n AS id, 100 AS balance FROM generate_series(1, 1000) n');
  await stack.untilSays('well 1');
  const made = await stack.gaia('backup', 'dev');
  assert.equal(made.exit, 0, made.stderr);
}
