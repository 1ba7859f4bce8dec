import { hash } from 'node:crypto';
import { Fault, reasonOf } from '../../base/fault.ts';
import type { Target } from '../target.ts';
import { type Connection, connect } from './connection.ts';
import { askOnce, identifier, literal, openSession, type Session } from './session.ts';

/**
 * One database that is swapped by its name. `old` is the identity (oid) of what is called `live` now and gets the name
 * `aside`; `new` that of what is called `staged` and gets the name `live`. Either may be null.
 */
export type DatabaseUnit = {
  /** As the target's configuration calls it, which says how to reach its server. */
  name: string;
  live: string;
  staged: string;
  aside: string;
  old: string | null;
  new: string | null;
};

/** PostgreSQL cuts longer names off without a word. */
const maxNameBytes = 63;

/** A name of a run's own beside that of a database. */
export function besideName(database: string, what: 'new' | 'old', runId: string): string {
  const end = `__${what}_${runId.slice(-9)}`;
  if (Buffer.byteLength(database) + end.length <= maxNameBytes) return database + end;
  // Two that begin alike must not become one.
  const mark = `~${hash('sha256', database).slice(0, 8)}`;
  let base = database;
  while (Buffer.byteLength(base + mark) + end.length > maxNameBytes) base = base.slice(0, -1);
  return base + mark + end;
}

/** From where names of databases can be changed: not from one of them. */
export function adminDatabase(database: string): string {
  return database === 'postgres' ? 'template1' : 'postgres';
}

/** The identity of the database of that name; null when there is none. */
export async function oidOf(session: Session, database: string): Promise<string | null> {
  return (await session.ask(`SELECT oid FROM pg_database WHERE datname = ${literal(database)}`)) ?? null;
}

type Direction = 'in' | 'back';
type Found = { unit: DatabaseUnit; connection: Connection };

/**
 * Gives the new databases the names of the old ones, or takes that back; those of one server in one transaction. Nobody can
 * connect to what is put aside. It looks first which has which name, so it may be repeated after a crash at any point.
 * @throws Fault `conflict` when a database is gone, or `unreachable`
 */
export async function swapDatabases(
  units: readonly DatabaseUnit[],
  target: Pick<Target, 'postgres' | 'compose'>,
  direction: Direction,
): Promise<void> {
  const found: Found[] = [];
  for (const unit of units) found.push({ unit, connection: await connectionOf(unit.name, target) });
  const servers = Map.groupBy(found, ({ connection }) => connection.server);
  for (const databases of servers.values()) await swapOnServer(databases, direction);
}

/** @throws Fault `not-found` for a database that the configuration no longer names */
export function connectionOf(name: string, { postgres = [], compose = [] }: Pick<Target, 'postgres' | 'compose'>) {
  const configured = postgres.find((each) => each.name === name);
  if (configured === undefined)
    throw new Fault('not-found', `The configuration does not say how to reach the database ${name}.`);
  return connect(configured, compose);
}

async function swapOnServer(found: readonly Found[], direction: Direction): Promise<void> {
  const [first] = found;
  if (first === undefined) return;
  const renamesPostgres = found.some(({ unit }) => unit.live === 'postgres');
  const session = openSession(first.connection, adminDatabase(renamesPostgres ? 'postgres' : first.unit.live));
  try {
    const renames: { from: string; to: string; isLive: boolean }[] = [];
    const lives: string[] = [];
    for (const { unit } of found) {
      const { live, staged, aside } = unit;
      const [coming, going] = direction === 'in' ? [unit.new, unit.old] : [unit.old, unit.new];
      const [from, to] = direction === 'in' ? [staged, aside] : [aside, staged];
      const there = await oidOf(session, live);
      // On the way back what was new may be removed already, by a run that was ended after that.
      const needed = direction === 'in' ? [[coming, from] as const, [going, to] as const] : [[coming, from] as const];
      for (const [oid, other] of needed)
        if (oid !== null && oid !== there && oid !== (await oidOf(session, other)))
          throw gone(other, live, first.connection);
      if (coming !== null) lives.push(live);
      if (there !== null && there !== coming) {
        if (there !== going) throw inTheWay(live, first.connection);
        renames.push({ from: live, to, isLive: false });
      }
      if (coming !== null && there !== coming) renames.push({ from, to: live, isLive: true });
    }
    await rename(session, renames, first.connection);
    for (const live of lives) await session.ask(`ALTER DATABASE ${identifier(live)} ALLOW_CONNECTIONS true`);
  } finally {
    await session.close();
  }
}

async function rename(
  session: Session,
  renames: readonly { from: string; to: string; isLive: boolean }[],
  { label }: Connection,
): Promise<void> {
  if (renames.length === 0) return;
  try {
    for (const { from } of renames) await session.ask(`ALTER DATABASE ${identifier(from)} ALLOW_CONNECTIONS false`);
    const names = renames.map(({ from }) => literal(from)).join(', ');
    // A rename waits some seconds for those that were told to go.
    await session.ask(
      `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname IN (${names}) AND pid <> pg_backend_pid()`,
    );
    await session.ask('BEGIN');
    for (const { from, to } of renames)
      await session.ask(`ALTER DATABASE ${identifier(from)} RENAME TO ${identifier(to)}`);
    for (const { to, isLive } of renames)
      if (isLive) await session.ask(`ALTER DATABASE ${identifier(to)} ALLOW_CONNECTIONS true`);
    await session.ask('COMMIT');
  } catch (error) {
    if (!(error instanceof Fault) || !/prepared transaction|being accessed/.test(error.message)) throw error;
    throw new Fault('conflict', `The names of ${label} and its new one cannot be exchanged: ${error.message}`, {
      hint: 'End what uses it: see pg_stat_activity and pg_prepared_xacts.',
      cause: error,
    });
  }
}

function gone(name: string, live: string, { label }: Connection): Fault {
  return new Fault('conflict', `What should be the database ${name} is neither that nor ${live} (${label}).`, {
    hint: 'Somebody renamed or removed it, or it is another server than before.',
  });
}

function inTheWay(live: string, { label }: Connection): Fault {
  return new Fault('conflict', `Somebody made another database ${live} meanwhile (${label}).`, {
    hint: `Rename it: ALTER DATABASE ${identifier(live)} RENAME TO …; then go on: gaia resume, or gaia resume --back`,
  });
}

/** Removes databases by names that are a run's own. Those that are not there are no error. @throws Fault */
export async function dropDatabases(
  names: readonly { name: string; database: string }[],
  target: Pick<Target, 'postgres' | 'compose'>,
): Promise<void> {
  for (const { name, database } of names) {
    const connection = await connectionOf(name, target);
    await askOnce(
      connection,
      async (session) => {
        if ((await oidOf(session, database)) === null) return;
        await session.ask(`ALTER DATABASE ${identifier(database)} ALLOW_CONNECTIONS false`);
        await session.ask(
          `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = ${literal(database)}`,
        );
        await session.ask(`DROP DATABASE ${identifier(database)}`);
      },
      adminDatabase(connection.database),
    );
  }
}

/** Why a database does not answer a query, or undefined when it does. Never throws. */
export async function databaseComplaint(
  name: string,
  target: Pick<Target, 'postgres' | 'compose'>,
): Promise<string | undefined> {
  try {
    const connection = await connectionOf(name, target);
    const answer = await askOnce(connection, (session) => session.ask('SELECT 1'));
    return answer === '1' ? undefined : 'answers nonsense';
  } catch (error) {
    return `does not answer: ${reasonOf(error)}`;
  }
}
