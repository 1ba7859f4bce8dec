import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { type HouseFile, rules } from './house.ts';

const root = join(import.meta.dirname, '..');
/** What git ignores, or is not written by hand. */
const passedOver = ['node_modules', 'dist', '.git', '.leveredge', 'coverage', 'package-lock.json'];
const binary = /\.(png|jpg|gif|ico|woff2|db|gz|zst)$/;

function tree(folder = ''): HouseFile[] {
  return readdirSync(join(root, folder), { withFileTypes: true })
    .filter(({ name }) => !passedOver.includes(name) && !binary.test(name) && !name.endsWith('.log'))
    .flatMap((entry): HouseFile[] => {
      const path = folder === '' ? entry.name : `${folder}/${entry.name}`;
      if (entry.isDirectory()) return tree(path);
      return entry.isFile() ? [{ path, text: readFileSync(join(root, path), 'utf8') }] : [];
    });
}

const sound: HouseFile[] = [
  {
    path: 'src/base/clock.ts',
    text: `/** Promises a time. */\nexport function now() {}\nexport const a = \`\${1}\`;\n/** A time. */\nexport const later = () => 1;\nexport const maxMs = (1 + 1) * 2;\n`,
  },
  { path: 'src/base/clock.test.ts', text: "import { now } from './clock.ts';\nimport fc from 'fast-check';\n" },
  { path: 'src/events/event.ts', text: "import { now } from '../base/clock.ts';\nimport { z } from 'zod';\n" },
  {
    path: 'src/bus/start.ts',
    text: "import { later, maxMs, now } from '../base/clock.ts';\nimport { open } from './store/open.ts';\n",
  },
  {
    path: 'src/bus/store/open.ts',
    text: "import { DatabaseSync } from 'node:sqlite';\nconst q = 'SELECT 1 FROM t';\n",
  },
  {
    path: 'src/bus/lazy.ts',
    text: "const bytes = Buffer.from('{}');\nconst { open } = await import('./store/open.ts');\n",
  },
  { path: 'src/bus/sql.ts', text: "const text = read(new URL('./store/a.sql', import.meta.url));\n" },
  { path: 'src/bus/start.test.ts', text: "const bin = new URL('../bin/leveredge.ts', import.meta.url);\n" },
  { path: 'src/bin/leveredge.ts', text: "import { start } from '../bus/start.ts';\nstart(process.env.PORT);\n" },
  {
    path: 'src/bus/careful.ts',
    text: "// process.env, enum A {}\nannounce(process.pid, 'the process');\ntry { a() } catch { /* gone already */ }\nb().catch(() => undefined /* asked again */);\nconst t = 'Select one from the list, update it, set it, or delete from here';\nconst s = 'export default // @ts-ignore';\n",
  },
];

const work = ['', 'work', 'main'].join('/');
const registry = ['registry', 'npmjs', 'org'].join('.');

/** Each rule with a file that breaks it, and the sentence that must come. `undefined`: no file at all. */
const broken: [rule: string, path: string | undefined, text: string, says: RegExp][] = [
  ['there is source to judge', undefined, '', /^src\/ has no source/],
  [
    'a folder imports only',
    'src/bus/a.ts',
    "import { run } from '../bin/leveredge.ts';",
    /^src\/bus\/a\.ts imports src\/bin\/leveredge\.ts, which src\/bus may not$/,
  ],
  [
    'a folder imports only',
    'src/base/a.ts',
    "import { z } from 'zod';",
    /imports the package zod, which src\/base may not/,
  ],
  ['a folder imports only', 'src/base/a.ts', "import type { Event } from '../events/event.ts';", /imports src\/events/],
  ['a folder imports only', 'src/base/a.ts', "export { Event } from '../events/event.ts';", /imports src\/events/],
  ['a folder imports only', 'src/base/a.ts', "const e = await import('../events/event.ts');", /imports src\/events/],
  ['a folder imports only', 'src/base/a.ts', "import '../events/event.ts';", /imports src\/events/],
  ['a folder imports only', 'src/events/a.ts', "import {\n  start,\n} from '../bus/start.ts';", /imports src\/bus/],
  ['a folder imports only', 'src/channels/cli/a.ts', "import { start } from '../../bus/start.ts';", /imports src\/bus/],
  ['a folder imports only', 'src/client/a.ts', "import { start } from '../bus/start.ts';", /imports src\/bus/],
  [
    'a folder imports only',
    'src/bus/store/a.ts',
    "import { start } from '../start.ts';",
    /which src\/bus\/store may not/,
  ],
  ['a folder imports only', 'src/gaia/a.ts', "import { e } from '../events/event.ts';", /which src\/gaia may not/],
  [
    'a folder imports only',
    'src/recovery/a.ts',
    "import { e } from '../events/event.ts';",
    /which src\/recovery may not/,
  ],
  [
    'a folder imports only',
    'src/agents/atlas/a.ts',
    "import { e } from '../../recovery/a.ts';",
    /which src\/agents may not/,
  ],
  ['a folder imports only', 'src/novelty/a.ts', "import { e } from '../base/clock.ts';", /not in the table/],
  ['a folder imports only', 'src/novelty/a.ts', "import { join } from 'node:path';", /not in the table/],
  [
    'a folder imports only',
    'src/bus/a.ts',
    "import { e } from '../../test/a.ts';",
    /imports test\/a\.ts, which lies outside src/,
  ],
  ['a folder imports only', 'src/bin/a.ts', "import { e } from '../../../elsewhere/a.ts';", /outside src/],
  ['a folder imports only', 'src/bus/a.ts', "import fc from 'fast-check';", /imports the package fast-check/],
  [
    'a folder imports only',
    'src/channels/a.ts',
    "const entry = new URL('../bin/leveredge.ts', import.meta.url);",
    /imports src\/bin\/leveredge\.ts, which src\/channels may not/,
  ],
  ['every file in src', 'src/start.ts', '', /^src\/start\.ts lies in a folder that is not in the table/],
  ['every file in src', 'src/novelty/a.ts', '', /not in the table/],
  ['every file in src', 'src/novelty/0001-a.sql', '', /not in the table/],
  ['source is TypeScript', 'src/bus/a.js', '', /is JavaScript/],
  ['source is TypeScript', 'src/bus/a.mjs', '', /is JavaScript/],
  ['source is TypeScript', 'src/bus/a.cjs', '', /is JavaScript/],
  ['what a file reaches for', 'src/bus/a.ts', "import { createRequire } from 'node:module';", /cannot follow/],
  ['what a file reaches for', 'src/bus/a.ts', "const { start } = require('../bin/leveredge.ts');", /cannot follow/],
  ['what a file reaches for', 'src/bus/a.ts', 'const a = await import(name);', /cannot follow/],
  ['what a file reaches for', 'src/bus/a.ts', `const a = await import(\`./\${name}.ts\`);`, /cannot follow/],
  ['what a file reaches for', 'src/bus/a.ts', "const a = await import('../' + name);", /cannot follow/],
  ['process.env is read', 'src/bus/a.ts', 'const port = process.env.PORT;', /^src\/bus\/a\.ts reads process\.env/],
  ['process.env is read', 'src/bus/a.ts', "const port = process['env'].PORT;", /reads process\.env/],
  ['process.env is read', 'src/bus/a.ts', `const url = \`http://x:\${process.env.PORT}\`;`, /reads process\.env/],
  ['process.env is read', 'src/bus/a.ts', "import { env } from 'node:process';", /reads process\.env/],
  ['outside bin the process', 'src/bus/a.ts', 'const { env } = process;', /^src\/bus\/a\.ts takes more of process/],
  ['outside bin the process', 'src/bus/a.ts', 'const p = process;\nstart(p.env.PORT);', /takes more of process/],
  ['outside bin the process', 'src/bus/a.ts', 'process.exit(1);', /takes more of process than pid/],
  ['outside bin the process', 'src/bus/a.ts', 'start(process?.pid);', /takes more of process/],
  ['outside bin the process', 'src/bus/a.ts', "import p from 'node:process';", /takes more of process/],
  ['outside bin the process', 'src/bus/a.ts', 'const { process: p } = globalThis;', /takes more of process/],
  ['a file is named', 'src/bus/utils.ts', '', /named for nothing/],
  ['a file is named', 'src/bus/helpers.ts', '', /named for nothing/],
  ['a file is named', 'src/bus/types.ts', '', /named for nothing/],
  ['a file is named', 'src/bus/common.ts', '', /named for nothing/],
  ['a file is named', 'src/bus/index.ts', '', /named for nothing/],
  ['a file is named', 'src/bus/store-utils.ts', '', /named for nothing/],
  ['a file is named', 'src/bus/event-helpers.test.ts', '', /named for nothing/],
  ['a file is named', 'src/bus/event-types.ts', '', /named for nothing/],
  ['a file is named', 'src/bus/bus-common.ts', '', /named for nothing/],
  ['a file is named', 'src/bus/utils/clock.ts', '', /named for nothing/],
  ['a file is named', 'src/bus/eventStore.ts', '', /not in kebab-case/],
  ['a file is named', 'test/bus_http.test.ts', '', /not in kebab-case/],
  ['a test lies beside', 'src/bus/nothing.test.ts', '', /tests no file beside it/],
  ['no catch is empty', 'src/bus/a.ts', 'try { a(); } catch {}', /empty catch/],
  ['no catch is empty', 'src/bus/a.ts', 'try { a(); } catch (error) {\n}', /empty catch/],
  ['no catch is empty', 'test/a.ts', 'a().catch(() => {});', /empty catch/],
  ['no catch is empty', 'src/bus/a.ts', 'try { a(); } catch {\n  //\n}', /empty catch/],
  ['no catch is empty', 'src/bus/a.ts', 'try { a(); } catch (error) { /* … */ }', /empty catch/],
  ['no catch is empty', 'src/bus/a.ts', 'const b = await a().catch(() => undefined);', /empty catch/],
  ['no catch is empty', 'src/bus/a.ts', 'const b = await a().catch((_error: unknown) => null);', /empty catch/],
  ['no export is a default', 'src/bus/a.ts', 'export default function a() {}', /default export/],
  ['no enum', 'src/bus/a.ts', 'export enum Status { Open }', /has an enum/],
  ['no Manager', 'src/bus/a.ts', 'export class EventManager {}', /names something Manager/],
  ['no Manager', 'src/bus/a.ts', 'class StoreImpl {}', /names something Manager/],
  ['no Manager', 'src/bus/a.ts', 'interface IStore {}', /names something Manager/],
  ['no comment silences', 'src/bus/a.ts', '// @ts-ignore\na(1);', /silences the types/],
  ['no comment silences', 'test/a.ts', '/* @ts-nocheck */\na(1);', /silences the types/],
  ['a function or class', 'src/base/clock.ts', 'export function now() {}', /^src\/base\/clock\.ts exports now/],
  ['a function or class', 'src/base/clock.ts', 'export const now = () => 1;', /exports now/],
  [
    'a function or class',
    'src/base/clock.ts',
    'export const now = async <T>(a: (b: T) => T): T =>\n  a();',
    /exports now/,
  ],
  ['a function or class', 'src/base/clock.ts', 'export const now: (a: string) => void = (a) => b(a);', /exports now/],
  ['a function or class', 'src/base/clock.ts', 'export const now = function () {};', /exports now/],
  ['a file has fewer than', 'src/bus/a.ts', '//\n'.repeat(400), /has 400 lines/],
  ['SQL stands in', 'src/bus/a.ts', "db.exec('DELETE FROM events')", /has SQL/],
  ['SQL stands in', 'src/channels/a.ts', 'const q = `SELECT id\n  FROM events`;', /has SQL/],
  ['SQL stands in', 'src/bus/a.ts', "import { DatabaseSync } from 'node:sqlite';", /opens SQLite/],
  ['SQL stands in', 'src/bus/a.ts', "db.exec('delete from events where seq = 1')", /has SQL/],
  ['SQL stands in', 'src/channels/a.ts', 'const q = `select id, at\n  from events`;', /has SQL/],
  ['SQL stands in', 'src/channels/a.ts', "const q = 'select count(*) as n from events';", /has SQL/],
  ['SQL stands in', 'src/channels/a.ts', "const q = 'select id from events limit 1';", /has SQL/],
  ['SQL stands in', 'src/channels/a.ts', "const q = 'insert into events values (1)';", /has SQL/],
  ['SQL stands in', 'src/channels/a.ts', "const q = 'update events set at = 1';", /has SQL/],
  ['SQL stands in', 'src/channels/a.ts', "const q = 'pragma synchronous = 0';", /has SQL/],
  ['no file names a place', 'docs/a.md', `see ${work}`, /^docs\/a\.md names \/work\/m/],
  ['no file names a place', '.npmrc', `registry=https://${registry}/`, /names registry/],
  ['no file names a place', 'package.json', `"file:${work}/x"`, /names \/work/],
];

describe('the house', () => {
  const files = tree();
  for (const rule of rules) it(`keeps: ${rule.name}`, () => assert.deepEqual(rule.breaches(files), []));

  it('lets a sound house pass', () => {
    assert.deepEqual(
      rules.flatMap((rule) => rule.breaches(sound)),
      [],
    );
  });

  for (const [name, path, text, says] of broken)
    it(`refuses what breaks “${name}”: ${path === undefined ? 'no source' : `${path} ${text.slice(0, 60)}`}`, () => {
      const rule = rules.find((candidate) => candidate.name.startsWith(name));
      assert.ok(rule, `there is no rule “${name}”`);
      const files = path === undefined ? [] : [...sound.filter((file) => file.path !== path), { path, text }];
      const breaches = rule.breaches(files);
      assert.equal(breaches.length, 1, JSON.stringify(breaches));
      assert.match(breaches[0] as string, says);
    });

  it('has shown each of its rules to fail', () => {
    for (const { name } of rules)
      assert.ok(
        broken.some(([shown]) => name.startsWith(shown)),
        `${name} never failed`,
      );
  });
});
