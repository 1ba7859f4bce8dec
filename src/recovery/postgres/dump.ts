import { Fault } from '../../base/fault.ts';
import type { ArchiveBuilder } from '../archive/archive-builder.ts';
import type { ManifestPostgres } from '../archive/manifest.ts';
import { eachPiece } from '../backup/each-piece.ts';
import type { BytePath } from '../byte-path.ts';
import type { PostgresDatabase, Target } from '../target.ts';
import { type Connection, connect, dataFolderOf } from './connection.ts';
import { askFacts, askRows, askServer, type ServerFacts } from './facts.ts';
import { askOnce, openSession } from './session.ts';

/** A database whose server answers. */
export type FoundDatabase = {
  configured: PostgresDatabase;
  connection: Connection;
  server: ServerFacts;
  /** Where the server keeps its data, on this machine; undefined when that cannot be known. */
  dataFolder: string | undefined;
};

/** Asks the servers of a target's databases. @throws Fault for the first that does not answer */
export async function findDatabases({ postgres = [], compose = [] }: Target): Promise<FoundDatabase[]> {
  const found: FoundDatabase[] = [];
  for (const configured of postgres) {
    const connection = await connect(configured, compose);
    const server = await askOnce(connection, askServer);
    requireOther(configured, connection, found);
    found.push({ configured, connection, server, dataFolder: dataFolderOf(connection, server.data_directory) });
  }
  return found;
}

/** One database under two names would be restored twice, and the one that was meant not at all. @throws Fault `usage` */
function requireOther(
  { name }: PostgresDatabase,
  { server, database, label }: Connection,
  found: readonly FoundDatabase[],
): void {
  const same = found.find(({ connection }) => connection.server === server && connection.database === database);
  if (same !== undefined)
    throw new Fault('usage', `${same.configured.name} and ${name} are the same: ${label}.`, {
      hint: 'Say which database each is meant to be: database: NAME',
    });
}

export type DumpInto = {
  builder: Pick<ArchiveBuilder, 'beginUnsized' | 'data'>;
  ready(): Promise<void> | undefined;
  seconds: number;
  progress(bytes: number): void;
};

/** Server by server: its roles, then its databases one after the other, each as of one moment. @throws Fault */
export async function dumpDatabases(
  found: readonly FoundDatabase[],
  into: DumpInto,
  notes: string[],
): Promise<ManifestPostgres[]> {
  const servers = Map.groupBy(found, ({ connection }) => connection.server);
  const dumped: ManifestPostgres[] = [];
  for (const databases of servers.values()) {
    const [first] = databases;
    if (first === undefined) continue;
    const globals = servers.size === 1 ? 'db/globals.sql' : `db/${first.configured.name}.globals.sql`;
    await dumpGlobals(first, globals, into, notes);
    for (const each of databases) dumped.push(await dumpDatabase(each, globals, into));
    const names = new Set(databases.map(({ connection }) => connection.database));
    const others = first.server.others.filter((name) => !names.has(name) && name !== 'postgres');
    if (others.length > 0)
      notes.push(
        `not in this backup: other databases of the server of ${first.connection.database}: ${others.join(', ')}`,
      );
  }
  return dumped;
}

async function dumpGlobals(
  { connection }: FoundDatabase,
  member: string,
  into: DumpInto,
  notes: string[],
): Promise<void> {
  const dump = (flags: readonly string[]) => printedBy(connection, 'pg_dumpall', ['--globals-only', ...flags]);
  let text: Buffer;
  try {
    text = await dump([]);
  } catch (error) {
    if (!(error instanceof Fault) || !/permission denied/.test(error.message)) throw error;
    text = await dump(['--no-role-passwords']);
    notes.push(
      `the roles of ${connection.database}'s server are in it without their passwords, which its user may not read`,
    );
  }
  const unsized = await into.builder.beginUnsized(member as BytePath, into.seconds);
  if (text.length > 0) into.builder.data(text);
  await unsized.end();
}

/** All that a program prints, in memory. */
async function printedBy(connection: Connection, program: string, flags: readonly string[]): Promise<Buffer> {
  const { child, ended } = connection.start(program, flags);
  child.stdin.end();
  const pieces: Buffer[] = [];
  await eachPiece(child.stdout, (piece) => void pieces.push(piece));
  await ended;
  return Buffer.concat(pieces);
}

/** The rows are counted in the same moment that the dump shows, while it is made. */
async function dumpDatabase(
  { configured: { name }, connection }: FoundDatabase,
  globals: string,
  { builder, ready, seconds, progress }: DumpInto,
): Promise<ManifestPostgres> {
  const session = openSession(connection);
  try {
    await session.ask('BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY');
    const facts = await askFacts(session);
    const snapshot = (await session.ask('SELECT pg_export_snapshot()')) ?? '';
    const member = `db/${name}.dump`;
    const unsized = await builder.beginUnsized(member as BytePath, seconds);
    const { child, ended } = connection.start('pg_dump', [
      '--format=custom',
      '--compress=0',
      '--lock-wait-timeout=60s',
      `--snapshot=${snapshot}`,
    ]);
    child.stdin.end();
    let bytes = 0;
    const pouring = eachPiece(child.stdout, (piece) => {
      builder.data(piece);
      bytes += piece.length;
      progress(bytes);
      return ready();
    });
    try {
      const [rows] = await Promise.all([askRows(session), pouring.then(() => ended)]);
      const written = await unsized.end();
      return { name, engine: 'postgres', member, globals, ...written, ...facts, rows };
    } catch (error) {
      child.kill('SIGKILL');
      child.stdout.destroy();
      await Promise.allSettled([pouring, ended]);
      throw error;
    }
  } finally {
    await session.close();
  }
}
