import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeStand, type Stand } from '../recovery/gaia.fixtures.ts';
import { applicationSql, type Server, startServer } from './postgres.fixtures.ts';

/** A home whose target `dev` has files, an SQLite database and the PostgreSQL database `app` of a server of its own. */
export type PostgresStand = Stand & {
  server: Server;
  /** Writes the configuration anew: a database, and lines of the target below. */
  configure(database?: string, more?: string): void;
  databases(): string[];
  /** Those of the application, with what runs made of them. */
  own(): string[];
  removeBackup(name: string): void;
  notes(): string;
  /** Everything as it was at first, and nothing left of earlier runs. */
  reset(): void;
  damage(): void;
  end(): void;
};

/** Makes a stand with a server on that port. */
export function makePostgresStand(port: number): PostgresStand {
  const home = mkdtempSync(join(tmpdir(), 'fire-pg-'));
  const server = startServer(port);
  const stand = makeStand({ after: () => undefined }, { home });
  const bySocket = `{ name: app, engine: postgres, socket: ${server.folder}, port: ${port}, database: app }`;
  const databases = () => server.sql('postgres', 'SELECT datname FROM pg_database ORDER BY 1').split('\n');
  const own = () => databases().filter((name) => /^app/.test(name));
  const made: PostgresStand = {
    ...stand,
    server,
    databases,
    own,
    configure(database = bySocket, more = '') {
      const sqlite = `{ name: events, engine: sqlite, path: ${stand.database} }`;
      writeFileSync(
        stand.config,
        `backup_locations: { local: ${stand.backups} }\nrestore_targets:\n  data-plane:\n    dev:\n      root: ${stand.root}\n` +
          `      databases: [ ${sqlite}, ${database} ]\n${more}`,
      );
    },
    removeBackup(name) {
      for (const end of ['tar.zst', 'manifest.json', 'manifest.json.sig'])
        rmSync(join(stand.backups, 'dev', name.replace(/tar\.zst$/, end)));
    },
    notes: () => readFileSync(join(stand.root, 'notes'), 'utf8').trim(),
    reset() {
      for (const name of own()) {
        server.sql('postgres', `ALTER DATABASE "${name}" ALLOW_CONNECTIONS true`);
        server.sql('postgres', `DROP DATABASE "${name}"`);
      }
      server.sql('postgres', 'DROP ROLE IF EXISTS app; DROP ROLE IF EXISTS reader;');
      server.sql('postgres', applicationSql);
      writeFileSync(join(stand.root, 'notes'), 'the first state\n');
      rmSync(join(stand.backups, '.gaia', 'runs'), { recursive: true, force: true });
    },
    damage() {
      server.sql('app', 'UPDATE account SET balance = 7 WHERE id < 500; DROP TABLE own."odd ""name"');
      server.sql('app', "SELECT nextval('ticket')");
      server.sql('postgres', 'ALTER DATABASE app RESET work_mem; GRANT CONNECT ON DATABASE app TO PUBLIC');
      writeFileSync(join(stand.root, 'notes'), 'damaged\n');
    },
    end() {
      server.end();
      rmSync(home, { recursive: true, force: true });
    },
  };
  made.configure();
  made.reset();
  return made;
}
