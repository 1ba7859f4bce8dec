import { Fault, type FaultCode } from '../../base/fault.ts';
import type { ManifestPostgres } from '../archive/manifest.ts';
import { type Space, spaceAt } from '../restore/space.ts';
import type { Target } from '../target.ts';
import { type Connection, dataFolderOf } from './connection.ts';
import { adminDatabase, connectionOf } from './database-units.ts';
import { askOnce } from './session.ts';

export type ServerCheck = {
  refusals: { code: FaultCode; says: string; hint: string }[];
  warnings: string[];
  /** Of the file systems that the servers keep their data on, as far as they are known. */
  space: Space[];
};

type Facts = {
  version_num: number;
  may_create: boolean;
  is_superuser: boolean;
  available: string[];
  data_directory: string | null;
  /** Bytes that the log of changes takes before it is used again. */
  log_bytes: number;
};

const majorOf = (versionNum: number) => Math.floor(versionNum / 10_000);

/** Whether the servers could take what is to be loaded. Changes nothing, and never throws. */
export async function checkServers(
  databases: readonly ManifestPostgres[],
  target: Pick<Target, 'postgres' | 'compose' | 'name'>,
): Promise<ServerCheck> {
  const check: ServerCheck = { refusals: [], warnings: [], space: [] };
  for (const dumped of databases) {
    try {
      const connection = await connectionOf(dumped.name, target);
      await checkServer(dumped, connection, check);
      await checkClient(dumped, connection, check);
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      check.refusals.push({ code: error.code, says: error.message, hint: error.hint ?? '' });
    }
  }
  return check;
}

async function checkServer(dumped: ManifestPostgres, connection: Connection, check: ServerCheck): Promise<void> {
  const { label, database } = connection;
  const facts = await askOnce(
    connection,
    (session) =>
      session.askJson<Facts>(`
SELECT json_build_object('version_num', current_setting('server_version_num')::int,
  'may_create', rolcreatedb OR rolsuper, 'is_superuser', rolsuper,
  'data_directory', (SELECT setting FROM pg_settings WHERE name = 'data_directory'),
  'log_bytes', (SELECT setting::bigint * 1024 * 1024 FROM pg_settings WHERE name = 'max_wal_size'),
  'available', (SELECT COALESCE(json_agg(name), '[]'::json) FROM pg_available_extensions))
FROM pg_roles WHERE rolname = current_user`),
    adminDatabase(database),
  );
  const [there, wanted] = [majorOf(facts.version_num), majorOf(dumped.version_num)];
  if (there < wanted)
    check.refusals.push({
      code: 'conflict',
      says: `The server of ${label} is PostgreSQL ${there}, and the backup was made of PostgreSQL ${wanted}: an older one cannot take it.`,
      hint: `Start a server of version ${wanted} there, with the image that the backup's compose file names.`,
    });
  else if (there > wanted)
    check.warnings.push(
      `The server of ${label} is PostgreSQL ${there}, and the backup was made of PostgreSQL ${wanted}.`,
    );
  if (!facts.may_create)
    check.refusals.push({
      code: 'forbidden',
      says: `The user of ${label} may not create databases there.`,
      hint: 'Name a superuser as user in the configuration.',
    });
  else if (!facts.is_superuser)
    check.warnings.push(`The user of ${label} is no superuser; what belongs to others may be refused.`);
  checkSpace(dumped, connection, facts, check);
  const missing = dumped.extensions.filter(({ name }) => !facts.available.includes(name));
  if (missing.length > 0)
    check.refusals.push({
      code: 'conflict',
      says: `The server of ${label} lacks extensions that the backup needs: ${missing.map(({ name }) => name).join(', ')}.`,
      hint: 'Use the image that the backup was made of.',
    });
}

/**
 * A server whose log of changes finds no room stops at once, and the live database with it: so there must be room for the
 * new database beside the old one, and for the log of loading it.
 */
function checkSpace(
  { name, size, bytes }: ManifestPostgres,
  connection: Connection,
  { data_directory, log_bytes }: Facts,
  check: ServerCheck,
): void {
  const folder = dataFolderOf(connection, data_directory);
  if (folder === undefined) {
    check.warnings.push(
      `Where the server of ${connection.label} keeps its data is not known here, so nobody looked whether there is room.`,
    );
    return;
  }
  const space = spaceAt(folder, Math.max(size, bytes) + Math.min(size, log_bytes), 0);
  check.space.push(space);
  if (space.neededBytes <= space.freeBytes) return;
  const mebibytes = (amount: number) => `${Math.ceil(amount / 1024 / 1024)} MiB`;
  check.refusals.push({
    code: 'storage-full',
    says: `There is no room to load ${name} beside the live one: at ${folder} ${mebibytes(space.neededBytes)} are needed, and ${mebibytes(space.freeBytes)} are free.`,
    hint: 'Free some there. What earlier restores put aside can go: gaia prune --dry-run',
  });
}

async function checkClient(dumped: ManifestPostgres, connection: Connection, check: ServerCheck): Promise<void> {
  const { child, ended } = connection.start('pg_restore', ['--version']);
  child.stdin.end();
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (piece: string) => {
    text += piece;
  });
  await ended;
  const major = Number(/\) (\d+)/.exec(text)?.[1]);
  if (major < majorOf(dumped.version_num))
    check.refusals.push({
      code: 'conflict',
      says: `The pg_restore for ${connection.label} is of version ${major}, and the dump of ${majorOf(dumped.version_num)}.`,
      hint: 'Install the client of that version.',
    });
}
