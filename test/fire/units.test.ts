import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, describe, it } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { buildSync } from 'esbuild';
import { run } from '../recovery/gaia.fixtures.ts';
import { type Engine, startEngine } from './docker.fixtures.ts';
import { type Machine, noMachine, startMachine } from './machine.fixtures.ts';

const missing = noMachine();
if (missing !== undefined)
  console.log(`NOT RUN: restores with units of systemd need a machine in a container: ${missing}`);

/** Where GAIA looks for its home when nobody says. */
const home = '/opt/leveredge';
const root = `${home}/data-plane/dev`;
const config = `${home}/gaia/config.yaml`;
const usersHome = '/var/lib/owner';
const starts = '/var/log/starts';

/**
 * Serves the page of the folder that it was started in, also when that folder has another name meanwhile. It does not start on
 * a folder that says that it is broken.
 */
const server = `import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
const [, , name, port, folder] = process.argv;
appendFileSync('${starts}', name + '\\n');
process.chdir(folder);
if (existsSync('broken')) { console.log(name + ' cannot work with what it found'); process.exit(3); }
createServer((_, answer) => answer.end(readFileSync('page'))).listen(Number(port), '127.0.0.1');
`;
const unit = (name: string, port: number, more: string, target: string) => `[Service]
ExecStart=/usr/local/bin/node /opt/server.mjs ${name} ${port} ${root}/${name}
${more}
[Install]
WantedBy=${target}
`;
const configText = (more = '', endpoints = '8001/') => `restore_targets:
  data-plane:
    dev:
      units: [ web.service, { name: bus.service, user: owner }, idle.service, tick.service${more} ]
      health: { endpoints: [ { name: web, url: "http://127.0.0.1:${endpoints}" } ], within_seconds: 5, consecutive: 2 }
`;

describe('a target with units of systemd', { skip: missing !== undefined, timeout: 1_800_000 }, () => {
  const dist = mkdtempSync(join(tmpdir(), 'fire-dist-'));
  let engine: Engine;
  let machine: Machine;
  const gaia = (words: string, env?: string) => machine.gaia(`${words} --config ${config}`, env);
  const page = (name: string, text: string) => machine.write(`${root}/${name}/page`, text);
  const asks =
    "Promise.all([8001, 8002].map((port) => fetch('http://127.0.0.1:' + port).then((a) => a.text(), () => 'nothing'))).then((all) => console.log(all.join(' | ')))";
  /** What the two pages say. */
  const pages = async () => (await machine.sh(`node -e "${asks}"`)).stdout.trim();
  /** As `active active inactive`: of the machine's, of the user's, and of the one that somebody stopped. */
  const states = async () => {
    const idle = await machine.sh('systemctl is-active web.service idle.service');
    const bus = await machine.sh('systemctl --user --machine=owner@.host is-active bus.service');
    const [web = '', stopped = ''] = idle.stdout.split('\n');
    return `${web} ${bus.stdout.trim()} ${stopped}`;
  };
  const holds = () => machine.well(`find /etc/systemd ${usersHome} -name '*gaia-restore*' -o -name '*.service.d'`);

  async function untilSay(text: string): Promise<void> {
    for (const end = performance.now() + 20_000; (await pages()) !== `${text} | ${text}`; await pause(100))
      assert.ok(performance.now() < end, `they say ${await pages()} instead of ${text}`);
  }

  async function exits(code: number, words: string): Promise<string> {
    const { exit, stdout, stderr } = await gaia(words);
    assert.equal(exit, code, `${words}: ${stdout}${stderr}`);
    return stdout + stderr;
  }

  async function requireUntouched(): Promise<void> {
    assert.equal(await states(), 'active active inactive');
    assert.equal(await holds(), '', 'a unit is still held');
  }

  before(async () => {
    const built = await run(process.execPath, [join(import.meta.dirname, '../../tools/build.ts'), dist], {});
    assert.equal(built.exit, 0, built.stderr);
    engine = await startEngine();
    machine = await startMachine(dist);
    machine.write('/opt/server.mjs', server);
    const always = 'Restart=always\nRestartSec=100ms';
    machine.write('/etc/systemd/system/web.service', unit('web', 8001, always, 'multi-user.target'));
    machine.write('/etc/systemd/system/idle.service', unit('idle', 8003, always, 'multi-user.target'));
    machine.write('/etc/systemd/user/bus.service', unit('bus', 8002, always, 'default.target'));
    const tick = '[Service]\nType=oneshot\nExecStart=/bin/sh -c "echo tick >>/var/log/ticks"\n';
    machine.write('/etc/systemd/system/tick.service', tick);
    machine.write(
      '/etc/systemd/system/tick.timer',
      '[Timer]\nOnCalendar=*:*:*\nAccuracySec=1ms\n[Install]\nWantedBy=timers.target\n',
    );
    machine.write(config, configText());
    for (const name of ['web', 'bus', 'idle']) page(name, 'first');
    await machine.well(`useradd -m -d ${usersHome} owner && useradd -m other && loginctl enable-linger owner
      touch ${starts} && chmod 666 ${starts} && systemctl daemon-reload
      systemctl enable -q --now web idle tick.timer && systemctl stop idle`);
    await machine.well(
      'until systemctl is-active -q user@$(id -u owner); do sleep 0.1; done; systemctl --user --machine=owner@.host enable -q --now bus',
    );
    await untilSay('first');
    await exits(0, 'backup dev');
  });

  beforeEach(async () => {
    await untilSay((await machine.well(`cat ${root}/web/page`)).trim());
    await requireUntouched();
  });

  after(async () => {
    await run('docker', ['rm', '-f', 'leveredge-test-machine']);
    await engine?.end();
    rmSync(dist, { recursive: true, force: true });
  });

  it('says in the plan what is stopped and started, and in the doctor what is there', async () => {
    assert.match(
      await exits(0, 'plan dev'),
      /Stops: {5}web\.service, and starts it again\n {2}Stops: {5}bus\.service of owner, and/,
    );
    assert.match((await gaia('doctor')).stdout, /services +dev: 4 units, of which a restore starts [23] again/);
  });

  it('is stopped, swapped, started and found well; what somebody stopped stays stopped', async () => {
    for (const name of ['web', 'bus']) page(name, 'changed');
    const done = JSON.parse((await gaia('restore dev --yes --json')).stdout);
    assert.deepEqual([done.outcome, done.health], ['committed', 'proven']);
    // From the restored folder, and not from the one that was put aside.
    await untilSay('first');
    await requireUntouched();
    assert.match(await exits(0, 'undo dev --yes'), /The state of before is back/);
    await untilSay('changed');
  });

  it('comes back when the folder is gone and its units have failed over that', async () => {
    await machine.well(
      `rm -r ${root} && systemctl kill -s KILL web && systemctl --user --machine=owner@.host kill -s KILL bus`,
    );
    await machine.well('until [ "$(systemctl is-active web)" = failed ]; do sleep 0.1; done');
    await exits(0, 'restore dev --yes');
    await untilSay('first');
  });

  it('goes back by itself when the new state is never well: exit 10, with the last lines of the unit that is not', async () => {
    await machine.well(`touch ${root}/web/broken`);
    await exits(0, 'backup dev');
    await machine.well(`rm ${root}/web/broken`);
    for (const name of ['web', 'bus']) page(name, 'good');
    const said = await exits(10, 'restore dev --yes');
    assert.match(said, /among the services, the unit web\.service (starts again and again|has failed)/);
    assert.match(said, /last lines of its services:\n(.*\n)*? {2}.*web cannot work with what it found/);
    await untilSay('good');
    await machine.well(`rm ${home}/shared/backups/dev/$(ls -t ${home}/shared/backups/dev | grep -m1 zst$)*`);
  });

  for (const [direction, point] of [
    ['forward', 'after quiesce done'],
    ['back', 'between the renames'],
  ] as const)
    it(`stays down over a kill -9 ${point} and a loss of power, until it is resumed ${direction}`, async () => {
      for (const name of ['web', 'bus']) page(name, 'before the crash');
      await machine.dieAt(point, `restore dev --yes --config ${config}`);
      assert.equal(await states(), 'inactive inactive inactive');
      const before = await machine.well(`cat ${starts} /var/log/ticks | wc -l`);
      await machine.reboot();
      // Even for somebody who asks for it.
      await machine.well('systemctl start web idle && sleep 2');
      assert.equal(await states(), 'inactive inactive inactive');
      assert.equal(await machine.well(`cat ${starts} /var/log/ticks | wc -l`), before, 'something began to work');
      await exits(0, `resume${direction === 'back' ? ' --back' : ''}`);
      await untilSay(direction === 'back' ? 'before the crash' : 'first');
      await requireUntouched();
    });

  it('ends whole and running after a kill -9 at points from the stop to the commit', async () => {
    const points = '/var/log/points';
    await machine.gaia(`restore dev --yes --here --config ${config}`, `GAIA_POINTS_TO=${points}`);
    const lines = (await machine.well(`cat ${points}`)).split('\n');
    const first = lines.findIndex((line) => line.endsWith('before quiesce begin'));
    const last = lines.findIndex((line) => line.endsWith('after commit begin'));
    assert.ok(first > 0 && last - first > 10, lines.join('\n'));
    // All of them take more than a minute.
    const step = process.env.EVERY_POINT === undefined ? 2 : 1;
    for (let at = first; at <= last; at += step) {
      const line = lines[at] as string;
      const [n = ''] = line.split(' ');
      const back = Math.floor((at - first) / step) % 2 === 1;
      for (const name of ['web', 'bus']) page(name, line);
      await machine.dieAt(n, `restore dev --yes --config ${config}`);
      await exits(0, `resume --here${back ? ' --back' : ''}`);
      const isNew = !back || /commit/.test(line);
      await untilSay(isNew ? 'first' : line);
      await requireUntouched();
    }
  });

  it('refuses before anything is touched what it could not stop and start', async () => {
    const said: string[] = [];
    const without = async (code: number, more: string, sentence: RegExp) => {
      machine.write(config, configText(more));
      for (const verb of ['plan dev', 'restore dev --yes']) said.push(await exits(code, verb));
      for (const text of said.slice(-2)) assert.match(text, sentence);
      assert.match((await gaia('doctor')).stdout, /WRONG +services +dev: /);
    };
    await without(5, ', gone.service', /There is no unit gone\.service here/);
    await without(5, ', { name: bus.service, user: nobody-here }', /There is no user nobody-here here/);
    await without(4, ', { name: bus.service, user: other }', /The systemd of other does not run/);
    assert.match(String(said.at(-1)), /loginctl enable-linger other/);
    machine.write(config, configText());
    const bare = await machine.sh(`unshare -m sh -c 'umount -l /run && gaia plan dev --config ${config}'`);
    assert.equal(bare.exit, 4, bare.stderr);
    assert.match(bare.stdout, /systemd does not run here/);
    assert.equal(await machine.well(`ls -a ${home}/data-plane | grep -c stage || true`), '0');
  });

  it('is stopped and started by the user whose units they are; those of the machine are not', async () => {
    const lab = `${usersHome}/lab`;
    const own = (units: string) => `backup_locations: { local: ${lab}/backups }
restore_targets: { data-plane: { lab: { root: ${lab}/data, health: none, units: [ ${units} ] } } }
`;
    machine.write(`${lab}/data/file`, 'first');
    machine.write(`${lab}/config.yaml`, own('{ name: bus.service, user: owner }'));
    await machine.well(`chown -R owner:owner ${lab}`);
    const as = (words: string, env = '') =>
      machine.sh(
        `cd / && ${env} setpriv --reuid=owner --regid=owner --init-groups gaia ${words} --config ${lab}/config.yaml`,
      );
    const ended = async (code: number, words: string) => {
      const { exit, stdout, stderr } = await as(words);
      assert.equal(exit, code, stdout + stderr);
      return stdout + stderr;
    };
    await ended(0, 'backup lab');
    machine.write(`${lab}/data/file`, 'changed');
    const started = Number(await machine.well(`grep -c bus ${starts}`));
    await ended(0, 'restore lab --yes');
    assert.equal(await machine.well(`cat ${lab}/data/file`), 'first');
    assert.equal(Number(await machine.well(`grep -c bus ${starts}`)), started + 1);
    await requireUntouched();
    machine.write(`${lab}/config.yaml`, own('web.service'));
    assert.match(await ended(3, 'restore lab --yes'), /Only root may stop and start units of the machine/);
  });

  it('keeps what starts containers of Podman with the machine from doing so, until it is over', async () => {
    const boot = join(dist, 'boot.mjs');
    buildSync({
      ...{ entryPoints: [join(import.meta.dirname, '../../src/recovery/restore/podman-boot.ts')], outfile: boot },
      ...{ bundle: true, platform: 'node', format: 'esm' },
    });
    machine.write('/opt/boot.mjs', readFileSync(boot, 'utf8'));
    const calls = (name: string) => machine.well(`node -e "import('/opt/boot.mjs').then((boot) => boot.${name}())"`);
    const started = () => machine.well('cat /var/log/podman-starts 2>/dev/null | wc -l');
    // As Podman brings it, but for what it starts.
    const start =
      '[Service]\nType=oneshot\nRemainAfterExit=true\nExecStart=/bin/sh -c "echo >>/var/log/podman-starts"\n';
    machine.write('/etc/systemd/system/podman-restart.service', `${start}[Install]\nWantedBy=default.target\n`);
    await machine.well('systemctl daemon-reload');
    // Where it is not enabled nothing starts containers, and nothing is held.
    await calls('holdPodmanBoot');
    assert.equal(await holds(), '');
    await machine.well('systemctl enable -q --now podman-restart.service');
    assert.equal(await started(), '1');
    await calls('holdPodmanBoot');
    assert.match(await holds(), /podman-restart\.service\.d/);
    await machine.reboot();
    assert.equal(await started(), '1', 'containers would have started on half a tree');
    await calls('releasePodmanBoot');
    assert.equal(await started(), '2');
    await machine.reboot();
    assert.equal(await started(), '3');
    await calls('releasePodmanBoot');
    assert.equal(await started(), '3');
    await machine.well(
      'systemctl disable -q --now podman-restart.service && rm /etc/systemd/system/podman-restart.service',
    );
    assert.equal(await holds(), '');
  });
});
