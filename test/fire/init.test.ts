import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { installedHome as home, type InitStep, type Installed, installProgram } from './installed.fixtures.ts';
import { noMachine } from './machine.fixtures.ts';

const missing = noMachine();
if (missing !== undefined) console.log(`NOT RUN: init on a server needs a machine in a container: ${missing}`);

const agents = ['atlas', 'chronos', 'hades'] as const;
const services = ['event-bus', ...agents];
const bots = ['leveredge-telegram', 'gaia-emergency'] as const;
const written = [...services, ...bots, 'gaia-runner'];
const bySystemd = [...written.map((name) => `${name}.service`), 'leveredge-gaia.socket', 'leveredge-codes.socket'];
const notYet = ['leveredge-telegram.service', 'gaia-runner.service', 'gaia-emergency.service'];

function assertNothingToDo(steps: readonly InitStep[]): void {
  assert.deepEqual(
    steps.flatMap(({ state, name, what }) => (state === 'there' ? [] : `${state}: ${name ?? what}`)),
    notYet.map((name) => `not yet: ${name}`),
  );
}

describe('init on an empty Debian', { skip: missing !== undefined, timeout: 1_800_000 }, () => {
  let on: Installed;
  const well = (command: string) => on.machine.well(command);

  /** Everything that init could have changed, but for what the bus and GAIA themselves write to. */
  const facts = () =>
    well(`find ${home} /etc/systemd/system /usr/local/bin -printf '%p %y %m %U:%G %l\\n' | grep -Ev '/event-bus/|/backups/' | sort
      find ${home} /etc/systemd/system -type f ! -path '*/event-bus/*' ! -path '*/backups/*' -exec sha256sum {} + | sort -k2
      getent passwd`);
  const health = (port: number) =>
    `node -e "fetch('http://127.0.0.1:${port}/health').then((a) => a.json()).then((a) => console.log(a.status), () => process.exit(1))"`;
  const alive = (agent: string) =>
    `leveredge agents --json | tr -d ' \\n' | grep -o '"agent":"${agent.toUpperCase()}","state":"[a-z_]*"' | grep alive`;

  async function untilAllRun(): Promise<void> {
    await on.until(health(8099));
    for (const agent of agents) await on.until(alive(agent));
  }
  const pidOf = (unit: string) => well(`systemctl show --property=MainPID --value ${unit}`);

  before(async () => {
    on = await installProgram();
  });
  after(() => on?.end());

  it('says what it would do, and does nothing', async () => {
    const before = await well('getent passwd; ls -R /etc/systemd/system /usr/local/bin /opt');
    const steps = await on.init(0, '--start --dry-run');
    assert.deepEqual([...new Set(steps.map(({ state }) => state))].sort(), ['not yet', 'there', 'would do']);
    assert.equal(await well('getent passwd; ls -R /etc/systemd/system /usr/local/bin /opt'), before);
  });

  it('makes all of it, and starts bus and agents as users who can do little else', async () => {
    const steps = await on.init(0, '--start');
    assert.deepEqual(
      steps.flatMap(({ kind, name, state }) => (state === 'done' || kind === 'reach' ? [] : `${state}: ${name}`)),
      notYet.map((name) => `not yet: ${name}`),
    );
    await untilAllRun();
    const users = { 'event-bus': 'leveredge', atlas: 'leveredge-atlas', chronos: 'leveredge-recovery' };
    for (const [unit, user] of Object.entries({ ...users, hades: 'leveredge-recovery' }))
      assert.equal(await well(`stat -c %U /proc/${await pidOf(unit)}`), user);
    for (const name of [...services, ...bots]) {
      await well(`systemd-analyze security --threshold=20 ${name}.service`);
      await well(`systemd-analyze security --offline=yes --threshold=20 /etc/systemd/system/${name}.service`);
    }
    await well(`systemd-analyze verify --man=no ${bySystemd.map((unit) => `/etc/systemd/system/${unit}`).join(' ')}`);
    const secrets = await well(
      `stat -c '%a %U %n' ${home}/shared/credentials/*.token ${home}/shared/credentials/*.key`,
    );
    for (const line of secrets.split('\n'))
      assert.match(
        line,
        /^600 leveredge(-atlas .*\/ATLAS|-recovery .*\/(CHRONOS|HADES)| .*\/(owner|event-bus-audit))\.(token|key)$/,
      );
    assert.equal(await well(`ls ${home}/shared/credentials | wc -l`), '6');
    for (const command of ['publish deploy_started --target dev', 'backup'])
      await well(`cd / && runuser -u leveredge -- leveredge ${command}`);
  });

  it('leaves an agent no way to the database and the tokens', async () => {
    const pid = await pidOf('hades');
    const within = (command: string) =>
      on.machine.sh(
        `nsenter -t ${pid} -m setpriv --reuid=leveredge-recovery --clear-groups --ambient-caps=+dac_read_search --inh-caps=+dac_read_search ${command}`,
      );
    assert.equal((await within(`cat ${home}/gaia/config.yaml`)).exit, 0);
    assert.notEqual((await within(`cat ${home}/shared/credentials/owner.token`)).exit, 0);
    assert.notEqual((await within(`touch ${home}/gaia/config.yaml`)).exit, 0);
    const as = (user: string, command: string) => on.machine.sh(`runuser -u ${user} -- ${command}`);
    assert.notEqual((await as('leveredge-atlas', `cat ${home}/control-plane/event-bus/events.db`)).exit, 0);
    const ask = `node -e "const c = require('net').connect('/run/leveredge/gaia.sock'); c.on('error', () => process.exit(7)); c.on('connect', () => process.exit(0))"`;
    assert.equal((await as('leveredge-atlas', ask)).exit, 7);
    assert.equal((await as('leveredge-recovery', ask)).exit, 0);
  });

  it('changes nothing the second time', async () => {
    const before = await facts();
    const steps = await on.init(0, '--start');
    assertNothingToDo(steps);
    assert.equal(await facts(), before);
  });

  it('does by itself what the schedule says, each thing once', async () => {
    // A copy that somebody asked for counts as that of its hour.
    await well(`rm ${home}/shared/backups/event-bus/*.db`);
    on.machine.write(
      '/etc/systemd/system/chronos.service.d/soon.conf',
      '[Service]\nEnvironment=CHRONOS_BEGINS_AFTER_MS=1\n',
    );
    await well('systemctl daemon-reload && systemctl restart chronos');
    await on.until(`ls ${home}/shared/backups/event-bus/events-*-scheduled.db`);
    await on.until(`! chronos schedule --json | grep -E '"(due|FAILING|MISSING)"'`);
    await on.until(`test -z "$(find ${home}/shared/backups/.gaia/outbox -name '*.json')"`);
    const done = (await well("journalctl -u chronos -o cat | grep 'done by the schedule'")).split('\n');
    const causes = done.map((line) => /cause="([^"]+)"/.exec(line)?.[1]);
    assert.ok(
      causes.some((cause) => cause?.startsWith('schedule:prod:whole:')),
      done.join('\n'),
    );
    assert.equal(new Set(causes).size, causes.length, done.join('\n'));
  });

  it('has agents that back up and prepare a rollback through the units', async () => {
    await on.until('leveredge events --action backup_completed --json | grep -q pre-change');
    await well(`echo one >${home}/data-plane/dev/file`);
    const backup = JSON.parse(await well('chronos backup dev --json'));
    assert.match(backup.backup, /^dev-/);
    assert.match(await well(`stat -c '%U %n' ${home}/shared/backups/dev/*.tar.zst`), /^root /);
    await well(`echo two >${home}/data-plane/dev/file`);
    const rolling = on.machine.sh('hades rollback dev --json');
    await on.until('leveredge pending --json | grep -q "Roll dev back"');
    const [pending] = JSON.parse(await well('leveredge pending --json')).pending as { id: string }[];
    await well(`leveredge answer ${pending?.id} yes`);
    const rolled = await rolling;
    assert.equal(rolled.exit, 0, rolled.stdout + rolled.stderr);
    assert.equal(await well(`cat ${home}/data-plane/dev/file`), 'one');
  });

  it('starts an agent again that was killed', async () => {
    for (const name of agents) {
      const pid = await pidOf(name);
      await well(`kill -9 ${pid}`);
      await on.until(
        `test "$(systemctl show -P MainPID ${name})" -gt 0 && test "$(systemctl show -P MainPID ${name})" != ${pid}`,
      );
      await on.until(alive(name));
    }
  });

  it('has everything again after a reboot', async () => {
    await on.machine.reboot();
    await untilAllRun();
    assert.match(await well('leveredge events --action deploy_started --json'), /"deploy_started"/);
    assert.match(await well('chronos list --target dev --json'), /"dev-\d/);
  });

  it('is backed up and restored by the configuration that it wrote, bus and agents stopped and started', async () => {
    // As on a bare machine, where the unit is there again and its secrets are not.
    await well('systemctl enable -q leveredge-telegram && gaia backup full');
    const done = JSON.parse(await well('gaia restore control-plane --yes --json'));
    assert.deepEqual([done.outcome, done.health], ['committed', 'proven']);
    await untilAllRun();
    await well('systemctl disable -q leveredge-telegram');
    assertNothingToDo(await on.init(0, '--start'));
  });

  it('works where the bus asks for tokens', async () => {
    on.machine.write(`${home}/config/leveredge.yaml`, 'bus: { auth: required }\n');
    await well(`systemctl restart ${services.map((name) => `${name}.service`).join(' ')}`);
    await untilAllRun();
    assert.match(await well('chronos list --json'), /"dev-\d/);
  });

  it('writes units of a user, which say that they are weaker', async () => {
    await well('useradd --create-home --home-dir /srv/other other && loginctl enable-linger other');
    await well('until systemctl is-active -q user@$(id -u other); do sleep 0.1; done');
    on.machine.write('/srv/other/le/config/leveredge.yaml', 'bus: { port: 8098 }\n');
    await well('chown -R other: /srv/other');
    const as = 'XDG_RUNTIME_DIR=/run/user/$(id -u other) HOME=/srv/other runuser -u other --';
    await on.init(0, '--home /srv/other/le --start', as);
    await on.until(health(8098));
    for (const name of services)
      assert.match(await well(`cat /srv/other/.config/systemd/user/${name}.service`), /Weaker than/);
    await well('echo mine >/srv/other/le/data-plane/dev/file');
    const backup = JSON.parse(await well(`${as} env LEVEREDGE_HOME=/srv/other/le chronos backup dev --json`));
    assert.match(backup.backup, /^dev-/);
  });
});
