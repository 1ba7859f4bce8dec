import { identifier, literal, type Session } from './session.ts';

/** What a dump leaves out and a database is not the same without. */
export type DatabaseFacts = {
  /** Its name on the server. */
  database: string;
  /** `150018` */
  version_num: number;
  encoding: string;
  collate: string;
  ctype: string;
  /** `libc`, `icu` or `builtin` */
  provider: string;
  /** For icu and builtin. */
  locale: string | null;
  icu_rules: string | null;
  owner: string;
  /** Null for the server's usual one. */
  tablespace: string | null;
  /** -1 for none. */
  connection_limit: number;
  comment: string | null;
  /** Null where nobody changed what a new database has. */
  acl: readonly Grant[] | null;
  /** What ALTER DATABASE … SET and ALTER ROLE … IN DATABASE … SET have set, as `name=value`. */
  settings: readonly { role: string | null; values: readonly string[] }[];
  extensions: readonly { name: string; version: string }[];
  /** Bytes on the server's disk. */
  size: number;
  /** Tables, materialized views and sequences, of extensions too. */
  relations: number;
};

export type Grant = { grantee: string | null; privilege: string; grantable: boolean };

/** What is asked of the server and not kept. */
export type ServerFacts = { system: string; data_directory: string | null; others: readonly string[] };

/** Columns that only some versions have are read through JSON, which gives null for those that are not there. */
const facts = `
SELECT json_build_object(
  'database', d.datname,
  'version_num', current_setting('server_version_num')::int,
  'encoding', pg_encoding_to_char(d.encoding),
  'collate', d.datcollate,
  'ctype', d.datctype,
  'provider', CASE to_jsonb(d)->>'datlocprovider' WHEN 'i' THEN 'icu' WHEN 'b' THEN 'builtin' ELSE 'libc' END,
  'locale', COALESCE(to_jsonb(d)->>'datlocale', to_jsonb(d)->>'daticulocale'),
  'icu_rules', to_jsonb(d)->>'daticurules',
  'tablespace', (SELECT NULLIF(spcname, 'pg_default') FROM pg_tablespace t WHERE t.oid = d.dattablespace),
  'owner', pg_get_userbyid(d.datdba),
  'connection_limit', d.datconnlimit,
  'comment', shobj_description(d.oid, 'pg_database'),
  'acl', CASE WHEN d.datacl IS NULL THEN NULL ELSE COALESCE((SELECT json_agg(json_build_object(
      'grantee', CASE WHEN a.grantee = 0 THEN NULL ELSE pg_get_userbyid(a.grantee) END,
      'privilege', a.privilege_type, 'grantable', a.is_grantable)) FROM aclexplode(d.datacl) a), '[]'::json) END,
  'settings', COALESCE((SELECT json_agg(json_build_object(
      'role', CASE WHEN s.setrole = 0 THEN NULL ELSE pg_get_userbyid(s.setrole) END, 'values', s.setconfig))
      FROM pg_db_role_setting s WHERE s.setdatabase = d.oid), '[]'::json),
  'extensions', COALESCE((SELECT json_agg(json_build_object('name', e.extname, 'version', e.extversion) ORDER BY e.extname)
      FROM pg_extension e), '[]'::json),
  'size', pg_database_size(d.oid),
  'relations', (${relationsOf()})
) FROM pg_database d WHERE d.datname = current_database()`;

function relationsOf(): string {
  return `SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'm', 'S') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'`;
}

export function askFacts(session: Session): Promise<DatabaseFacts> {
  return session.askJson<DatabaseFacts>(facts);
}

export function askServer(session: Session): Promise<ServerFacts> {
  return session.askJson<ServerFacts>(`
SELECT json_build_object(
  'system', (SELECT system_identifier FROM pg_control_system())::text,
  'data_directory', (SELECT setting FROM pg_settings WHERE name = 'data_directory'),
  'others', (SELECT COALESCE(json_agg(datname ORDER BY datname), '[]'::json) FROM pg_database
    WHERE datallowconn AND NOT datistemplate AND datname <> current_database())
)`);
}

/** Rows of larger tables are not counted: it would take as long again as dumping them. */
const countedBytes = 64 * 1024 * 1024;
const maxCounted = 2000;
/** PostgreSQL takes 1,664 columns at most; the rest is for the length of one statement. */
const atATime = 200;

/** How many rows each table has that is small enough, by its quoted name. Tables of extensions are their own affair. */
export async function askRows(session: Session): Promise<Record<string, number>> {
  const tables = await session.askJson<{ schema: string; name: string }[]>(`
SELECT COALESCE(json_agg(json_build_object('schema', schema, 'name', name)), '[]'::json) FROM (
  SELECT n.nspname AS schema, c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND c.relispopulated AND n.nspname !~ '^pg_'
    AND n.nspname <> 'information_schema' AND pg_relation_size(c.oid) < ${countedBytes}
    AND NOT EXISTS (SELECT FROM pg_depend x WHERE x.classid = 'pg_class'::regclass AND x.objid = c.oid AND x.deptype = 'e')
  ORDER BY c.oid LIMIT ${maxCounted}) t`);
  const rows: Record<string, number> = {};
  for (let at = 0; at < tables.length; at += atATime) {
    const some = tables.slice(at, at + atATime);
    Object.assign(rows, await countRows(session, some));
  }
  return rows;
}

async function countRows(
  session: Session,
  tables: readonly { schema: string; name: string }[],
): Promise<Record<string, number>> {
  const names = tables.map(({ schema, name }) => `${identifier(schema)}.${identifier(name)}`);
  const counts = await session.askJson<number[]>(
    `SELECT json_build_array(${names.map((name) => `(SELECT count(*) FROM ONLY ${name})`).join(', ')})`,
  );
  return Object.fromEntries(names.map((name, n) => [name, counts[n] as number]));
}

/** The same for tables that are named, of which some may not be there. */
export async function askRowsOf(session: Session, names: readonly string[]): Promise<Record<string, number | null>> {
  const rows: Record<string, number | null> = {};
  for (let at = 0; at < names.length; at += atATime) {
    const some = names.slice(at, at + atATime);
    const there = await session.askJson<boolean[]>(
      `SELECT json_build_array(${some.map((name) => `to_regclass(${literal(name)}) IS NOT NULL`).join(', ')})`,
    );
    const found = some.filter((_, n) => there[n] === true);
    const counts =
      found.length === 0
        ? []
        : await session.askJson<number[]>(
            `SELECT json_build_array(${found.map((name) => `(SELECT count(*) FROM ONLY ${name})`).join(', ')})`,
          );
    for (const name of some) {
      const n = found.indexOf(name);
      rows[name] = n < 0 ? null : (counts[n] as number);
    }
  }
  return rows;
}
