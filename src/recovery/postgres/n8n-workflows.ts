import type { Connection } from './connection.ts';
import { askOnce } from './session.ts';

/** The same as for SQLite, on a server: makes n8n's workflows inactive. How many; 0 for any other database. */
export function deactivateOnServer(connection: Connection): Promise<number> {
  return askOnce(connection, async (session) => {
    const schema = await session.ask(
      "SELECT quote_ident(schemaname) FROM pg_tables WHERE tablename = 'workflow_entity' LIMIT 1",
    );
    if (schema === undefined) return 0;
    const count = await session.ask(
      `WITH changed AS (UPDATE ${schema}.workflow_entity SET active = false WHERE active RETURNING 1) SELECT count(*) FROM changed`,
    );
    return Number(count);
  });
}
