import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { installedHome as home, type Installed, installProgram } from './installed.fixtures.ts';
import { noMachine } from './machine.fixtures.ts';

const missing = noMachine();
if (missing !== undefined)
  console.log(`NOT RUN: the schedule under its units needs a machine in a container: ${missing}`);

const copies = `${home}/shared/backups/event-bus`;
const outbox = `${home}/shared/backups/.gaia/outbox`;
const notes = '/var/lib/leveredge-chronos';

describe('CHRONOS by its schedule, as a unit without rights', { skip: missing !== undefined, timeout: 900_000 }, () => {
  let on: Installed;
  const well = (command: string) => on.machine.well(command);

  /** What CHRONOS has said of backups: target and what is in them. */
  async function made(): Promise<string[]> {
    const lines = (await well('leveredge events --action backup_completed --json')).split('\n');
    return lines
      .map((line) => JSON.parse(line))
      .map(({ source_agent, target, details }) => `${source_agent} ${target} ${details.contents}`)
      .sort();
  }

  /** As GAIA leaves it where there is no bus. */
  function leave(id: string): void {
    const details = { happened_at: '2026-01-01T00:00:00.000Z' };
    const event = { id, source_agent: 'GAIA', action: 'drill_completed', target: 'dev', details };
    on.machine.write(`${outbox}/20260101T000000000Z-${id}.json`, JSON.stringify(event));
  }

  before(async () => {
    on = await installProgram();
    await on.init(0, '');
    // A drill of everything takes longer than anyone waits here.
    await well(`echo 'schedule: { drill: off }' >>${home}/gaia/config.yaml && echo one >${home}/data-plane/dev/file`);
    on.machine.write(
      '/etc/systemd/system/chronos.service.d/at-once.conf',
      '[Service]\nEnvironment=CHRONOS_BEGINS_AFTER_MS=1\n',
    );
    await well('systemctl daemon-reload');
    await on.init(0, '--start');
  });
  after(() => on?.end());

  it('does all that is due, and tells of each backup once', async () => {
    // One after the other, with a pause after each.
    for (const target of ['control-plane', 'prod', 'dev', 'event-bus'])
      await on.until(`leveredge events --action backup_completed --json | grep -q '"target":"${target}"'`);
    await on.until(`chronos schedule | grep -q 'ok$' && ! chronos schedule | grep -E 'due$|FAILING|MISSING'`);
    assert.deepEqual(await made(), [
      'CHRONOS control-plane whole',
      'CHRONOS dev whole',
      'CHRONOS event-bus copy',
      'CHRONOS prod whole',
    ]);
    const shown = await well('chronos schedule');
    assert.match(shown, /^event-bus\s+copy\s+hourly\s+\S+\s+\S+\s+ok$/m);
    for (const what of ['whole', 'verify', 'prune']) assert.match(shown, new RegExp(`^dev\\s+${what}\\s.*ok$`, 'm'));
    assert.match(await well(`stat -c '%U' ${home}/shared/backups/dev/*/*.tar.zst`), /^root$/m);
  });

  it('has a copy of the bus’ database made, which is of the user of the bus and opens', async () => {
    const [copy = '', ...others] = (await well(`ls -1 ${copies}`)).split('\n');
    assert.match(copy, /^events-\d{8}T\d{9}Z-scheduled\.db$/);
    assert.deepEqual(others, []);
    assert.equal(await well(`stat -c '%U:%G %a' ${copies}/${copy}`), 'leveredge:leveredge 600');
    const count = `const { DatabaseSync } = require('node:sqlite'); console.log(new DatabaseSync('${copies}/${copy}', { readOnly: true }).prepare('SELECT count(*) AS n FROM events').get().n)`;
    assert.ok(Number(await well(`runuser -u leveredge -- node -e "${count}"`)) > 0);
    // Nothing beside the database became somebody else's, so that the bus can go on.
    assert.equal(await well(`stat -c '%U' ${home}/control-plane/event-bus/events.db* | sort -u`), 'leveredge');
    const within = await on.machine.sh(
      `nsenter -t $(systemctl show -P MainPID chronos) -m setpriv --reuid=leveredge-recovery --clear-groups rm ${copies}/${copy}`,
    );
    assert.notEqual(within.exit, 0, 'it may not remove a copy itself');
  });

  it('remembers after a restart what it did, and delivers what GAIA has left', async () => {
    assert.equal(await well(`stat -c '%U %a' ${notes}/`), 'leveredge-recovery 700');
    assert.equal(await well(`stat -c '%U %a' ${notes}/schedule.json`), 'leveredge-recovery 600');
    assert.equal((await on.machine.sh(`ls ${home}/shared/backups/.gaia/schedule.json`)).exit, 2);
    const before = { notes: await well(`cat ${notes}/schedule.json`), made: await made() };
    leave('left-before-restart');
    const began = await well("date '+%Y-%m-%d %H:%M:%S'");
    await well('sleep 1; systemctl restart chronos');
    await on.until('leveredge events --action drill_completed --json | grep -q left-before-restart');
    await on.until(`test -z "$(ls ${outbox} | grep json)"`);
    // What is due is begun as soon as that is delivered, and is through in less.
    await well('sleep 8');
    const since = await well(`journalctl -u chronos -o cat --since '${began}'`);
    assert.match(since, /\S/);
    assert.doesNotMatch(since, /by the schedule|waits on/);
    assert.deepEqual({ notes: await well(`cat ${notes}/schedule.json`), made: await made() }, before);
  });

  it('leaves doctor nothing to find, and is exposed no more than before', async () => {
    await on.until('leveredge doctor | grep -q "CHRONOS.*HADES are alive"');
    const { exit, stdout } = await on.machine.sh('cd / && leveredge doctor');
    assert.equal(exit, 0, stdout);
    // But that there are no bots, and none are wanted here.
    assert.doesNotMatch(stdout, /^(WRONG|note\s+(?!\s|bots ))/m);
    await well('systemd-analyze security --threshold=20 chronos.service');
  });

  it('says that GAIA cannot be asked, and keeps what waits', async () => {
    leave('left-while-away');
    await well(`rm -r ${home}/shared/backups/dev/*/* && chmod 0 /run/leveredge/gaia.sock && systemctl restart chronos`);
    await on.until(
      'leveredge events --action backup_failed --json | grep -q "cannot be asked at /run/leveredge/gaia.sock"',
    );
    assert.match(await well('journalctl -u chronos -o cat'), /what GAIA left for the bus waits on.*cannot be asked at/);
    assert.match(await well('chronos schedule'), /^dev\s+whole\s.*FAILING$/m);
    await well('chmod 660 /run/leveredge/gaia.sock && systemctl restart chronos');
    await on.until('leveredge events --action drill_completed --json | grep -q left-while-away');
  });
});
