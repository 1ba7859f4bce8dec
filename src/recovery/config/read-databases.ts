import { isAbsolute, join } from 'node:path';
import type { PostgresDatabase, SqliteDatabase } from '../target.ts';
import type { Located } from './located.ts';

/** Makes a path of the configuration absolute. */
export type From = (path: string) => string;

type Databases = { databases: SqliteDatabase[]; postgres: PostgresDatabase[] };

const databaseName = /^[a-z0-9][a-z0-9._-]{0,99}$/;
const forms =
  '{ name, engine: sqlite, path } or { name, engine: postgres } with one of service, socket and url to reach its server';
const postgresKeys = ['service', 'socket', 'url', 'port', 'database', 'user', 'password_file'];
const usualPort = 5432;

/** A target's own `databases`, of both engines. */
export function databasesIn(at: Located, root: string, from: From): Databases {
  const found: Databases = { databases: [], postgres: [] };
  for (const item of at.get('databases')?.items(`must be a list of ${forms}`) ?? [])
    databaseIn(item, root, from, found);
  for (const key of ['supabase_data', 'n8n'] as const) {
    const section = key === 'n8n' ? at.section('n8n')?.get('database') : at.get(key);
    if (section !== undefined && section.value !== 'sqlite' && found.postgres.length === 0)
      section.note(
        'speaks of a PostgreSQL database and not of how to reach it. Name it: databases: [ { name: NAME, engine: postgres, service: SERVICE } ]',
      );
  }
  return found;
}

function databaseIn(item: Located, root: string, from: From, found: Databases): void {
  if (!item.isMap) {
    item.wrong(`must be ${forms}`);
    return;
  }
  const [name, engine] = [item.text('name'), item.text('engine')];
  const isPostgres = engine !== undefined && /^postgres(ql)?$/.test(engine);
  item.knownKeys(['name', 'engine', ...(isPostgres ? postgresKeys : ['path'])]);
  const taken = [...found.databases, ...found.postgres].some((each) => each.name === name);
  const path = item.text('path');
  if (name === undefined || !databaseName.test(name))
    item.wrong('needs a name of small letters, digits, dots, hyphens and underscores');
  else if (taken) item.wrong(`has the name ${name}, which another database has`);
  else if (isPostgres) found.postgres.push(...postgresIn(item, name, root, from));
  else if (engine !== 'sqlite') item.wrong('needs engine: sqlite, or engine: postgres');
  else if (path === undefined) item.wrong('needs the path of its file');
  else found.databases.push({ name, path: isAbsolute(path) ? from(path) : join(root, path) });
}

function postgresIn(item: Located, name: string, root: string, from: From): PostgresDatabase[] {
  const [service, socket, url] = [item.text('service'), item.text('socket'), item.text('url')];
  const said = [service, socket, url].filter((each) => each !== undefined).length;
  if (said !== 1) {
    item.wrong('needs one of service (of the compose file), socket (its folder) and url, to reach its server');
    return [];
  }
  const passwordFile = item.text('password_file');
  const common = {
    name,
    database: item.text('database') ?? null,
    user: item.text('user') ?? null,
    passwordFile:
      passwordFile === undefined ? null : isAbsolute(passwordFile) ? from(passwordFile) : join(root, passwordFile),
  };
  const port = item.count('port', 1, 65535) ?? usualPort;
  if (service !== undefined) return [{ ...common, reach: { kind: 'service', service } }];
  if (socket !== undefined) {
    if (!isAbsolute(socket))
      item.get('socket')?.wrong('must be the absolute folder of the socket, as /var/run/postgresql');
    return [{ ...common, reach: { kind: 'socket', folder: socket, port } }];
  }
  return byUrl(item, url as string, common) ?? [];
}

/** `postgres://user@host:5432/database?sslmode=require`; what the configuration says beside it goes first. */
function byUrl(item: Located, text: string, common: Omit<PostgresDatabase, 'reach'>): PostgresDatabase[] | undefined {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^postgres(ql)?:$/.test(url.protocol) || url.hostname === '') {
    item.get('url')?.wrong('must be like postgres://user@host:5432/database');
    return undefined;
  }
  const secret = ['password', 'sslpassword', 'passfile'].some((key) => url.searchParams.has(key));
  if (url.password !== '' || secret) {
    item.get('url')?.wrong('has a password in it; put it into a file of mode 0600, and name that as password_file');
    return undefined;
  }
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  const parameters = {
    host,
    port: url.port === '' ? String(usualPort) : url.port,
    ...Object.fromEntries(url.searchParams),
  };
  const database = decodeURIComponent(url.pathname.slice(1));
  const user = decodeURIComponent(url.username);
  const postgres: PostgresDatabase = {
    ...common,
    database: common.database ?? (database === '' ? null : database),
    user: common.user ?? (user === '' ? null : user),
    reach: { kind: 'url', parameters },
  };
  return [postgres];
}
