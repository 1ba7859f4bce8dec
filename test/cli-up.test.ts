import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { agentScopes } from '../src/capabilities/agent-scopes.ts';
import { people } from '../src/channels/telegram/fake/world.ts';
import { telegramPlaces } from '../src/channels/telegram/places.ts';
import { type Client, makeClient } from '../src/client/client.ts';
import { leveredge, start, temporaryFolder } from './cli-run.fixtures.ts';
import { fakeBots, startFakeTelegram } from './fake-telegram.fixtures.ts';

/** `leveredge up` as `npm start` runs it: one process, real HTTP, GAIA as a process of its own. */
describe('leveredge up', { concurrency: 2 }, () => {
  async function running(t: TestContext, home: string, env: Record<string, string> = {}) {
    const process = start(['up', '--port', '0', '--home', home, '--json'], { GAIA_CONFIG: '', ...env });
    t.after(() => process.child.kill('SIGKILL'));
    const [line] = await process.says('stdout', /.+/);
    return { ...process, client: makeClient({ url: JSON.parse(line).url }) };
  }

  async function saidOf(client: Client, cause: string) {
    for (let n = 0; n < 600; n++) {
      const { events } = await client.events({ limit: 50, source_agent: 'CHRONOS' });
      const found = events.find(({ causation_id }) => causation_id === cause);
      if (found !== undefined) return found;
      await pause(50);
    }
    assert.fail('CHRONOS has said nothing');
  }

  const deploy = (client: Client) =>
    client.publish({ source_agent: 'HEPHAESTUS', action: 'deploy_started', target: 'dev' });

  it('makes an example target in an empty home, and backs it up before a change of it', async (t) => {
    const home = temporaryFolder(t);
    const up = await running(t, home);
    const { action, details } = await saidOf(up.client, (await deploy(up.client)).id);
    assert.deepEqual([action, details?.state], ['backup_completed', 'sound']);
    assert.ok(readdirSync(join(home, 'shared/backups/dev')).some((name) => name.endsWith('.tar.zst')));
    up.child.kill('SIGTERM');
    const { exit, stderr } = await up.ended;
    assert.equal(exit, 0);
    assert.match(stderr, /An example target, dev, was made in .*data-plane\/dev/);
    assert.match(stderr, /is on disk/);
  });

  it('gives each agent a token of its own at the first start, with what its page says, and none at the next', async (t) => {
    const home = temporaryFolder(t);
    const tokens = async () => {
      const { stdout } = await leveredge(['token', 'list', '--json', '--home', home]);
      const { tokens } = JSON.parse(stdout) as { tokens: { name: string; kind: string; scopes: string[] }[] };
      return Object.fromEntries(
        tokens.filter(({ kind }) => kind === 'agent').map(({ name, scopes }) => [name, scopes]),
      );
    };
    const expected = Object.fromEntries(
      Object.entries(agentScopes).map(([name, scopes]) => [name.toUpperCase(), scopes]),
    );
    const secrets: string[] = [];
    for (const _ of ['first', 'next']) {
      const up = await running(t, home);
      await Promise.all(['ATLAS', 'CHRONOS', 'HADES'].map((name) => up.says('stdout', new RegExp(name))));
      assert.deepEqual(await tokens(), expected);
      for (const name of Object.keys(expected)) {
        const file = join(home, 'shared/credentials', `${name}.token`);
        assert.equal(statSync(file).mode & 0o777, 0o600);
        secrets.push(readFileSync(file, 'utf8'));
      }
      const { exit, stdout } = await leveredge(['atlas', 'agents', '--json', '--home', home]);
      assert.equal(exit, 0, stdout);
      up.child.kill('SIGTERM');
      assert.equal((await up.ended).exit, 0);
    }
    assert.deepEqual(secrets.slice(3), secrets.slice(0, 3));
    assert.equal(new Set(secrets).size, 3);
  });

  it('touches no configuration and no folder that is there', async (t) => {
    const configured = temporaryFolder(t);
    mkdirSync(join(configured, 'gaia'));
    writeFileSync(join(configured, 'gaia/config.yaml'), 'restore_targets: {}\n');
    const filled = temporaryFolder(t);
    mkdirSync(join(filled, 'data-plane'));
    for (const home of [configured, filled]) {
      const up = await running(t, home);
      await up.says('stdout', /CHRONOS/);
      up.child.kill('SIGTERM');
      assert.doesNotMatch((await up.ended).stderr, /example/);
    }
    assert.equal(readFileSync(join(configured, 'gaia/config.yaml'), 'utf8'), 'restore_targets: {}\n');
    assert.ok(!existsSync(join(configured, 'data-plane')));
    assert.ok(!existsSync(join(filled, 'gaia/config.yaml')));
    assert.deepEqual(readdirSync(join(filled, 'data-plane')), []);
  });

  it('goes on as a bus when an agent cannot, and says which and why', async (t) => {
    const home = temporaryFolder(t);
    const token = join(home, 'shared/credentials/CHRONOS.token');
    mkdirSync(join(home, 'shared/credentials'), { recursive: true });
    writeFileSync(token, `lev_${'a'.repeat(40)}\n`);
    chmodSync(token, 0o600);
    const up = await running(t, home);
    await up.says('stderr', /an agent cannot go on; the bus and the others do.*CHRONOS.*knows no such token/);
    const { id } = await deploy(up.client);
    assert.equal((await up.client.event(id)).status, 'pending');
    up.child.kill('SIGTERM');
    assert.equal((await up.ended).exit, 0);
  });

  it('runs the control bot once it is set up, and bus and agents whatever becomes of it', async (t) => {
    const home = temporaryFolder(t);
    const fake = await startFakeTelegram(t);
    const env = { TELEGRAM_API_ROOT: fake.url };
    const before = await running(t, home, env);
    const setup = start(['telegram', 'setup', '--user', String(people.owner.id), '--home', home], env);
    setup.child.stdin.end(`${fakeBots.control}\n`);
    const made = await setup.ended;
    assert.equal(made.exit, 0, made.stderr);
    assert.match(made.stderr, /Start it: .*telegram bot\n.*stop leveredge up, and start it again/);
    before.child.kill('SIGTERM');
    assert.doesNotMatch((await before.ended).stdout, /"bot"/);

    const up = await running(t, home, env);
    await up.says('stdout', /\{"bot":"control_bot","bus":"http:[^"]*","pid":\d+\}/);
    fake.say('/help');
    await fake.eventually(() => fake.said().find(({ text }) => text.startsWith('LeverEdge')));
    fake.trouble('409', { method: 'getUpdates' });
    fake.say('/agents');
    await fake.eventually(() => fake.said().find(({ text }) => text.includes('HADES')));
    fake.revoke(true);
    await up.says(
      'stderr',
      /the control bot cannot go on; the bus and the agents do.*Telegram does not take the token/,
    );
    const { action } = await saidOf(up.client, (await deploy(up.client)).id);
    assert.equal(action, 'backup_completed');
    up.child.kill('SIGTERM');
    const { exit, stdout, stderr } = await up.ended;
    assert.equal(exit, 0);
    assert.ok(!(stdout + stderr).includes(fakeBots.control.slice(8)));
  });

  it('says of a setting that is none which agent does not run for it', async (t) => {
    const up = await running(t, temporaryFolder(t), { CHRONOS_BEGINS_AFTER_MS: 'soon' });
    await up.says('stderr', /an agent cannot go on.*CHRONOS.*CHRONOS_BEGINS_AFTER_MS is .*soon.*no number/);
    up.child.kill('SIGTERM');
    assert.equal((await up.ended).exit, 0);
  });

  it('says once what is wrong with the settings of the control bot, and goes on', async (t) => {
    const home = temporaryFolder(t);
    const { settings } = telegramPlaces(home);
    mkdirSync(dirname(settings), { recursive: true });
    writeFileSync(settings, '{');
    const up = await running(t, home);
    await up.says('stderr', /the control bot cannot go on.*telegram\.json is no JSON.*leveredge telegram setup/);
    await up.says('stdout', /HADES/);
    assert.equal((await up.client.health()).status, 'healthy');
    up.child.kill('SIGTERM');
    assert.equal((await up.ended).exit, 0);
  });
});
