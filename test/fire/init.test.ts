import assert from 'node:assert/strict';
import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { run } from '../recovery/gaia.fixtures.ts';
import { type Engine, startEngine } from './docker.fixtures.ts';
import { type Machine, noMachine, startMachine } from './machine.fixtures.ts';

const missing = noMachine();
if (missing !== undefined) console.log(`NOT RUN: init on a server needs a machine in a container: ${missing}`);

const home = '/opt/leveredge';
const program = '/usr/local/lib/leveredge';
const checkout = join(import.meta.dirname, '../..');

type Step = { kind: string; what: string; state: string; says?: string };

describe('init on an empty Debian', { skip: missing !== undefined, timeout: 1_800_000 }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'fire-init-'));
  const installed = join(folder, 'program');
  let engine: Engine;
  let machine: Machine;

  /** Everything that init could have changed, but for what the bus itself writes to. */
  const facts = () =>
    machine.well(`find ${home} /etc/systemd/system /usr/local/bin -printf '%p %y %m %U:%G %l\\n' | grep -v /event-bus/ | sort
      find ${home} /etc/systemd/system -type f ! -path '*/event-bus/*' -exec sha256sum {} + | sort -k2; getent passwd`);
  const ask =
    "fetch('http://127.0.0.1:PORT/health').then((a) => a.json()).then((a) => console.log(a.status), () => process.exit(1))";
  const health = (port = 8099) => machine.sh(`node -e "${ask.replace('PORT', String(port))}"`);

  async function untilWell(port?: number): Promise<void> {
    for (const end = performance.now() + 30_000; (await health(port)).exit !== 0; await pause(200))
      assert.ok(performance.now() < end, (await machine.sh('journalctl -u event-bus -n 30 --no-pager')).stdout);
  }

  async function init(exit: number, words: string, as = ''): Promise<Step[]> {
    const ended = await machine.sh(`${as} node ${program}/bin/leveredge.mjs init --json ${words}`);
    assert.equal(ended.exit, exit, ended.stdout + ended.stderr);
    return JSON.parse(ended.stdout).steps;
  }

  before(async () => {
    mkdirSync(installed);
    for (const name of ['bin', 'package.json'])
      cpSync(join(checkout, name), join(installed, name), { recursive: true });
    const built = await run(process.execPath, [join(checkout, 'tools/build.ts'), join(installed, 'dist')]);
    assert.equal(built.exit, 0, built.stderr);
    engine = await startEngine();
    const volumes = [`${process.execPath}:/usr/local/bin/node:ro`, `${installed}:${program}:ro`];
    machine = await startMachine('', { bare: true, volumes });
  });

  after(async () => {
    await run('docker', ['rm', '-f', 'leveredge-test-machine']);
    await engine?.end();
    rmSync(folder, { recursive: true, force: true });
  });

  it('says what it would do, and does nothing', async () => {
    const before = await machine.well('getent passwd; ls -R /etc/systemd/system /usr/local/bin /opt');
    const steps = await init(0, '--start --dry-run');
    assert.deepEqual([...new Set(steps.map(({ state }) => state))].sort(), ['there', 'would do']);
    assert.equal(await machine.well('getent passwd; ls -R /etc/systemd/system /usr/local/bin /opt'), before);
  });

  it('makes all of it, and starts the bus as a user who can do little else', async () => {
    const steps = await init(0, '--start');
    assert.deepEqual(
      steps.filter(({ state }) => state !== 'done').map(({ kind }) => kind),
      ['reach'],
    );
    await untilWell();
    const pid = await machine.well('systemctl show --property=MainPID --value event-bus.service');
    assert.equal(await machine.well(`stat -c %U /proc/${pid}`), 'leveredge');
    await machine.well('systemd-analyze security --threshold=20 event-bus.service');
    const secrets = await machine.well(
      `stat -c '%a %U %n' ${home}/shared/credentials/*.token ${home}/shared/credentials/*.key`,
    );
    for (const line of secrets.split('\n')) assert.match(line, /^600 leveredge /);
    assert.equal(await machine.well(`ls ${home}/shared/credentials | wc -l`), '3');
    for (const command of ['doctor', 'publish deploy_started target=dev', 'backup'])
      await machine.well(`cd / && runuser -u leveredge -- leveredge ${command}`);
  });

  it('changes nothing the second time', async () => {
    const before = await facts();
    const steps = await init(0, '--start');
    assert.deepEqual(
      steps.filter(({ state }) => state !== 'there'),
      [],
    );
    assert.equal(await facts(), before);
  });

  it('answers again after a reboot', async () => {
    await machine.reboot();
    await untilWell();
    assert.match(await machine.well('leveredge events --json'), /"deploy_started"/);
  });

  it('is backed up and restored by the configuration that it wrote, the bus stopped and started', async () => {
    await machine.well('gaia backup full');
    const done = JSON.parse(await machine.well('gaia restore control-plane --yes --json'));
    assert.deepEqual([done.outcome, done.health], ['committed', 'proven']);
    await untilWell();
    assert.deepEqual(
      (await init(0, '--start')).filter(({ state }) => state !== 'there'),
      [],
    );
  });

  it('writes a unit of a user, which says that it is weaker', async () => {
    await machine.well('useradd --create-home --home-dir /srv/other other && loginctl enable-linger other');
    await machine.well('until systemctl is-active -q user@$(id -u other); do sleep 0.1; done');
    machine.write('/srv/other/le/config/leveredge.yaml', 'bus: { port: 8098 }\n');
    await machine.well('chown -R other: /srv/other');
    const as = 'XDG_RUNTIME_DIR=/run/user/$(id -u other) HOME=/srv/other runuser -u other --';
    await init(0, '--home /srv/other/le --start', as);
    await untilWell(8098);
    assert.match(await machine.well('cat /srv/other/.config/systemd/user/event-bus.service'), /Weaker than/);
  });
});
