import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { conninfoOf } from './connection.ts';
import { besideName } from './database-units.ts';
import type { DatabaseFacts } from './facts.ts';
import { createStatements, missingRoles, propertyStatements } from './recreate.ts';

const facts: DatabaseFacts = {
  ...{ database: 'app', version_num: 150_018, encoding: 'UTF8', collate: 'C.UTF-8', ctype: 'C.UTF-8' },
  ...{
    provider: 'libc',
    locale: null,
    icu_rules: null,
    owner: 'app',
    tablespace: null,
    connection_limit: -1,
    comment: null,
  },
  ...{ acl: null, settings: [], extensions: [], size: 0, relations: 0 },
};

describe('a database made anew', () => {
  it('has owner, encoding and locale of the one that was dumped', () => {
    assert.deepEqual(createStatements('a"b', facts), [
      `CREATE DATABASE "a""b" OWNER "app" TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C.UTF-8' LC_CTYPE 'C.UTF-8' LOCALE_PROVIDER libc`,
    ]);
    const icu = { ...facts, provider: 'icu', locale: 'de-DE', version_num: 170_000 };
    assert.match(createStatements('x', icu)[0] ?? '', /LOCALE_PROVIDER icu ICU_LOCALE 'de-DE'$/);
    assert.doesNotMatch(createStatements('x', { ...facts, version_num: 140_000 })[0] ?? '', /PROVIDER/);
  });

  it('needs nothing where nobody changed anything', () => assert.deepEqual(propertyStatements('x', facts), []));

  it('gets its rights, settings, comment and limit', () => {
    const statements = propertyStatements('x', {
      ...facts,
      acl: [
        { grantee: null, privilege: 'CONNECT', grantable: false },
        { grantee: 'reader', privilege: 'TEMPORARY', grantable: true },
      ],
      settings: [
        { role: null, values: ['search_path="$user", public', 'work_mem=8MB'] },
        { role: 'app', values: ["app.note=it's \\ here"] },
      ],
      comment: "a 'comment'",
      connection_limit: 5,
    });
    assert.deepEqual(statements, [
      'REVOKE ALL ON DATABASE "x" FROM PUBLIC',
      'REVOKE ALL ON DATABASE "x" FROM "app"',
      'GRANT CONNECT ON DATABASE "x" TO PUBLIC',
      'GRANT TEMPORARY ON DATABASE "x" TO "reader" WITH GRANT OPTION',
      `ALTER DATABASE "x" SET "search_path" TO '$user', 'public'`,
      `ALTER DATABASE "x" SET "work_mem" TO '8MB'`,
      `ALTER ROLE "app" IN DATABASE "x" SET "app"."note" TO  E'it''s \\\\ here'`,
      `COMMENT ON DATABASE "x" IS 'a ''comment'''`,
      'ALTER DATABASE "x" CONNECTION LIMIT 5',
    ]);
  });
});

it('writes lists anew, whatever somebody has put into them', () => {
  const statement = (value: string) =>
    propertyStatements('x', { ...facts, settings: [{ role: null, values: [value] }] })[0];
  assert.equal(statement('search_path=""'), `ALTER DATABASE "x" SET "search_path" TO ''`);
  assert.equal(statement('search_path='), `ALTER DATABASE "x" SET "search_path" TO ''`);
  assert.equal(statement('search_path=a, "B ""c"", d"'), `ALTER DATABASE "x" SET "search_path" TO 'a', 'B "c", d'`);
  assert.equal(
    statement("local_preload_libraries=x'; DROP DATABASE y; --"),
    `ALTER DATABASE "x" SET "local_preload_libraries" TO 'x''; DROP DATABASE y; --'`,
  );
});

describe('roles of another server', () => {
  const globals = [
    '--\n-- PostgreSQL database cluster dump\n--\n',
    'SET standard_conforming_strings = on;\n',
    'CREATE ROLE app;',
    "ALTER ROLE app WITH NOSUPERUSER LOGIN PASSWORD 'SCRAM-SHA-256$4096:x==$y=:z=';",
    'CREATE ROLE "odd ""one";',
    'ALTER ROLE "odd ""one" WITH NOLOGIN;',
    "COMMENT ON ROLE app IS 'two\nlines; here';",
    'CREATE ROLE postgres;',
    'ALTER ROLE postgres WITH SUPERUSER;',
    'ALTER ROLE app IN DATABASE app SET work_mem TO "8MB";',
    'GRANT "odd ""one" TO app GRANTED BY postgres;',
    'GRANT pg_monitor TO postgres GRANTED BY postgres;',
    "CREATE TABLESPACE t OWNER postgres LOCATION '/x';",
  ].join('\n');

  it('are made where they are missing, with what they are members of, and nothing else is touched', () => {
    assert.deepEqual(missingRoles(globals, new Set(['postgres'])), [
      'CREATE ROLE app',
      "ALTER ROLE app WITH NOSUPERUSER LOGIN PASSWORD 'SCRAM-SHA-256$4096:x==$y=:z='",
      'CREATE ROLE "odd ""one"',
      'ALTER ROLE "odd ""one" WITH NOLOGIN',
      'GRANT "odd ""one" TO app GRANTED BY postgres',
    ]);
  });

  it('stay as they are where they are there', () =>
    assert.deepEqual(missingRoles(globals, new Set(['postgres', 'app', 'odd "one'])), []));
});

describe('names', () => {
  it('of a run fit into what PostgreSQL keeps of them', () => {
    assert.equal(besideName('app', 'new', '20261125T081500Z-123a1b2c3'), 'app__new_123a1b2c3');
    const long = besideName('ä'.repeat(31), 'old', '20261125T081500Z-123a1b2c3');
    assert.ok(Buffer.byteLength(long) <= 63);
    assert.match(long, /^ä+~[0-9a-f]{8}__old_123a1b2c3$/);
  });

  it('are quoted for libpq', () =>
    assert.equal(conninfoOf({ user: "o'b\\x", dbname: 'a b' }), "user='o\\'b\\\\x' dbname='a b'"));
});
