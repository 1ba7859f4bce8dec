import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { Fault } from '../../base/fault.ts';
import { type Target, withSecrets } from '../target.ts';
import { parseConfig, readConfig } from './read-config.ts';

const home = '/srv/leveredge';
const parse = (text: string, file = `${home}/gaia/config.yaml`) => parseConfig(file, text, home);
const dev = (body: string) => parse(`restore_targets: { data-plane: { dev: ${body} } }`);
const said = (work: () => unknown): string => {
  try {
    work();
  } catch (error) {
    const { message, hint, code } = error as Fault;
    return `${code}: ${message} ${hint ?? ''}`;
  }
  return 'nothing';
};

const old = `gaia: { version: "1.0.0" }
backup_locations: { local: /srv/leveredge/shared/backups }
restore_targets:
  control-plane:
    n8n: { compose: /srv/leveredge/control-plane/n8n/docker-compose.yml, data_dir: /srv/leveredge/control-plane/n8n/data, database: postgresql }
    agents: { dir: /srv/leveredge/control-plane/agents, services: [atlas, chronos] }
  data-plane:
    other: { root: /srv/other }
    dev: { compose: a.yml, n8n_data: /data/n8n, supabase_data: /data/supabase }
    prod: { compose: a.yml, n8n_data: /srv/leveredge/data-plane/prod/n8n/data }
emergency_telegram: { bot_token_file: t, authorized_users: [123], require_2fa: true, 2fa_secret_file: s }
health_check: { endpoints: [ { name: control-n8n, url: "http://localhost:5679/healthz" } ] }
`;

describe('The configuration', () => {
  it('understands files of older versions, in the order of a whole restore', () => {
    const { targets, place, endpoints, notes } = parse(old);
    assert.deepEqual(
      targets.map(({ name, trees }) => [name, trees.filter(({ optional }) => !optional).map(({ root }) => root)]),
      [
        ['control-plane', ['/srv/leveredge/control-plane']],
        ['prod', ['/srv/leveredge/data-plane/prod']],
        ['dev', ['/srv/leveredge/data-plane/dev', '/data/n8n']],
        ['other', ['/srv/other']],
      ],
    );
    assert.equal(place.state, '/srv/leveredge/shared/backups/.gaia');
    assert.equal(endpoints.length, 1);
    assert.ok(notes.some((note) => /PostgreSQL/.test(note)) && notes.some((note) => /secrets/.test(note)));
  });

  it('reads a plain target with its database', () => {
    const [target] = dev(
      '{ root: lab, health: none, databases: [ { name: events, engine: sqlite, path: a.db } ] }',
    ).targets;
    assert.deepEqual(target?.databases, [{ name: 'events', path: `${home}/lab/a.db` }]);
    assert.equal(target?.health, 'none');
  });

  it('reads which compose projects work on a target, and what is asked after a restore', () => {
    const [target] = dev(
      '{ root: lab, compose: [compose.yml, /srv/db/compose.yml], health: { endpoints: [ { name: web, url: "http://localhost:5678/healthz" } ], within_seconds: 60 } }',
    ).targets;
    assert.deepEqual(target?.compose, [`${home}/lab/compose.yml`, '/srv/db/compose.yml']);
    assert.deepEqual(target?.health, {
      endpoints: [{ name: 'web', url: 'http://localhost:5678/healthz' }],
      withinSeconds: 60,
      consecutive: 3,
    });
    const byName = new Map(parse(old).targets.map((each) => [each.name, each]));
    assert.deepEqual(byName.get('control-plane')?.compose, ['/srv/leveredge/control-plane/n8n/docker-compose.yml']);
    assert.deepEqual(byName.get('dev')?.compose, [`${home}/data-plane/dev/a.yml`]);
    assert.deepEqual([byName.get('other')?.compose, byName.get('other')?.health], [[], 'unproven']);
  });

  it('reads which bus hears of it: the home’s own unless told', () => {
    const bus = (text: string) => parse(`bus: ${text}\n${old}`);
    assert.equal(parse(old).bus, 'home');
    assert.equal(bus('none').bus, 'none');
    assert.deepEqual(bus('{ url: "http://[::1]:8099/" }').bus, { url: 'http://[::1]:8099/', tokenFile: null });
    const far = bus('{ url: "http://bus.example", token_file: gaia/bus.token }');
    assert.deepEqual(far.bus, { url: 'http://bus.example', tokenFile: `${home}/gaia/bus.token` });
    assert.ok(far.notes.some((note) => /bus\.url takes the token over the network unencrypted/.test(note)));
    for (const [text, says] of [
      ['http://127.0.0.1:8099', /bus must be none, or have a url below it/],
      ['{ token_file: x }', /bus must have a url; say bus: none/],
      ['{ url: "ftp://x" }', /bus\.url must begin with http/],
      ['{ url: "http://me:secret@x" }', /bus\.url must begin with http/],
      ['{ url: 8099 }', /bus\.url must be a text/],
    ] as const) {
      const mistake = said(() => bus(text));
      assert.match(mistake, says);
      assert.doesNotMatch(mistake, /secret/);
    }
  });

  it('reads which units of systemd work on a target, of the machine and of users, in their order', () => {
    const [target] = dev(
      '{ root: lab, units: [ atlas.service, { name: "worker@1.service", user: owner }, { name: nightly.timer, user: o.w-n_er } ] }',
    ).targets;
    assert.deepEqual(target?.units, [
      { name: 'atlas.service', user: null },
      { name: 'worker@1.service', user: 'owner' },
      { name: 'nightly.timer', user: 'o.w-n_er' },
    ]);
    const plain = parse(old);
    assert.deepEqual(
      plain.targets.map(({ units }) => units),
      [[], [], [], []],
    );
    assert.ok(plain.notes.some((note) => /agents is understood, and nothing/.test(note)));
    assert.ok(!dev('{ root: a, units: [a.service] }').notes.some((note) => /units/.test(note)));
  });

  it('tells the line of each unit that is none', () => {
    const text =
      'restore_targets:\n  data-plane:\n    dev:\n      root: a\n      units:\n        - a.service\n        - b\n        - { name: c.service }\n';
    const all = said(() => parse(text));
    for (const line of [7, 8]) assert.match(all, new RegExp(`line ${line}:`));
  });

  it('backs up what a home needs to come back, its secrets only when encrypted', (t) => {
    const there = mkdtempSync(join(tmpdir(), 'config-'));
    t.after(() => rmSync(there, { recursive: true, force: true }));
    for (const name of ['gaia', 'shared/scripts', 'shared/credentials'])
      mkdirSync(join(there, name), { recursive: true });
    const yaml = 'restore_targets: { control-plane: { agents: { dir: control-plane/agents } } }';
    writeFileSync(join(there, 'gaia/config.yaml'), yaml);
    const target = readConfig(undefined, there).targets[0] as Target;
    const names = (isEncrypted: boolean) => withSecrets(target, isEncrypted).trees.map(({ name }) => name);
    const open = ['config', 'shared-scripts', 'shared-templates', 'monitoring'];
    assert.deepEqual(names(false), ['control-plane', 'gaia', ...open]);
    assert.deepEqual(names(true), ['control-plane', 'gaia', 'config', 'shared-credentials', ...open.slice(1)]);
    // Those that are not there are no reason to have no backup, and come back all the same.
    assert.ok(target.trees.slice(1).every(({ optional }) => optional));
    const leftOut = (isEncrypted: boolean) => withSecrets(target, isEncrypted).trees[1]?.exclude;
    assert.deepEqual(leftOut(true), []);
    for (const name of ['.signing_key', '.2fa_secret', '.identity']) assert.ok(leftOut(false)?.includes(name));
    writeFileSync(join(there, 'gaia/config.json'), '{"restore_targets":{"control-plane":{"root":"x"}}}');
    assert.equal(readConfig(undefined, there).targets[0]?.trees[0]?.root, join(there, 'x'), 'JSON is read first');
  });

  it('keeps the machine’s own keys out of every tree they lie in, unless it is encrypted', () => {
    const target = dev(`{ root: ${home} }`).targets[0] as Target;
    const keys = ['gaia/.signing_key', 'gaia/.identity'];
    assert.deepEqual(
      [false, true].map((is) => withSecrets(target, is).trees[0]?.exclude),
      [['shared/backups', ...keys], ['shared/backups']],
    );
  });

  it('says that the folder of backups is within a tree, and leaves it and a repository out of it', () => {
    const { notes, targets } = dev(`{ root: ${home}, restic: { repository: shared/repo* } }`);
    assert.ok(notes.some((note) => /folder of backups/.test(note)));
    assert.deepEqual(targets[0]?.trees[0]?.exclude, ['shared/backups', 'gaia/.restic-password', 'shared/repo?']);
  });

  it('reads JSON, and tells the line of a mistake in it', () => {
    const json = '{ "restore_targets":\n { "data-plane":\n { "dev": { "root": "/" } } } }';
    assert.match(
      said(() => parse(json, '/c.json')),
      /line 3: .*whole machine/,
    );
    assert.match(
      said(() => parse('{\n\n"a" 1}', '/c.json')),
      /line 3: this is no valid JSON/,
    );
  });

  it('reads how servers are reached', () => {
    const body = `{ root: a, compose: c.yml, databases: [
      { name: in-service, engine: postgres, service: db, password_file: .pw },
      { name: by-socket, engine: postgresql, socket: /run/postgresql, port: 5433, database: app, user: app },
      { name: by-url, engine: postgres, url: "postgres://me%40x@[::1]:6000/the%20one?sslmode=require" } ] }`;
    const target = dev(body).targets[0];
    assert.deepEqual(target?.postgres, [
      {
        ...{ name: 'in-service', database: null, user: null, passwordFile: `${target?.trees[0]?.root}/.pw` },
        reach: { kind: 'service', service: 'db' },
      },
      {
        ...{ name: 'by-socket', database: 'app', user: 'app', passwordFile: null },
        reach: { kind: 'socket', folder: '/run/postgresql', port: 5433 },
      },
      {
        ...{ name: 'by-url', database: 'the one', user: 'me@x', passwordFile: null },
        reach: { kind: 'url', parameters: { host: '::1', port: '6000', sslmode: 'require' } },
      },
    ]);
  });

  it('suggests what an unknown key was meant to be, and goes on', () => {
    assert.ok(dev('{ root: a, exlude: [x] }').notes.some((note) => /did you mean exclude/.test(note)));
  });

  it('tells every mistake at once, each with its line', () => {
    const text =
      'restore_targets:\n  data-plane:\n    dev:\n      root: 3\n    prod:\n      root: /\nretention:\n  hourly: x\n';
    const all = said(() => parse(text));
    for (const line of [4, 6, 8]) assert.match(all, new RegExp(`line ${line}:`));
  });

  const refused: [string, string, RegExp][] = [
    ['a server nobody can reach', '{ root: a, databases: [ { name: p, engine: postgres } ] }', /one of service/],
    [
      'a server to be reached in two ways',
      '{ root: a, databases: [ { name: p, engine: postgres, socket: /run, url: "postgres://h/d" } ] }',
      /one of service/,
    ],
    [
      'a password in the configuration',
      '{ root: a, databases: [ { name: p, engine: postgres, url: "postgres://u:secret@h/d" } ] }',
      /password_file/,
    ],
    [
      'a URL of another kind',
      '{ root: a, databases: [ { name: p, engine: postgres, url: "mysql://u@h/d" } ] }',
      /must be like postgres/,
    ],
    [
      'a service without a compose file',
      '{ root: a, databases: [ { name: p, engine: postgres, service: db } ] }',
      /no compose file/,
    ],
    [
      'databases of both kinds with one name',
      '{ root: a, databases: [ { name: p, engine: sqlite, path: x }, { name: p, engine: postgres, socket: /run } ] }',
      /another database has/,
    ],
    ['a health that asks nobody', '{ root: a, health: { within_seconds: 5 } }', /names no endpoints/],
    ['an n8n without an address', '{ root: a, health: { n8n: { canary: {} } } }', /must be \{ url/],
    [
      'half a canary',
      '{ root: a, health: { n8n: { url: "http://a", canary: { webhook: /w, listen: "127.0.0.1:1", header: x } } } }',
      /must be \{ url/,
    ],
    ['a health of another kind', '{ root: a, health: yes }', /must be none, or have endpoints/],
    [
      'an endpoint without a scheme',
      '{ root: a, health: { endpoints: [ { name: x, url: "localhost:1" } ] } }',
      /begins with http/,
    ],
    [
      'more answers than there is time for',
      '{ root: a, health: { endpoints: [ { name: x, url: "http://a/" } ], within_seconds: 2, consecutive: 3 } }',
      /cannot be asked 3 times within 2 s/,
    ],
    ['one compose file twice', '{ root: a, compose: [b.yml, b.yml] }', /twice/],
    ['units that are no list', '{ root: a, units: b.service }', /must be a list, each the name of a unit/],
    ['a unit of another kind', '{ root: a, units: [b.mount] }', /must end in .service, .timer, .socket or .path/],
    ['a template without an instance', '{ root: a, units: ["b@.service"] }', /no unit that can be stopped/],
    ['a unit that is a path', '{ root: a, units: [../b.service] }', /no unit that can be stopped/],
    ['a unit that is an option', '{ root: a, units: [--now.service] }', /no unit that can be stopped/],
    ['a number as a unit', '{ root: a, units: [3] }', /must be the name of a unit/],
    ['a unit of nobody', '{ root: a, units: [ { name: b.service } ] }', /needs the user/],
    ['a user that is none', '{ root: a, units: [ { name: b.service, user: ../x } ] }', /no name of a user/],
    ['one unit twice', '{ root: a, units: [b.service, b.service] }', /is b.service again/],
    ['an engine that is none', '{ root: a, engine: borg }', /must be archive or restic/],
    ['restic without a repository', '{ root: a, engine: restic }', /nothing says where/],
    ['two places of a repository', '{ root: a, restic: { repository: a, repository_file: b } }', /must say either/],
    ['a tree within a repository', '{ root: a/b, restic: { repository: a } }', /lies within the repository of restic/],
    ['a repository without a name', '{ root: a, restic: { repository: "" } }', /repository is empty/],
    ['a repository nowhere', '{ root: a, restic: { password_file: b } }', /must say either/],
    ['what is no reading back', '{ root: a, restic: { repository: a, read_back: all } }', /must be added, or none/],
    ['what is no recipient', '{ root: a, encrypt_to: [age1x] }', /is no recipient of age/],
    ['retention of one target', '{ root: a, retention: { hourly: 100 } }', /at the top/],
    ['an excluded path outside', '{ root: a, exclude: [../b] }', /no path below/],
    ['a tree within the backups', '{ root: shared/backups/x }', /within the folder of backups/],
    [
      'a database named twice',
      '{ root: a, databases: [ { name: x, engine: sqlite, path: 1.db }, { name: x, engine: sqlite, path: 2.db } ] }',
      /another database has/,
    ],
    [
      'a database file twice',
      '{ root: a, databases: [ { name: x, engine: sqlite, path: 1.db }, { name: y, engine: sqlite, path: ./1.db } ] }',
      /same file/,
    ],
    [
      'an excluded database',
      '{ root: a, exclude: ["ca*"], databases: [ { name: x, engine: sqlite, path: cache/y/1.db } ] }',
      /exclude leaves out/,
    ],
    ['trees that overlap', '{ root: a }, prod: { root: a/b }', /two restores/],
    ['a name that is none', '{ root: a }, Prod: { root: b }', /no name of a target/],
  ];
  for (const [what, body, sentence] of refused)
    it(`refuses ${what}`, () =>
      assert.match(
        said(() => dev(body)),
        sentence,
      ));

  it('refuses to switch the second factor off, and placeholders for users', () => {
    const text = (bot: string) => `restore_targets: { data-plane: { dev: { root: a } } }\nemergency_telegram: ${bot}`;
    assert.match(
      said(() => parse(text('{ require_2fa: false }'))),
      /cannot be switched off/,
    );
    assert.match(
      said(() => parse(text('{ authorized_users: [YOUR_ID] }'))),
      /placeholder/,
    );
  });

  it('repeats nothing of a file that is no YAML or JSON', () => {
    for (const text of [
      'token: "hunter2',
      'a: hunter2: x',
      '{"t": hunter2}',
      '%hunter2\n---\na: *hunter2',
      '- hunter2\nb',
    ])
      for (const file of ['/c.json', '/c.yaml'])
        assert.doesNotMatch(
          said(() => parse(text, file)),
          /hunter2/,
          text,
        );
  });

  it('says where it looked when there is none', () => {
    assert.match(
      said(() => readConfig(undefined, '/nowhere')),
      /not-found: .*\/nowhere\/gaia\/config.yaml/,
    );
  });
});
