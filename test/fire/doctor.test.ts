import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { installedHome as home, type Installed, installProgram } from './installed.fixtures.ts';
import { noMachine } from './machine.fixtures.ts';

const missing = noMachine();
if (missing !== undefined) console.log(`NOT RUN: doctor on a server needs a machine in a container: ${missing}`);

type Finding = { check: string; state: string; says: string; todo?: string };

/** What is broken, what doctor says of it, and what a person does beside the commands that it names. */
type Trouble = { what: string; broken: string; says: RegExp; state?: 'note'; byHand?: string; until?: string };

const units = '/etc/systemd/system';
const lostAfter = "until leveredge agents | grep -q 'HADES[[:space:]]*lost'; do sleep 1; done";
const deadLetter = `until leveredge dead-letters --json | tr -d ' \\n' | grep -q '"agent":"CHRONOS"'; do sleep 0.5; done`;

const troubles: readonly Trouble[] = [
  { what: 'a folder that is gone', broken: `rmdir ${home}/monitoring/grafana`, says: /grafana .*is missing/ },
  { what: 'a folder where all may write', broken: `chmod 777 ${home}/control-plane/docs`, says: /everyone may write/ },
  {
    what: 'tokens that others may list',
    broken: `chmod 755 ${home}/shared/credentials`,
    says: /others than its owner/,
  },
  {
    what: 'a secret that others may read',
    broken: `chmod 644 ${home}/shared/credentials/owner.token`,
    says: /owner\.token can be read by others/,
  },
  {
    what: 'a secret of somebody else',
    broken: `chown root ${home}/shared/credentials/owner.token`,
    says: /not all of the user leveredge/,
  },
  {
    what: 'a token of somebody else',
    broken: `chown root ${home}/shared/credentials/HADES.token`,
    says: /not of the user leveredge-recovery/,
  },
  {
    what: 'a token that is gone',
    broken: `rm ${home}/shared/credentials/HADES.token`,
    says: /token of HADES .*missing/,
  },
  {
    what: 'a token that was revoked',
    broken: 'leveredge token revoke CHRONOS && systemctl restart chronos',
    until: 'systemctl is-failed -q chronos',
    says: /chronos\.service has ended: the bus refuses its token/,
  },
  { what: 'a page that is gone', broken: `rm ${home}/README.md`, says: /README\.md: is missing/ },
  { what: 'settings that are gone', broken: `rm ${home}/config/leveredge.yaml`, says: /leveredge\.yaml: is missing/ },
  {
    what: 'a configuration of GAIA with a mistake',
    broken: `cp ${home}/gaia/config.yaml /srv/kept && echo 'retention: { daily: many }' >>${home}/gaia/config.yaml`,
    says: /config\.yaml, line \d+: .*daily/,
    byHand: `cp /srv/kept ${home}/gaia/config.yaml`,
  },
  {
    what: 'a program that nobody finds',
    broken: 'rm /usr/local/bin/atlas',
    says: /\/usr\/local\/bin\/atlas .*missing/,
  },
  {
    what: 'another program by our name',
    broken: 'ln -sf /bin/true /usr/local/bin/atlas',
    says: /atlas .*something else \(\S+\), and is left alone/,
  },
  { what: 'a unit that is gone', broken: `rm ${units}/hades.service`, says: /hades\.service: is missing/ },
  {
    what: 'a unit that somebody changed',
    broken: `echo '# changed' >>${units}/hades.service && systemctl daemon-reload`,
    says: /hades\.service is not as this version/,
    state: 'note',
  },
  {
    what: 'a unit that was changed since systemd read it',
    broken: `sleep 1; touch ${units}/atlas.service`,
    says: /atlas\.service was changed since/,
  },
  {
    what: 'a unit that is not enabled',
    broken: 'systemctl disable -q chronos',
    says: /does not start with the machine/,
  },
  { what: 'an agent that was stopped', broken: 'systemctl stop atlas', says: /atlas\.service does not run/ },
  { what: 'a socket that was stopped', broken: 'systemctl stop leveredge-gaia.socket', says: /socket does not run/ },
  { what: 'a bus that was stopped', broken: 'systemctl stop event-bus', says: /event-bus\.service does not run/ },
  {
    what: 'a bus that cannot start',
    broken: `echo 'bus: { port: many }' >${home}/config/leveredge.yaml; systemctl restart event-bus`,
    until: 'systemctl is-failed -q event-bus',
    says: /event-bus\.service has failed \(exit 2\)/,
    byHand: `rm ${home}/config/leveredge.yaml; leveredge init >/srv/log`,
  },
  {
    what: 'an agent that fell silent',
    broken: 'systemctl kill -s STOP hades',
    until: lostAfter,
    says: /HADES is lost, last heard/,
  },
  {
    what: 'what could not be delivered',
    broken: `mv ${home}/data-plane/prod /srv/prod && leveredge publish deploy_started --target prod`,
    until: deadLetter,
    says: /1 deliveries to CHRONOS were given up/,
    byHand: `mv /srv/prod ${home}/data-plane/prod`,
  },
  {
    what: 'what an agent hears no more',
    broken: "leveredge subscriptions delete HADES '*_failed'",
    says: /HADES does not hear \*_failed: that was deleted/,
    state: 'note',
  },
];

describe('doctor on a server', { skip: missing !== undefined, timeout: 1_800_000 }, () => {
  let on: Installed;
  const well = (command: string) => on.machine.well(command);

  async function doctor(as = ''): Promise<{ exit: number | null; findings: Finding[] }> {
    const { exit, stdout, stderr } = await on.machine.sh(`cd / && ${as} leveredge doctor --json`);
    assert.notEqual(stdout, '', stderr);
    return { exit, findings: JSON.parse(stdout).findings };
  }

  /** Where everything is as it should be, also a moment after something was started. That no bot is set up is a note. */
  async function assertClean(): Promise<void> {
    await on.until(
      `leveredge doctor | grep -q 'CHRONOS.*HADES are alive' && ! leveredge doctor | grep -E '^(WRONG|note )' | grep -v ' bots '`,
    );
    assert.equal((await doctor()).exit, 0);
  }

  before(async () => {
    on = await installProgram();
    await on.init(0, '--start');
  });
  after(() => on?.end());

  it('finds nothing after init, and has looked at all of it', async () => {
    await assertClean();
    const { findings } = await doctor();
    assert.deepEqual(
      findings.map(({ check }) => check),
      [
        ...['node', 'home', 'settings', 'database', 'bus', 'disk', 'clock'],
        ...['users', 'folders', 'files', 'tokens', 'links', 'units', 'bots', 'bots', 'gaia', 'agents'],
      ],
    );
  });

  it('tells others only that they cannot see all', async () => {
    for (const user of ['leveredge', 'nobody']) {
      const { exit, findings } = await doctor(`runuser -u ${user} --`);
      assert.equal(exit, 0, JSON.stringify(findings));
      const notes = findings.filter(({ state }) => state === 'note').map(({ todo = '' }) => todo);
      assert.ok(notes.includes(`sudo leveredge doctor --home ${home}`), JSON.stringify(findings));
    }
  });

  for (const { what, broken, until, says, state = 'wrong', byHand } of troubles)
    it(`names ${what}, and how it is mended`, async () => {
      await well(broken);
      if (until !== undefined) await on.until(until);
      const { exit, findings } = await doctor();
      const found = findings.find((each) => says.test(each.says));
      assert.ok(found, JSON.stringify(findings, null, 1));
      assert.deepEqual([found.state, exit], [state, state === 'note' ? 0 : 1]);
      if (byHand !== undefined) await well(byHand);
      for (const line of found.todo?.split('\n') ?? []) await well(line.replace(/^[A-Z][^:]*: /, ''));
      await assertClean();
    });
});
