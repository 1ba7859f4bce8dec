import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { agentNames } from '../door.ts';
import { planOf, type Wanted } from './plan.ts';
import type { EmergencyBot, Found } from './step.ts';

const home = '/opt/leveredge';
const usual: Wanted = {
  ...{ home, units: 'system', user: 'leveredge', agents: agentNames, bots: true, start: true, linked: true },
  ...{ url: 'http://127.0.0.1:8099', version: '1.2.3' },
};

const emergency: EmergencyBot = {
  ...{ user: 'gaia-bot', spool: `${home}/shared/emergency` },
  ...{ tokenFile: `${home}/gaia/.telegram_token`, usersFile: `${home}/gaia/.authorized_users` },
  ...{ secretFile: `${home}/gaia/.2fa_secret`, texts: { runner: 'the runner', bot: 'the bot' } },
};

function machine(found: Readonly<Record<string, Found>> = {}, isRoot = true) {
  return {
    isRoot,
    node: '/usr/bin/node',
    programs: {
      leveredge: '/usr/lib/le/bin/leveredge.mjs',
      gaia: '/usr/lib/le/bin/gaia.mjs',
      hades: '/usr/lib/le/bin/hades.mjs',
    },
    units: { system: '/etc/systemd/system', user: '/srv/owner/.config/systemd/user' },
    links: '/usr/local/bin',
    look: (path: string): Found => found[path] ?? { kind: 'nothing' },
    emergencyBot: (): EmergencyBot | undefined => emergency,
  };
}
const plan = (wanted: Partial<Wanted> = {}, on = machine()) => planOf({ ...usual, ...wanted }, on);
const paths = (steps: ReturnType<typeof plan>) => steps.flatMap((step) => ('path' in step ? [step.path] : []));
const kinds = (steps: ReturnType<typeof plan>) => new Set(steps.map(({ kind }) => kind));

describe('the plan of init', () => {
  it('has every folder of a home, those above before those below', () => {
    const all = paths(plan());
    const wanted = [
      'gaia',
      ...['n8n', 'agents', 'workflows', 'dashboards', 'docs', 'event-bus'].map((name) => `control-plane/${name}`),
      ...['prod', 'dev'].map((name) => `data-plane/${name}`),
      ...['scripts', 'templates', 'credentials'].map((name) => `shared/${name}`),
      ...['control-plane', 'prod', 'dev'].flatMap((target) =>
        ['hourly', 'daily', 'weekly', 'monthly'].map((bucket) => `shared/backups/${target}/${bucket}`),
      ),
      ...['prometheus', 'grafana'].map((name) => `monitoring/${name}`),
    ];
    for (const path of wanted) assert.ok(all.includes(`${home}/${path}`), path);
    for (const [n, path] of all.entries())
      for (const above of all.slice(n + 1)) assert.ok(!path.startsWith(`${above}/`), `${path} before ${above}`);
    assert.equal(new Set(all).size, all.length);
  });

  it('keeps secrets and backups from others', () => {
    const closed = plan().filter((step) => step.kind === 'folder' && (step.mode & 0o066) === 0);
    for (const path of ['gaia', 'shared/credentials', 'control-plane/event-bus', 'shared/backups/prod/daily'])
      assert.ok(paths(closed).includes(`${home}/${path}`), path);
  });

  it('gives the user of the bus what the bus writes to, and nothing else', () => {
    const owned = plan().filter((step) => step.kind === 'folder' && step.owner === 'leveredge');
    assert.deepEqual(paths(owned), [
      `${home}/control-plane/event-bus`,
      `${home}/shared/credentials`,
      `${home}/shared/backups/event-bus`,
    ]);
    const ofBot = plan().filter((step) => step.kind === 'folder' && step.owner === 'leveredge-telegram');
    assert.deepEqual(paths(ofBot), [`${home}/control-plane/telegram`]);
  });

  it('has targets that the home has already', () => {
    const entries = ['prod', 'staging', 'Not A Target'].map((name) => ({ name, isFile: false, mode: 0o755, uid: 0 }));
    const on = machine({ [`${home}/data-plane`]: { kind: 'folder', mode: 0o755, uid: 0, entries, real: '/x' } });
    const steps = plan({}, on);
    assert.ok(paths(steps).includes(`${home}/shared/backups/staging/daily`));
    assert.ok(steps.some((step) => step.kind === 'file' && step.text.includes('\n    staging:\n')));
  });

  it('takes config.json of GAIA for the configuration, where there is one', () => {
    const json = `${home}/gaia/config.json`;
    const all = paths(plan({}, machine({ [json]: { kind: 'file', mode: 0o644, uid: 0, text: '{}', real: json } })));
    assert.ok(all.includes(json));
    assert.ok(!all.includes(`${home}/gaia/config.yaml`));
  });

  it('has a user for the bus, one for ATLAS, one for those who have GAIA work, and one for each bot', () => {
    const users = plan().flatMap((step) => (step.kind === 'user' ? [step.name] : []));
    assert.deepEqual(users, [
      ...['leveredge', 'leveredge-atlas', 'leveredge-recovery'],
      ...['leveredge-telegram', 'gaia-bot'],
    ]);
    assert.deepEqual(
      plan({ agents: [], bots: false }).flatMap((step) => (step.kind === 'user' ? [step.name] : [])),
      ['leveredge'],
    );
  });

  it('starts the bus first, then where GAIA is asked, then the agents, and the bots last', () => {
    const services = plan().flatMap((step) => (step.kind === 'service' ? [step.unit] : []));
    assert.deepEqual(services, [
      ...['event-bus.service', 'leveredge-gaia.socket'],
      ...['atlas.service', 'chronos.service', 'hades.service'],
      ...['leveredge-codes.socket', 'leveredge-telegram.service', 'gaia-runner.service', 'gaia-emergency.service'],
    ]);
    assert.ok(!paths(plan({ units: 'user' })).some((path) => /leveredge-gaia|leveredge-codes|gaia-runner/.test(path)));
  });

  it('makes the tokens once the bus has its database up to date, and before what reads them', () => {
    const order = plan().flatMap((step) =>
      step.kind === 'token' ? [step.name] : step.kind === 'service' ? [step.unit] : [],
    );
    assert.deepEqual(order.slice(0, 5), ['event-bus.service', 'ATLAS', 'CHRONOS', 'HADES', 'leveredge-gaia.socket']);
  });

  it('writes the units of the emergency bot as GAIA prints them, and none where nobody knows its files', () => {
    const files = (steps: ReturnType<typeof plan>) =>
      steps.flatMap((step) =>
        step.kind === 'file' && /gaia-\w+\.service$/.test(step.path) ? [[step.path, step.text]] : [],
      );
    assert.deepEqual(files(plan()), [
      ['/etc/systemd/system/gaia-runner.service', 'the runner'],
      ['/etc/systemd/system/gaia-emergency.service', 'the bot'],
    ]);
    const without = plan({}, { ...machine(), emergencyBot: () => undefined });
    assert.deepEqual(files(without), []);
    assert.ok(!without.some((step) => step.kind === 'user' && step.name === 'gaia-bot'));
    assert.deepEqual(files(plan({ bots: false })), []);
  });

  it('has a restore of control-plane stop the control bot, and never who does the restore', () => {
    const [config] = plan().flatMap((step) =>
      step.kind === 'file' && /gaia\/config/.test(step.path) ? step.text : [],
    );
    assert.match(config ?? '', /units: \[ event-bus\.service, .*, leveredge-telegram\.service \]/);
    assert.doesNotMatch(config ?? '', /gaia-runner|gaia-emergency/);
  });

  it('has pages that start what can work, and name the rest', () => {
    const [page] = plan().flatMap((step) =>
      step.kind === 'file' && step.path === `${home}/README.md` ? step.text : [],
    );
    assert.match(page ?? '', /enable --now event-bus\.service .* hades\.service leveredge-codes\.socket$/m);
    assert.match(page ?? '', /leveredge telegram setup --home \/opt\/leveredge/);
    assert.doesNotMatch(
      plan({ bots: false })
        .flatMap((step) => (step.kind === 'file' ? step.text : []))
        .join(),
      /telegram setup|leveredge-telegram/,
    );
  });

  it('links every program to where everyone finds it', () => {
    const links = plan().flatMap((step) => (step.kind === 'link' ? [[step.path, step.to]] : []));
    const all = ['leveredge', 'gaia', 'hades'];
    assert.deepEqual(
      links,
      all.map((name) => [`/usr/local/bin/${name}`, `/usr/lib/le/bin/${name}.mjs`]),
    );
  });

  it('is smaller without units, without root and without links', () => {
    assert.deepEqual(kinds(plan({ units: 'none', start: false })), new Set(['folder', 'file', 'link']));
    assert.deepEqual(
      kinds(plan({ units: 'user' }, machine({}, false))),
      new Set(['folder', 'file', 'token', 'service']),
    );
    assert.ok(!kinds(plan({ linked: false })).has('link'));
    assert.ok(paths(plan({ units: 'user' })).includes('/srv/owner/.config/systemd/user/event-bus.service'));
  });

  for (const [what, wanted] of [
    ['a home that is gone after a reboot', { home: '/tmp/le' }],
    ['a home with a line break in its name', { home: '/srv/a\nUser=root' }],
    ['the whole machine', { home: '/' }],
  ] as const)
    it(`refuses ${what}`, () => {
      assert.throws(() => plan(wanted), { name: 'Fault', code: 'usage' });
    });
});
