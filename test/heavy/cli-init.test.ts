import assert from 'node:assert/strict';
import {
  appendFileSync,
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, it } from 'node:test';
import { makeClient } from '../../src/client/client.ts';
import { leveredge, start, startBus, temporaryFolder } from '../cli-run.fixtures.ts';

const gaiaLauncher = join(import.meta.dirname, '../..', 'bin', 'gaia.mjs');

type Step = { kind: string; path?: string; state: string; says?: string; todo?: string };
type Test = Parameters<typeof temporaryFolder>[0];

function stand(t: Test) {
  const folder = temporaryFolder(t);
  const home = join(folder, 'home');
  const env = { XDG_CONFIG_HOME: join(folder, 'xdg'), HOME: folder };
  /** Never without --no-links: these tests may be root's. */
  const words = (units: string, more: readonly string[]) =>
    ['init', '--no-links', '--home', home, '--units', units, ...more] as const;
  return {
    folder,
    home,
    env,
    init: (units = 'none', ...more: string[]) => leveredge(words(units, more), env),
    async steps(exit: number, units = 'none', ...more: string[]): Promise<Step[]> {
      const ended = await leveredge(words(units, [...more, '--json']), env);
      assert.equal(ended.exit, exit, ended.stdout + ended.stderr);
      return JSON.parse(ended.stdout).steps;
    },
    gaia: (...args: string[]) => start(args, { LEVEREDGE_HOME: home }, [process.execPath, gaiaLauncher]).ended,
  };
}

/** Every path below, with all of it that could change. */
function treeOf(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .sort()
    .map((name) => {
      const { mode, uid, mtimeMs, ino } = lstatSync(join(folder, name));
      return [name, mode.toString(8), uid, mtimeMs, ino].join(' ');
    });
}

const states = (steps: readonly Step[]) => [...new Set(steps.map(({ state }) => state))].sort();

describe('leveredge init', () => {
  it('only says what it would do with --dry-run', async (t) => {
    const { folder, init } = stand(t);
    const { exit, stdout, stderr } = await init('user', '--dry-run');
    assert.equal(exit, 0, stderr);
    assert.match(stdout, /^would do {2}folder .*\/shared\/credentials \(0700\)$/m);
    assert.match(stderr, /Nothing was changed/);
    assert.deepEqual(readdirSync(folder), []);
  });

  it('makes everything once, and changes nothing after that', async (t) => {
    const { folder, home, env, steps } = stand(t);
    const planned = await steps(0, 'user', '--dry-run');
    const made = await steps(0, 'user');
    assert.deepEqual(states(made), ['done']);
    assert.deepEqual(
      made.map(({ path }) => path),
      planned.map(({ path }) => path),
    );
    assert.equal(lstatSync(join(home, 'shared', 'credentials')).mode & 0o777, 0o700);
    assert.equal(lstatSync(join(home, 'gaia')).mode & 0o777, 0o700);
    assert.ok(existsSync(join(env.XDG_CONFIG_HOME, 'systemd', 'user', 'event-bus.service')));
    const before = treeOf(folder);
    assert.deepEqual(states(await steps(0, 'user')), ['there']);
    assert.deepEqual(treeOf(folder), before);
  });

  it('makes what is missing, and leaves what somebody wrote', async (t) => {
    const { home, init, steps } = stand(t);
    await init();
    writeFileSync(join(home, 'README.md'), 'ours');
    rmSync(join(home, 'monitoring', 'grafana'), { recursive: true });
    const done = (await steps(0)).filter(({ state }) => state === 'done');
    assert.deepEqual(
      done.map(({ path }) => path),
      [join(home, 'monitoring', 'grafana')],
    );
    assert.equal(readFileSync(join(home, 'README.md'), 'utf8'), 'ours');
  });

  it('names a secret that others can read, and leaves its mode: exit 9', async (t) => {
    const { home, init, steps } = stand(t);
    await init();
    const token = join(home, 'shared', 'credentials', 'owner.token');
    writeFileSync(token, 'x', { mode: 0o600 });
    assert.deepEqual(states(await steps(0)), ['there']);
    chmodSync(token, 0o644);
    const [wrong] = (await steps(9)).filter(({ state }) => state === 'wrong');
    assert.equal(wrong?.todo, `chmod 600 ${token}`);
    assert.equal(lstatSync(token).mode & 0o777, 0o644);
  });

  it('names a file where a folder should be, makes nothing below it and all else: exit 9', async (t) => {
    const { home, steps } = stand(t);
    mkdirSync(home);
    writeFileSync(join(home, 'shared'), 'a file');
    const made = await steps(9);
    const wrong = made.filter(({ state }) => state === 'wrong');
    assert.match(`${wrong.length} ${wrong[0]?.path} ${wrong[0]?.says}`, /^1 .*\/shared is a file, and no folder$/);
    assert.ok(made.filter(({ state }) => state === 'left out').every(({ path }) => path?.includes('/shared/')));
    assert.ok(existsSync(join(home, 'monitoring', 'grafana')));
    assert.equal(readFileSync(join(home, 'shared'), 'utf8'), 'a file');
  });

  it('says why where the home cannot be made, and tries nothing after that: exit 1', async () => {
    const { exit, stdout, stderr } = await leveredge([
      'init',
      '--no-links',
      '--home',
      '/proc/leveredge',
      '--units',
      'none',
    ]);
    assert.equal(exit, 1, stderr);
    assert.match(stdout, /^FAILED {4}folder \/proc\/leveredge \(0755\): E[A-Z]+.*\n.*--home/);
    assert.equal(stdout.trim().split('\n').length, 2, stdout);
  });

  for (const [words, says] of [
    [['--everything'], /unknown option '--everything'/],
    [['--units', 'some'], /Allowed choices are system, user, none/],
    [['--units', 'none', '--start'], /--start goes with a unit/],
    [['--units', 'none', '--user', 'le'], /--user goes with --units system/],
    [
      ['--units', 'system', '--user', 'a-name-of-many-letters-x', '--dry-run'],
      /too long a name: the users of the agents/,
    ],
    [['--units', 'system', '--user', 'root', '--dry-run'], /cannot be the user of the bus/],
    [['--units', 'system', '--user', 'a b\nUser=root', '--dry-run'], /cannot be the user of the bus/],
    [['--units', 'system', '--dry-run'], /gone after a reboot/],
  ] as const)
    it(`refuses ${words.join(' ').replace('\n', '\\n')}: exit 2`, async (t) => {
      const folder = temporaryFolder(t);
      // In a temporary folder, which a unit of the system cannot work with.
      const { exit, stderr } = await leveredge(['init', '--no-links', '--home', join(folder, 'home'), ...words]);
      assert.equal(exit, 2, stderr);
      assert.match(stderr, says);
      assert.deepEqual(readdirSync(folder), []);
    });

  it('says of the unit of a user that it is weaker, and how to start it', async (t) => {
    const { init } = stand(t);
    const { stderr } = await init('user');
    assert.match(stderr, /weaker than those that init writes as root/);
    assert.match(
      stderr,
      /systemctl --user daemon-reload && systemctl --user enable --now event-bus\.service atlas\.service/,
    );
  });

  it('says of a unit that it is not as it would be written, and leaves it', async (t) => {
    const { env, init, steps } = stand(t);
    await init('user');
    const file = (name: string) => join(env.XDG_CONFIG_HOME, 'systemd', 'user', `${name}.service`);
    appendFileSync(file('event-bus'), '# changed\n');
    writeFileSync(file('atlas'), '[Service]\n');
    const units = (await steps(0, 'user')).filter(({ path }) => path?.endsWith('.service'));
    assert.match(`${units[0]?.state}: ${units[0]?.says}`, /^there: it is not as this version would write it/);
    assert.match(`${units[1]?.state}: ${units[1]?.says}`, /^there: it is not one that init wrote/);
    assert.equal(readFileSync(file('atlas'), 'utf8'), '[Service]\n');
  });

  it('makes a token for each agent, with the rights that its page states, once', async (t) => {
    const { home, init, steps } = stand(t);
    await init('user');
    const credentials = join(home, 'shared', 'credentials');
    assert.deepEqual(readdirSync(credentials).sort(), ['ATLAS.token', 'CHRONOS.token', 'HADES.token']);
    for (const name of readdirSync(credentials)) assert.equal(lstatSync(join(credentials, name)).mode & 0o777, 0o600);
    const bus = await startBus(home, ['--port', '0', '--auth', 'required']);
    t.after(() => bus.stop());
    const asHades = makeClient({ url: bus.url, token: readFileSync(join(credentials, 'HADES.token'), 'utf8').trim() });
    await asHades.publish({ source_agent: 'HADES', action: 'rollback_not_asked' });
    await assert.rejects(asHades.publish({ source_agent: 'HADES', action: 'deploy_started' }), { code: 'forbidden' });
    assert.deepEqual(states(await steps(0, 'user')), ['there']);
    const redriven = await leveredge(['dead-letters', 'redrive', '--all', '--agent', 'HADES', '--home', home]);
    assert.equal(redriven.exit, 0, `asked by the owner, of HADES: ${redriven.stderr}`);
  });

  it('leaves agents and bots out with --no-agents and --no-bots', async (t) => {
    const { home, env, steps } = stand(t);
    const made = await steps(0, 'user', '--no-agents', '--no-bots');
    assert.ok(!made.some(({ kind }) => kind === 'token'));
    assert.deepEqual(readdirSync(join(env.XDG_CONFIG_HOME, 'systemd', 'user')), ['event-bus.service']);
    assert.doesNotMatch(readFileSync(join(home, 'gaia', 'config.yaml'), 'utf8'), /hades|telegram/);
    assert.ok(!existsSync(join(home, 'control-plane', 'telegram')));
  });
});

describe('a home that init made', () => {
  it('has a bus and backups that work with its configuration', async (t) => {
    const { home, init, steps, gaia } = stand(t);
    await init();
    const bus = await startBus(home);
    t.after(() => bus.stop());
    assert.equal((await leveredge(['doctor', '--home', home])).exit, 0);
    const backedUp = await gaia('backup', 'full');
    assert.equal(backedUp.exit, 0, backedUp.stderr);
    const doctor = await gaia('doctor', '--config', join(home, 'gaia', 'config.yaml'), '--json');
    assert.equal(doctor.exit, 0, doctor.stdout);
    assert.match(doctor.stdout, /config\.yaml: control-plane, prod, dev/);
    assert.deepEqual(states(await steps(0)), ['there']);
  });

  it('has a configuration with the unit of the bus, where there is one', async (t) => {
    const { home, init, gaia } = stand(t);
    await init('user');
    const { stdout } = await gaia('doctor', '--json');
    const config = (JSON.parse(stdout).findings as { what: string; level: string }[]).filter(
      ({ what }) => what === 'config',
    );
    assert.ok(config.length > 0 && config.every(({ level }) => level !== 'WRONG'), stdout);
    assert.match(
      readFileSync(join(home, 'gaia', 'config.yaml'), 'utf8'),
      /units:\n {6}- \{ name: event-bus\.service, user: .* \}\n {6}- \{ name: atlas\.service, user: /,
    );
  });

  for (const units of ['none', 'user'])
    it(`has pages that name only what is there (--units ${units})`, async (t) => {
      const { home, init, gaia } = stand(t);
      await init(units);
      const commands = { leveredge: (await leveredge(['--help'])).stdout, gaia: (await gaia('help')).stdout };
      for (const page of ['README.md', 'control-plane/docs/ARCHITECTURE.md']) {
        const text = readFileSync(join(home, page), 'utf8');
        for (const [, link] of text.matchAll(/\]\(([^)]+)\)/g))
          assert.ok(existsSync(join(home, dirname(page), link as string)), `${page}: ${link}`);
        for (const [, path] of text.matchAll(
          /`((?:gaia|config|control-plane|data-plane|shared|monitoring)\/[\w/.-]*)`/g,
        ))
          assert.ok(existsSync(join(home, (path as string).replace(/events\.db$/, ''))), `${page}: ${path}`);
        for (const [, program, command] of text.matchAll(/(?:`|^|&& )(leveredge|gaia) ([a-z]+)/gm))
          assert.match(commands[program as 'gaia'], new RegExp(`^  ${command}\\b`, 'm'), `${program} ${command}`);
        assert.doesNotMatch(text, /undefined|\[object|HEPHAESTUS/);
      }
    });
});
