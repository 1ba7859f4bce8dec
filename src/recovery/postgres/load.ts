import { createReadStream, statSync } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { Fault } from '../../base/fault.ts';
import type { ManifestPostgres } from '../archive/manifest.ts';
import type { Progress } from '../progress.ts';
import type { Target } from '../target.ts';
import type { Connection } from './connection.ts';
import { adminDatabase, besideName, connectionOf, type DatabaseUnit, dropDatabases, oidOf } from './database-units.ts';
import { askFacts, askRowsOf } from './facts.ts';
import { createStatements, missingRoles, propertyStatements } from './recreate.ts';
import { askOnce, openSession } from './session.ts';

export type Load = {
  dumped: ManifestPostgres;
  /** The dump as a file, its contents compared already. */
  dump: string;
  /** What pg_dumpall said of the roles. */
  globals: string;
  runId: string;
  target: Pick<Target, 'postgres' | 'compose'>;
  progress?: Progress | undefined;
};

/** How the names will be exchanged, before there is anything of it. */
export function unitNames({ name }: ManifestPostgres, { database }: Connection, runId: string) {
  return {
    name,
    live: database,
    staged: besideName(database, 'new', runId),
    aside: besideName(database, 'old', runId),
  };
}

/**
 * Loads a dump into a new database beside the live one, which is not touched, and compares what came of it. What an
 * earlier attempt of this run left is removed first.
 * @throws Fault when one statement is refused, or rows are missing; then what was made is of no use
 */
export async function loadBeside(load: Load): Promise<DatabaseUnit> {
  const { dumped, runId, target, globals } = load;
  const connection = await connectionOf(dumped.name, target);
  const unit = unitNames(dumped, connection, runId);
  await dropDatabases([{ name: unit.name, database: unit.staged }], target);
  const admin = openSession(connection, adminDatabase(unit.live));
  try {
    const roles = await admin.askJson<string[]>("SELECT COALESCE(json_agg(rolname), '[]'::json) FROM pg_roles");
    for (const statement of missingRoles(globals, new Set(roles))) await admin.ask(statement);
    for (const statement of createStatements(unit.staged, dumped)) await admin.ask(statement);
    await pourIn(connection, unit.staged, load);
    for (const statement of propertyStatements(unit.staged, dumped)) await admin.ask(statement);
    await askOnce(connection, (session) => session.ask('ANALYZE'), unit.staged);
    await compare(connection, unit.staged, dumped);
    return { ...unit, old: await oidOf(admin, unit.live), new: await oidOf(admin, unit.staged) };
  } finally {
    await admin.close();
  }
}

async function pourIn(connection: Connection, database: string, { dump, dumped, progress }: Load): Promise<void> {
  const { child, ended } = connection.start('pg_restore', ['--exit-on-error'], database);
  child.stdout.resume();
  const source = createReadStream(dump, { highWaterMark: 256 * 1024 });
  const { size: totalBytes } = statSync(dump);
  let doneBytes = 0;
  source.on('data', (piece) => {
    doneBytes += piece.length;
    progress?.({ phase: 'load', doneBytes, totalBytes, doneFiles: 0, says: dumped.name });
  });
  const [poured, end] = await Promise.allSettled([pipeline(source, child.stdin), ended]);
  // What the program says comes before that it could not be given more.
  if (end.status === 'rejected') throw end.reason;
  if (poured.status === 'rejected' && doneBytes < totalBytes) throw poured.reason;
}

async function compare(connection: Connection, database: string, dumped: ManifestPostgres): Promise<void> {
  const wanted = Object.entries(dumped.rows);
  const session = openSession(connection, database);
  try {
    const rows = await askRowsOf(
      session,
      wanted.map(([table]) => table),
    );
    for (const [table, count] of wanted) {
      const found = rows[table];
      if (found === count) continue;
      const says = found === null ? 'is not there' : `has ${found} rows instead of ${count}`;
      throw notAsDumped(dumped.name, `the table ${table} ${says}`);
    }
    const facts = await askFacts(session);
    const versions = (list: typeof facts.extensions) => list.map(({ name, version }) => `${name} ${version}`).join();
    const isSameKind = versions(facts.extensions) === versions(dumped.extensions);
    if (isSameKind && facts.relations !== dumped.relations)
      throw notAsDumped(dumped.name, `it has ${facts.relations} tables and sequences instead of ${dumped.relations}`);
  } finally {
    await session.close();
  }
}

function notAsDumped(name: string, what: string): Fault {
  return new Fault('damaged', `The database ${name} was loaded and is not what was dumped: ${what}.`, {
    hint: 'Nothing was changed. Restore another backup, or this one without it: --only files',
  });
}
