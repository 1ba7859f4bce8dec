import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';
import { userInfo } from 'node:os';
import { posix } from 'node:path';
import { Fault, reasonOf } from '../../base/fault.ts';
import { shellWord } from '../../base/shell-word.ts';
import { type Container, containersOf, engineName, requireWorked } from '../compose/containers.ts';
import { type ContainerEngine, engineEnv, runEngine } from '../compose/engine.ts';
import { childEnv } from '../source/child-env.ts';
import type { PostgresDatabase } from '../target.ts';

/** How the client programs of one server are started: psql, pg_dump, pg_dumpall, pg_restore. */
export type Connection = {
  /** As in a sentence: `the database n8n (service postgres)`. */
  readonly label: string;
  /** Its name on the server. */
  readonly database: string;
  /** The container that the server runs in. */
  readonly container: ServerContainer | undefined;
  /** Which server it is: two databases of one are swapped together. */
  readonly server: string;
  /** It runs on this machine itself, or in a container of it. */
  readonly isHere: boolean;
  /** Starts a program on a database, this one unless another is named. Its standard input and output are pipes. */
  start(program: string, args: readonly string[], database?: string): ClientProcess;
};

export type ServerContainer = {
  id: string;
  engine: ContainerEngine;
  /** Of its folders, those that lie on this machine. */
  mounts: readonly { source: string; destination: string }[];
};

export type ClientProcess = {
  child: ChildProcess & { stdin: NonNullable<ChildProcess['stdin']>; stdout: NonNullable<ChildProcess['stdout']> };
  /** Resolves once it ended well. @throws Fault with what it said */
  ended: Promise<void>;
};

const maxStderr = 64 * 1024;
const maxPasswordBytes = 1024;

/**
 * Finds out how to reach a database. The server itself is not asked yet.
 * @throws Fault `unreachable` when its service does not run; `not-found`, `usage` for its password file
 */
export async function connect(database: PostgresDatabase, composeFiles: readonly string[]): Promise<Connection> {
  const { reach } = database;
  const password = passwordOf(database);
  if (reach.kind === 'service') return inService(database, await serviceOf(reach.service, composeFiles), password);
  const user = database.user ?? 'postgres';
  const name = database.database ?? user;
  const where = reach.kind === 'socket' ? { host: reach.folder, port: String(reach.port) } : reach.parameters;
  const at = reach.kind === 'socket' ? `socket ${reach.folder}` : `host ${reach.parameters.host}`;
  const owner = reach.kind === 'socket' ? systemUser(user) : {};
  return connectionOf({
    label: `the database ${name} (${at})`,
    name,
    container: undefined,
    server: JSON.stringify([reach.kind, where.host, where.port]),
    isHere: reach.kind === 'socket',
    command: (program, args) => [program, args],
    conninfo: (dbname) => conninfoOf({ ...where, user, dbname }),
    options: { env: { ...childEnv, ...(password === undefined ? {} : { PGPASSWORD: password }) }, ...owner },
  });
}

type Parts = {
  label: string;
  name: string;
  container: ServerContainer | undefined;
  server: string;
  isHere: boolean;
  command(program: string, args: readonly string[]): [string, readonly string[]];
  conninfo(database: string): string;
  options: SpawnOptions;
};

function connectionOf({ label, name, container, server, isHere, command, conninfo, options }: Parts): Connection {
  return {
    label,
    database: name,
    container,
    server,
    isHere,
    start(program, args, database = name) {
      const [file, words] = command(program, [...args, '--no-password', '-d', conninfo(database)]);
      const child = spawn(file, [...words], { ...options, stdio: ['pipe', 'pipe', 'pipe'] });
      const { stdin, stdout } = child;
      if (stdin === null || stdout === null) throw new Error('a pipe was asked for');
      // Told by the end of the process, in its own words.
      stdin.on('error', () => undefined);
      return { child: Object.assign(child, { stdin, stdout }), ended: endOf(child, program, label) };
    },
  };
}

function endOf(child: ChildProcess, program: string, label: string): Promise<void> {
  let stderr = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr = (stderr + text).slice(-maxStderr);
  });
  const ended = new Promise<void>((resolve, reject) => {
    child.on('error', (error) => reject(notStarted(program, reasonOf(error))));
    child.on('close', (code, signal) => {
      if (code === 0) resolve();
      else reject(clientFault(program, label, stderr, code ?? signal));
    });
  });
  ended.catch(() => undefined /* thrown where it is awaited */);
  return ended;
}

function notStarted(program: string, why: string): Fault {
  return new Fault('unreachable', `${program} cannot be started: ${why}.`, {
    hint: 'Install the client of the same major version as the server: apt-get install postgresql-client',
  });
}

function clientFault(program: string, label: string, stderr: string, ended: number | string | null): Fault {
  const lines = stderr
    .split('\n')
    .map((line) => line.replace(/^(psql|pg_dump|pg_dumpall|pg_restore): (error: )?/, '').trim())
    .filter((line) => line !== '' && !/^(LINE \d|\^|Command was)/.test(line));
  const why =
    lines
      .slice(0, 3)
      .join(' ')
      .replace(/[.\s]+$/, '') || `it ended with ${ended}`;
  // Docker says why on its standard output, if at all.
  if (ended === 126 || ended === 127 || /executable file not found/i.test(stderr))
    return new Fault('unreachable', `There is no ${program} in the container of ${label}.`, {
      hint: 'Use an image that has the PostgreSQL client, as the official one does; or reach the server by socket or url.',
      extra: { runs: true },
    });
  if (/No space left on device|could not extend file|disk full/i.test(stderr))
    return new Fault('storage-full', `There is no room left for ${label}: ${why}.`, {
      hint: 'Free some space where the server keeps its data.',
    });
  if (/server version mismatch/.test(stderr))
    return new Fault('unreachable', `${program} is older than the server of ${label}: ${why}.`, {
      hint: 'Install the client of the same major version as the server.',
    });
  if (/could not connect|connection to server|No such container|is not running|Connection refused/i.test(stderr))
    return new Fault('unreachable', `The server of ${label} cannot be reached: ${why}.`, {
      hint: 'See whether it runs and whether user and password are right.',
      // It answered, and let nobody in.
      extra: {
        runs: /authentication failed|no password supplied|pg_hba\.conf|(role|database) ".*" does not exist/.test(
          stderr,
        ),
      },
    });
  // A statement was refused, or what was asked for is not there.
  return new Fault('internal', `${program} failed on ${label}: ${why}.`);
}

async function serviceOf(service: string, composeFiles: readonly string[]): Promise<ServerContainer & Defaults> {
  for (const file of composeFiles) {
    const found = (await containersOf(file)).find((each) => each.service === service && each.running);
    if (found !== undefined) return inspectServer(found);
  }
  throw new Fault('unreachable', `The service ${service}, which holds a database, does not run.`, {
    hint: `Start it: docker compose -f ${shellWord(composeFiles[0] ?? 'docker-compose.yml')} up -d ${service}`,
  });
}

type Defaults = { user: string | undefined; database: string | undefined; data: string };

/** How a container says that its server is used, whether it runs or not. */
export async function inspectServer({
  id,
  engine = 'docker',
}: Pick<Container, 'id' | 'engine'>): Promise<ServerContainer & Defaults> {
  const ran = await runEngine(engine, ['inspect', id]);
  requireWorked(ran, `${engineName(engine)} could not be asked about the container of a database`);
  const [found] = JSON.parse(ran.stdout) as {
    Config: { Env: string[] | null };
    Mounts: { Source?: string; Destination: string }[];
  }[];
  const [env, mounts] = [found?.Config.Env, found?.Mounts ?? []];
  const value = (name: string) => env?.find((each) => each.startsWith(`${name}=`))?.slice(name.length + 1) || undefined;
  return {
    id,
    engine,
    mounts: mounts.flatMap(({ Source, Destination }) =>
      Source === undefined || Source === '' ? [] : [{ source: Source, destination: Destination }],
    ),
    data: value('PGDATA') ?? '/var/lib/postgresql/data',
    user: value('POSTGRES_USER'),
    database: value('POSTGRES_DB'),
  };
}

/** By the server's own client, which has its version, over its own socket, which needs no password in the usual images. */
function inService(
  database: PostgresDatabase,
  { id, engine, mounts, ...defaults }: ServerContainer & Defaults,
  password: string | undefined,
): Connection {
  const user = database.user ?? defaults.user ?? 'postgres';
  const name = database.database ?? defaults.database ?? user;
  const service = database.reach.kind === 'service' ? database.reach.service : '';
  const secret = password === undefined ? [] : ['-e', 'PGPASSWORD'];
  return connectionOf({
    label: `the database ${name} (service ${service})`,
    name,
    container: { id, engine, mounts },
    server: id,
    isHere: true,
    command: (program, args) => [engine, ['exec', '-i', ...secret, id, program, ...args]],
    conninfo: (dbname) => conninfoOf({ user, dbname }),
    options: { env: { ...engineEnv(), ...(password === undefined ? {} : { PGPASSWORD: password }) } },
  });
}

/** As libpq reads it (https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING). */
export function conninfoOf(parameters: Readonly<Record<string, string>>): string {
  return Object.entries(parameters)
    .map(([key, value]) => `${key}='${value.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`)
    .join(' ');
}

function passwordOf({ passwordFile, name }: PostgresDatabase): string | undefined {
  if (passwordFile === null) return undefined;
  const found = statSync(passwordFile, { throwIfNoEntry: false });
  if (!found?.isFile())
    throw new Fault('not-found', `There is no ${passwordFile}, which has the password of the database ${name}.`);
  if ((found.mode & 0o077) !== 0)
    throw new Fault('usage', `Others may read ${passwordFile}, which has the password of the database ${name}.`, {
      hint: `chmod 600 ${shellWord(passwordFile)}`,
    });
  return readFileSync(passwordFile)
    .subarray(0, maxPasswordBytes)
    .toString('utf8')
    .replace(/\r?\n$/, '');
}

/** A local server knows its users by who asks (peer): as root, the program is started as the user of that name. */
function systemUser(name: string): { uid?: number; gid?: number } {
  if (userInfo().uid !== 0) return {};
  const line = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .find((each) => each.startsWith(`${name}:`));
  const [, , uid, gid] = line?.split(':') ?? [];
  return uid === undefined || gid === undefined ? {} : { uid: Number(uid), gid: Number(gid) };
}

/** Where a server keeps its data, on this machine, by the mounts of its container; undefined when that cannot be known. */
export function dataFolderOf({ container, isHere }: Connection, folder: string | null): string | undefined {
  if (folder === null || !isHere) return undefined;
  return container === undefined ? folder : onThisMachine(container, folder);
}

/** Where a folder of a container lies on this machine; undefined for one that is in no mount. */
export function onThisMachine({ mounts }: Pick<ServerContainer, 'mounts'>, folder: string): string | undefined {
  const mount = mounts
    .filter(({ destination }) => folder === destination || folder.startsWith(`${destination}/`))
    .sort((a, b) => b.destination.length - a.destination.length)[0];
  return mount === undefined ? undefined : posix.join(mount.source, folder.slice(mount.destination.length));
}
