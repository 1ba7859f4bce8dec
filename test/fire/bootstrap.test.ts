import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { type Engine, startEngine } from './docker.fixtures.ts';
import { type Machine, noMachine, startMachine } from './machine.fixtures.ts';
import { makeMirror, mirrorSource } from './mirror.fixtures.ts';

const missing = noMachine();
if (missing !== undefined) console.log(`NOT RUN: the fire drill needs a machine in a container: ${missing}`);

const home = '/opt/leveredge';
const script = join(import.meta.dirname, '../../deploy/scripts/bootstrap.sh');
const packages = [
  'zstd',
  'openssl',
  'age',
  'cron',
  'docker.io',
  'docker-compose',
  'sqlite3',
  'libatomic1',
  'libstdc++6',
];

const config = `restore_targets:
  control-plane: { health: none }
  data-plane:
    prod:
      compose: compose.yml
      databases: [ { name: shop, engine: sqlite, path: shop.db } ]
      health: { endpoints: [ { name: web, url: "http://127.0.0.1:8080/page" } ], within_seconds: 60, consecutive: 2 }
    dev:
      units: [ { name: app.service, user: owner }, watch.service ]
      health: { endpoints: [ { name: app, url: "http://127.0.0.1:8081/page" } ], within_seconds: 30, consecutive: 2 }
`;
const compose = `version: "3"
services:
  web:
    build: ./web
    command: ["/busybox", "httpd", "-f", "-p", "127.0.0.1:8080", "-h", "/site"]
    network_mode: host
    restart: always
    stop_grace_period: 1s
    volumes: ["./site:/site"]
`;
const unit = (command: string, target: string) => `[Service]\nExecStart=${command}\n\n[Install]\nWantedBy=${target}\n`;

describe('the fire drill', { skip: missing !== undefined, timeout: 1_800_000 }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'fire-drill-'));
  const dist = join(folder, 'dist');
  const kept = join(folder, 'kept');
  const volumes = [`${join(folder, 'mirror')}:/mirror:ro`, '/var/lib/docker'];
  let engine: Engine;
  let old: Machine | undefined;
  let machine: Machine | undefined;

  /** What must be the same on both: files with owners and modes, rows, users, units, crontabs, secrets. */
  const facts = (on: Machine) =>
    on.well(
      [
        `cd ${home}`,
        "find control-plane data-plane gaia shared/credentials ! -name 'RESTORED.json' ! -name 'shop.db*' ! -path '*/gaia/bin*' -printf '%p %y %m %U:%G %l\\n' | sort",
        "find control-plane data-plane gaia shared/credentials -type f ! -name 'RESTORED.json' ! -name 'shop.db*' ! -path '*/gaia/bin*' -exec sha256sum {} + | sort -k2",
        "sqlite3 data-plane/prod/shop.db 'SELECT count(*), sum(price) FROM item'",
        'getent passwd owner; id owner; ls /var/lib/systemd/linger',
        "find /var/lib/owner -printf '%p %U:%G\\n' | grep -v '/\\.\\(bash\\|profile\\)' | sort",
        'cat /etc/systemd/system/watch.service /var/lib/owner/.config/systemd/user/app.service',
        'systemctl is-active watch.service; systemctl is-enabled watch.service',
        'systemctl --user --machine=owner@.host is-active app.service',
        'systemctl --user --machine=owner@.host is-enabled app.service',
        'crontab -u owner -l',
        "docker ps --format '{{.Names}} {{.Status}}' | cut -d' ' -f1,2",
      ].join('; '),
    );

  before(async () => {
    engine = await startEngine();
    execFileSync(process.execPath, [join(import.meta.dirname, '../../tools/build.ts'), dist], { stdio: 'pipe' });
    makeMirror(join(folder, 'mirror'), packages);
    old = await startMachine(dist, { volumes });
    await fill(old);
  });
  after(async () => {
    await engine?.end();
    rmSync(folder, { recursive: true, force: true });
  });

  async function fill(on: Machine): Promise<void> {
    on.write('/etc/apt/sources.list', mirrorSource);
    await on.well(
      'apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends ' +
        packages.join(' '),
    );
    await on.well('systemctl start docker');
    const put = (path: string, text: string) => on.write(`${home}/${path}`, text);
    put('gaia/config.yaml', config);
    put('control-plane/notes', 'what only the control plane knows\n');
    put('shared/credentials/token', 'a secret\n');
    put('data-plane/prod/compose.yml', compose);
    put('data-plane/prod/web/Dockerfile', 'FROM scratch\nCOPY busybox /busybox\n');
    put('data-plane/prod/site/page', 'prod is well\n');
    put('data-plane/dev/site/page', 'dev is well\n');
    const busybox = execFileSync('sh', ['-c', 'command -v busybox'], { encoding: 'utf8' }).trim();
    for (const at of ['data-plane/prod/web/busybox', 'data-plane/dev/busybox'])
      execFileSync('docker', ['cp', busybox, `leveredge-test-machine:${home}/${at}`]);
    await on.well(`mkdir -p ${home}/gaia/bin && cp /usr/local/bin/gaia ${home}/gaia/bin/gaia`);
    await on.well(`chmod 600 ${home}/shared/credentials/token`);
    await on.well(
      `cd ${home}/data-plane/prod && sqlite3 shop.db 'CREATE TABLE item AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500) SELECT i AS id, i * 3 AS price FROM n'`,
    );
    await on.well(
      'useradd --uid 1001 --create-home --home-dir /var/lib/owner --shell /bin/sh owner && loginctl enable-linger owner',
    );
    await on.well(`chown -R owner: ${home}/data-plane/dev`);
    const own = '/var/lib/owner/.config/systemd/user';
    on.write(
      `${own}/app.service`,
      unit(
        `${home}/data-plane/dev/busybox httpd -f -p 127.0.0.1:8081 -h ${home}/data-plane/dev/site`,
        'default.target',
      ),
    );
    on.write('/etc/systemd/system/watch.service', unit('/bin/sleep infinity', 'multi-user.target'));
    await on.well('chown -R owner: /var/lib/owner/.config');
    await on.well("printf '5 4 * * * /bin/true\\n' | crontab -u owner -");
    for (let n = 0; (await on.sh('systemctl --user --machine=owner@.host is-system-running')).exit !== 0 && n < 50; n++)
      await pause(200);
    await on.well(
      'systemctl --user --machine=owner@.host daemon-reload && systemctl --user --machine=owner@.host enable --now app.service',
    );
    await on.well('systemctl daemon-reload && systemctl enable --now watch.service');
    await on.well(`cd ${home}/data-plane/prod && docker-compose up -d --build`);
  }

  /** Takes the backups and the kit off the machine, as a person would with a disk. */
  function carry(from: string, what: string): void {
    rmSync(join(kept, what), { recursive: true, force: true });
    mkdirSync(kept, { recursive: true });
    execFileSync('docker', ['cp', `leveredge-test-machine:${from}`, join(kept, what)]);
  }

  /** A machine that has nothing but Debian, the mirror, and what was carried off. */
  async function bare(): Promise<Machine> {
    machine?.destroy();
    mkdirSync(join(kept, 'script'), { recursive: true });
    cpSync(script, join(kept, 'script', 'bootstrap.sh'));
    chmodSync(kept, 0o755);
    machine = await startMachine(dist, { bare: true, volumes: [...volumes, `${kept}:/mnt:ro`] });
    machine.write('/etc/apt/sources.list', mirrorSource);
    assert.notEqual((await machine.sh('command -v gaia || command -v docker || command -v zstd')).exit, 0);
    return machine;
  }

  it('rebuilds a machine that was destroyed from its backups and the kit, encrypted, stopped in the middle', async (t) => {
    const first = old as Machine;
    await first.well('mkdir /var/usb && gaia key new /var/usb/recovery-key.txt');
    await first.well('gaia kit --identity /var/usb/recovery-key.txt --out /var/usb');
    const made = await first.gaia('backup full');
    assert.equal(made.exit, 0, made.stdout + made.stderr);
    const before = await facts(first);
    carry(`${home}/shared/backups`, 'backups');
    carry('/var/usb', 'usb');
    // What the machine itself knows of its backups stays behind, too.
    rmSync(join(kept, 'backups', '.gaia'), { recursive: true, force: true });
    rmSync(join(kept, 'usb', 'recovery-key.txt'));
    first.destroy();
    old = undefined;

    const here = await bare();
    const words = 'sh /mnt/script/bootstrap.sh --backups /mnt/backups --kit /mnt/usb/recovery-kit.txt';
    const dry = await here.sh(`${words} --dry-run`);
    assert.equal(dry.exit, 0, dry.stdout + dry.stderr);
    assert.match(dry.stdout, /to install: zstd/);
    assert.equal(
      (await here.sh(`ls ${home} /usr/local/bin`)).stdout.trim(),
      '/usr/local/bin:',
      'a dry run made something',
    );
    const unasked = await here.sh(words);
    assert.equal(unasked.exit, 2, unasked.stdout + unasked.stderr);
    // Killed with everything below it, in the middle of a restore.
    await here.well(`cat >/tmp/go <<'E'\n${words} --yes >/tmp/out 2>&1\nE\n:`);
    await here.well('systemd-run --quiet --unit=rebuild sh /tmp/go');
    for (let n = 0; n < 1200; n++) {
      if ((await here.sh(`ls -d ${home}/data-plane/.gaia-stage-* || grep -q 'bootstrap.sh:' /tmp/out`)).exit === 0)
        break;
      await pause(50);
    }
    await here.sh(
      'systemctl kill --signal=KILL rebuild.service; kill -9 $(grep -lx gaia /proc/[0-9]*/comm | cut -d/ -f3); :',
    );
    const said = (await here.sh('cat /tmp/out')).stdout;
    assert.match(said, /control-plane: restored/);
    assert.doesNotMatch(said, /dev: restored|bootstrap\.sh:/);
    const began = performance.now();
    const done = await here.sh(`${words} --yes`);
    assert.equal(done.exit, 0, done.stdout + done.stderr);
    t.diagnostic(`the second start took ${((performance.now() - began) / 1000).toFixed(1)} s`);
    await here.well('DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends sqlite3');
    assert.equal(await facts(here), before);
    const again = await here.sh(`${words} --yes`);
    assert.equal(again.exit, 0, again.stdout + again.stderr);
    assert.match(again.stdout, /prod: restored already/);
    assert.equal((await here.gaia('verify latest --identity /mnt/usb/recovery-kit.txt')).exit, 0);
    const next = await here.gaia('backup full');
    assert.equal(next.exit, 0, next.stdout + next.stderr);
    assert.doesNotMatch(next.stderr, /conflict|does not belong/);
  });
});
