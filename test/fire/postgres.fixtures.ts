import { execFileSync, spawnSync } from 'node:child_process';
import { chownSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A PostgreSQL server of the test's own, reached by its socket. */
export type Server = {
  folder: string;
  port: number;
  /** Its data folder. */
  data: string;
  /** What statements give, a line a row, columns parted by `|`. */
  sql(database: string, text: string): string;
  start(): void;
  stop(): void;
  end(): void;
};

const versions = '/usr/lib/postgresql';

/** Why there can be no server here; undefined when there can. */
export function noServer(): string | undefined {
  if (process.getuid?.() !== 0) return 'not root';
  return binaries() === undefined ? 'no PostgreSQL server' : undefined;
}

/** The folder of the newest version's programs. */
export function binaries(): string | undefined {
  try {
    const newest = readdirSync(versions)
      .filter((name) => /^\d+$/.test(name))
      .sort((a, b) => Number(b) - Number(a))[0];
    return newest === undefined ? undefined : join(versions, newest, 'bin');
  } catch {
    return undefined; // Not installed.
  }
}

/** The numbers of the user that servers run as, since they refuse to as root. */
export function serverUser(): { uid: number; gid: number } {
  const [, , uid, gid] =
    readFileSync('/etc/passwd', 'utf8')
      .split('\n')
      .find((line) => line.startsWith('postgres:'))
      ?.split(':') ?? [];
  return { uid: Number(uid), gid: Number(gid) };
}

/** Starts a server on a private socket. `data` is where it keeps its data, if not in a folder of its own. */
export function startServer(port: number, data?: string): Server {
  const bin = binaries() as string;
  const { uid, gid } = serverUser();
  const folder = mkdtempSync(join(tmpdir(), 'fire-postgres-'));
  chownSync(folder, uid, gid);
  const at = data ?? join(folder, 'data');
  const as = (program: string, ...args: string[]) =>
    execFileSync(join(bin, program), args, { uid, gid, cwd: folder, stdio: 'pipe', encoding: 'utf8' });
  as('initdb', '-D', at, '-A', 'trust', '-U', 'postgres', '-E', 'UTF8', '--no-sync', '--locale=C.UTF-8');
  const options = `-k ${folder} -p ${port} -c listen_addresses= -c fsync=off`;
  const start = () => void as('pg_ctl', '-D', at, '-o', options, '-l', join(folder, 'log'), '-w', 'start');
  const stop = () => void as('pg_ctl', '-D', at, '-m', 'immediate', '-w', 'stop');
  start();
  return {
    folder,
    port,
    data: at,
    sql(database, text) {
      const flags = [
        '-h',
        folder,
        '-p',
        String(port),
        '-U',
        'postgres',
        '-d',
        database,
        '-XqAt',
        '-v',
        'ON_ERROR_STOP=1',
      ];
      const { status, stdout, stderr } = spawnSync(join(bin, 'psql'), flags, { input: text, encoding: 'utf8' });
      if (status !== 0) throw new Error(stderr);
      return stdout.trim();
    },
    start,
    stop,
    end() {
      spawnSync(join(bin, 'pg_ctl'), ['-D', at, '-m', 'immediate', '-w', 'stop'], { uid, gid, cwd: folder });
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** A database `app` with everything that a dump alone would lose, and accounts whose balances add up to 100,000. */
export const applicationSql = `
CREATE ROLE app LOGIN PASSWORD 'not-kept-anywhere';
CREATE ROLE reader;
GRANT reader TO app;
CREATE DATABASE app OWNER app TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C.UTF-8';
REVOKE CONNECT ON DATABASE app FROM PUBLIC;
GRANT CONNECT ON DATABASE app TO reader;
ALTER DATABASE app SET search_path TO "$user", own, public;
ALTER DATABASE app SET work_mem TO '8MB';
ALTER ROLE app IN DATABASE app SET statement_timeout TO '5min';
COMMENT ON DATABASE app IS 'it''s \\ the
application';
\\connect app
CREATE EXTENSION pg_trgm;
CREATE SCHEMA own AUTHORIZATION app;
CREATE TABLE public.account (id int PRIMARY KEY, balance int NOT NULL);
INSERT INTO public.account SELECT n, 100 FROM generate_series(1, 1000) n;
ALTER TABLE public.account OWNER TO app;
GRANT SELECT ON public.account TO reader;
CREATE TABLE own."odd ""name" (t text, b bytea);
INSERT INTO own."odd ""name" VALUES (E'tab\\t, \\\\. and ünïcode', '\\x00ff0a5c');
CREATE SEQUENCE public.ticket;
SELECT nextval('public.ticket') FROM generate_series(1, 42);
CREATE MATERIALIZED VIEW public.total AS SELECT sum(balance) FROM public.account;
SELECT lo_from_bytea(4711, '\\x6c61726765');
`;

/** What makes the database what it is, as text to compare. */
export function pictureOf(server: Pick<Server, 'sql'>, database = 'app'): string {
  return [
    server.sql(
      'postgres',
      `SELECT pg_get_userbyid(datdba), pg_encoding_to_char(encoding), datcollate, datctype, datconnlimit, datallowconn,
        (SELECT string_agg(a::text, ',' ORDER BY a::text) FROM unnest(datacl) a), shobj_description(oid, 'pg_database')
        FROM pg_database WHERE datname = '${database}'`,
    ),
    server.sql(
      'postgres',
      `SELECT setrole::regrole, setconfig FROM pg_db_role_setting s JOIN pg_database d ON d.oid = setdatabase
        WHERE datname = '${database}' ORDER BY 1`,
    ),
    server.sql(
      database,
      `SELECT extname, extversion FROM pg_extension ORDER BY 1;
       SELECT relname, relkind, relowner::regrole, relacl FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace
         WHERE nspname IN ('own', 'public') AND relkind IN ('r', 'm', 'S', 'i') ORDER BY 1;
       SELECT count(*), sum(balance), md5(string_agg(a::text, ',' ORDER BY id)) FROM public.account a; SELECT * FROM own."odd ""name"; SELECT * FROM public.total;
       SELECT last_value FROM public.ticket; SELECT lo_get(4711);`,
    ),
  ].join('\n---\n');
}
