import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { noMachine } from './machine.fixtures.ts';
import { makePhoneServer, type PhoneServer } from './phone-server.fixtures.ts';
import { noServer } from './postgres.fixtures.ts';
import { home, reaches } from './whole-machine.fixtures.ts';
import { requireKept, startWriter, type Writer } from './writers.fixtures.ts';

const missing = noMachine() ?? noServer();
if (missing !== undefined)
  console.log(`NOT RUN: the emergency bot on a server needs a machine in a container, and PostgreSQL: ${missing}`);

const units = ['gaia-runner', 'gaia-emergency'] as const;
const services = ['event-bus', 'atlas', 'chronos', 'hades'];
const prod = `${home}/data-plane/prod`;
const words = '/srv/words';
/** More than the minute before a restore, and the restore. */
const restoreMs = 180_000;

/** Looks all the time whether one of the words is an argument of a process or in its environment. */
const watcher = `[Service]
ExecStart=/bin/sh -c 'while sleep 0.1; do grep -laFf ${words} /proc/[0-9]*/cmdline /proc/[0-9]*/environ >>/var/log/found 2>/dev/null; done'
Restart=always
[Install]
WantedBy=multi-user.target
`;

describe('the emergency bot on a server', { skip: missing !== undefined, timeout: 1_800_000 }, () => {
  let on: PhoneServer;
  const writers: { postgres?: Writer; sqlite?: Writer } = {};
  let begunMs = 0;
  let facts = '';

  const well = (command: string) => on.machine.well(command);
  const pidOf = (unit: string) => well(`systemctl show --property=MainPID --value ${unit}`);
  async function until(command: string): Promise<void> {
    for (const end = performance.now() + 60_000; (await on.machine.sh(command)).exit !== 0; await pause(200))
      assert.ok(performance.now() < end, `never: ${command}`);
  }
  const runs = async () => Number(await well(`ls ${home}/shared/backups/.gaia/runs | wc -l`));

  async function ask(text: string, heard: RegExp, withinMs?: number): Promise<string> {
    on.mark();
    on.say(text);
    return (await on.heard(heard, withinMs)).text;
  }

  /** Files with owners and modes, and what only the restore can have brought back. */
  const factsOf = () =>
    well(`cd ${home}/data-plane
      find prod ! -name shop.db* ! -path '*/pgdata/*' ! -name RESTORED.json -printf '%p %y %m %U:%G\\n' | sort
      find prod -type f ! -name shop.db* ! -path '*/pgdata/*' ! -name RESTORED.json -exec sha256sum {} + | sort -k2
      sqlite3 prod/shop.db 'SELECT count(*), sum(price) FROM item'
      echo 'SELECT * FROM credentials_entity; SELECT * FROM workflow_entity' | ${reaches.postgres.shell}`);

  async function breakProd(): Promise<void> {
    await well(`cd ${prod} && rm -r site/page n8n/data && echo garbage >shop.db && echo stray >site/stray`);
    await well(`echo 'DROP TABLE kept; DROP TABLE credentials_entity' | ${reaches.postgres.shell}`);
    await well('docker rm -f prod_n8n_1');
  }

  /** All of it is as it was, is well, and has every row that was acknowledged before the backup. */
  async function requireWell(): Promise<string> {
    assert.equal(await factsOf(), facts);
    const up = await well("docker ps --format '{{.Names}} {{.Status}}' | cut -d' ' -f1,2 | sort");
    assert.equal(up, 'prod_db_1 Up\nprod_n8n_1 Up\nprod_web_1 Up');
    const postgres = await requireKept(on.machine, reaches.postgres, writers.postgres as Writer, begunMs);
    const sqlite = await requireKept(on.machine, reaches.sqlite, writers.sqlite as Writer, begunMs);
    return `${postgres} transactions in PostgreSQL and ${sqlite} in SQLite are there; nothing acknowledged is missing`;
  }

  before(async () => {
    on = await makePhoneServer();
  });
  after(() => on?.end());

  it('is set up word for word as its page says, and answers its owner and nobody else', async () => {
    await on.setUp();
    const { secret, backupCodes } = on.phone;
    assert.equal(backupCodes.length, 10);
    const spaced = secret.match(/.{4}/g)?.join(' ');
    on.machine.write(words, `${[on.token, secret, spaced, ...backupCodes].join('\n')}\n`);
    on.machine.write('/etc/systemd/system/watcher.service', watcher);
    await well(`chmod 600 ${words} && systemctl enable --now --quiet watcher`);
    on.say('/start', 'stranger');
    await ask('/start', /GAIA on .*\n(.*\n)*\/restore prod/);
    await until("journalctl -u gaia-emergency -o cat | grep -q 'not listed, and got no answer user=5550002'");
    assert.deepEqual(on.telegram.said({ bot: 'emergency', as: 'stranger' }), []);
    assert.match((await on.machine.gaia('doctor')).stdout, /ok +phone +restores by phone are set up, 1 person may ask/);
    for (const unit of units) assert.equal(await well(`systemctl show -P NRestarts ${unit}`), '0', unit);
  });

  it('is hardened, and its user can read neither secret, token, configuration nor backups', async (t) => {
    await well(
      `systemd-analyze verify --man=no ${units.map((unit) => `/etc/systemd/system/${unit}.service`).join(' ')}`,
    );
    for (const [unit, threshold] of [
      ['gaia-emergency.service', 20],
      ['gaia-runner.service', 65],
    ] as const)
      t.diagnostic((await well(`systemd-analyze security --threshold=${threshold} ${unit} | tail -1`)).slice(2));
    assert.equal(await well('systemctl show -P MemoryDenyWriteExecute gaia-emergency'), 'yes');
    const pid = await pidOf('gaia-emergency');
    assert.equal(await well(`stat -c %U /proc/${pid}`), 'gaia-bot');
    assert.match(await well(`tr '\\0' ' ' </proc/${pid}/environ`), /--permission --allow-net /);
    const tries = [
      ...[
        '.2fa_secret',
        '.2fa_backup_codes',
        '.telegram_token',
        '.authorized_users',
        'config.yaml',
        '.signing_key',
      ].map((name) => `cat ${home}/gaia/${name}`),
      `ls ${home}/shared/backups/prod`,
      `ls ${home}/shared/backups/.gaia/emergency`,
      `cat ${home}/shared/credentials/owner.token`,
      `cat ${home}/control-plane/event-bus/events.db`,
      `touch ${home}/shared/emergency/replies/x`,
      `touch ${home}/shared/emergency/x`,
      `mv ${home}/shared/emergency/requests ${home}/shared/emergency/other`,
      'docker ps',
      'systemctl restart gaia-runner',
    ];
    await well(`gaia backup control-plane && touch ${home}/shared/backups/prod`);
    for (const command of tries) {
      const { exit, stderr } = await on.machine.sh(`runuser -u gaia-bot -- ${command}`);
      assert.notEqual(exit, 0, command);
      assert.match(stderr, /[Pp]ermission denied|interactive authentication|Access denied/i, command);
    }
    await well(`runuser -u gaia-bot -- touch ${home}/shared/emergency/requests/.x`);
    // And in the room of its own process not even root could.
    for (const path of [
      `${home}/gaia/config.yaml`,
      `${home}/gaia/.2fa_secret`,
      `${home}/shared/backups/.gaia/lock.json`,
    ])
      assert.notEqual((await on.machine.sh(`nsenter -t ${pid} -m cat ${path}`)).exit, 0, path);
    const without = await on.machine.sh(
      `cd / && runuser -u gaia-bot -- env CREDENTIALS_DIRECTORY=/var/empty gaia bot --spool ${home}/shared/emergency`,
    );
    assert.deepEqual([without.exit, /systemd has not handed over/.test(without.stderr)], [5, true], without.stderr);
  });

  it('lists, backs up, tries, prints and takes back, beside those who write', async () => {
    writers.postgres = startWriter(reaches.postgres);
    writers.sqlite = startWriter(reaches.sqlite);
    await pause(1_000);
    const made = await ask('/backup prod', /backup prod: (done|FAILED)\n/);
    const [, name = ''] = /(prod-[\d-]+)\.tar\.zst\n/.exec(made) ?? [];
    const manifest = await well(`cat ${home}/shared/backups/prod/${name}.manifest.json`);
    begunMs = Date.parse((JSON.parse(manifest) as { created_at: string }).created_at);
    await writers.postgres.end();
    await writers.sqlite.end();
    assert.ok(writers.postgres.acknowledgedBy(begunMs) > 0 && writers.sqlite.acknowledgedBy(begunMs) > 0);
    facts = await factsOf();
    assert.match(await ask('/backup dev', /backup dev: (done|FAILED)\n/), /done/);
    assert.match(await ask('/list', /Newest backups/), new RegExp(`${name}.*\n.*sound`));
    assert.match(await ask('/drill prod', /drill prod: (done|FAILED)\n/, 120_000), /done\n.*came back in/);
    assert.match(await ask('/runbook prod', /#!\/bin\/sh/), new RegExp(name));
    await ask('/restore prod', /Restore prod\?/);
    await ask('/cancel', /restore prod: cancelled/);
    await ask('/restore prod', /Restore prod\?/);
    on.say(on.phone.backupCodes[0] as string);
    const waits = await on.heard(/restore prod: waits\n.*begins in 1 min.*\n.*9 are left/);
    on.telegram.tap(waits.message_id, 'Stop', { bot: 'emergency' });
    await on.heard(/restore prod: cancelled/);
    assert.equal(await runs(), 0);
  });

  it('brings prod back when bus, agents and n8n are dead and its rows and files are gone', async (t) => {
    for (const service of services)
      await well(`systemctl kill -s KILL ${service}; systemctl disable -q --now ${service}`);
    await well(
      `rm ${services.map((name) => `/etc/systemd/system/${name}.service`).join(' ')} && systemctl daemon-reload`,
    );
    await breakProd();
    await well('systemctl stop -q docker.socket docker');
    const asks = await ask('/restore prod', /Restore prod\?/);
    assert.match(asks, /Docker did not run, and was started\.\n+prod from prod-.*\n.*digest [0-9a-f]{16}\n.*taken /);
    const beganMs = performance.now();
    on.say(await on.code());
    await on.heard(/restore prod: waits\n.*begins in 1 min/);
    const shown = new Set<string>();
    const look = setInterval(() => {
      for (const { text } of on.telegram.said({ bot: 'emergency' }))
        if (/restore prod: runs\nprod: /.test(text)) shown.add(text);
    }, 100);
    await on.heard(/restore prod: done\n.*in its place/, restoreMs).finally(() => clearInterval(look));
    t.diagnostic(
      `from the code to the end: ${((performance.now() - beganMs) / 1000).toFixed(1)} s, of it 60 to say Stop`,
    );
    assert.ok(shown.size > 1, [...shown].join('\n'));
    t.diagnostic(await requireWell());
    assert.match(await well('journalctl --no-pager -o cat _PID=1'), /Started gaia-2\S+\.service - \S+gaia __run /);
  });

  /** Stops the process of the next restore as soon as something is there, and answers its number. */
  function stopped(there: string): Promise<string> {
    return well(`timeout 100 sh -c 'until set -- ${there} && [ -e "$1" ]; do sleep 0.01; done
      pid=$(systemctl show -P MainPID "gaia-2*.service") && kill -STOP $pid && echo $pid'`);
  }

  it('comes through a loss of power in the waiting minute, and a kill -9 of bot and runner in the restore', async (t) => {
    await breakProd();
    const before = await runs();
    await ask('/restore prod', /Restore prod\?/);
    on.say(on.phone.backupCodes[1] as string);
    await on.heard(/restore prod: waits\n.*begins in 1 min/);
    await on.reboot();
    await on.heard(/restore prod: waits\nThe runner was started anew\. It begins in 1 min/);
    const run = await stopped(`${home}/data-plane/.gaia-stage-*`);
    const pids = await Promise.all(units.map(pidOf));
    await well(`kill -9 ${pids.join(' ')}`);
    for (const [n, unit] of units.entries())
      await until(`new=$(systemctl show -P MainPID ${unit}) && [ $new != 0 ] && [ $new != ${pids[n]} ]`);
    await well(`kill -CONT ${run}`);
    await on.heard(/restore prod: done\n.*in its place/, restoreMs);
    t.diagnostic(await requireWell());
    await pause(2_000);
    const ends = on.telegram
      .said({ bot: 'emergency' })
      .filter(({ text }) => /restore prod: done\n.*in its place/.test(text));
    // With the one of the test before.
    assert.deepEqual([ends.length, await runs()], [2, before + 1]);
  });

  it('finishes by itself a restore in whose middle the power was lost', async () => {
    await well(`echo changed >${home}/data-plane/dev/site/page`);
    const before = await runs();
    await ask('/restore dev', /Restore dev\?/);
    const run = stopped(`${home}/data-plane/.gaia-stage-*`);
    on.say(await on.code());
    await run;
    await on.reboot();
    await on.heard(/restore dev: done\n.*in its place/);
    assert.equal(await well(`cat ${home}/data-plane/dev/site/page`), 'dev is well');
    await until('systemctl --user --machine=owner@.host is-active app.service && systemctl is-active watch.service');
    assert.equal(await runs(), before + 1);
  });

  it('has had token, secret and codes in no argument, no environment, no log and no file beside their own', async (t) => {
    await until('systemctl is-active watcher');
    assert.equal(await well('cat /var/log/found || true'), '');
    // That it would have seen them:
    await well(`sh -c 'sleep 2; : "$1"' sh "$(head -1 ${words})"`);
    assert.match(await well('cat /var/log/found'), /cmdline/);
    assert.equal((await on.machine.sh(`journalctl -o export --no-pager | grep -aqFf ${words}`)).exit, 1);
    const places = `/var/log/journal /run/log ${home}/shared/backups/.gaia ${home}/shared/emergency ${home}/monitoring`;
    assert.equal(await well(`grep -rlaFf ${words} ${places} 2>/dev/null || true`), '');
    const pid = await pidOf('gaia-emergency');
    const rollup = await well(`grep -E '^(Rss|Pss_Anon):' /proc/${pid}/smaps_rollup`);
    const [rss = 0, own = 0] = [...rollup.matchAll(/(\d+) kB/g)].map(([, kib]) => Number(kib) * 1024);
    const charged = Number(await well('systemctl show -P MemoryCurrent gaia-emergency'));
    t.diagnostic(
      `the bot takes ${mib(own)} MiB of its own, ${mib(charged)} with what the kernel keeps for it; RSS ${mib(rss)}`,
    );
    // RSS counts pages of the program's file, of which the kernel maps more or fewer, as they lie in its cache.
    assert.ok(own < 40 * 1024 ** 2 && charged < 70 * 1024 ** 2, rollup);
  });

  const mib = (bytes: number) => (bytes / 1024 / 1024).toFixed(0);
});
