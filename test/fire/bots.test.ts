import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { readStatement } from '../../src/base/signed-statement.ts';
import { people } from '../../src/channels/telegram/fake/world.ts';
import { fromBase32 } from '../../src/gaia/two-factor/base32.ts';
import { codeAt, stepAt } from '../../src/gaia/two-factor/totp.ts';
import { fakeBots } from '../fake-telegram.fixtures.ts';
import { installedHome as home, type Installed, installProgram } from './installed.fixtures.ts';
import { noMachine } from './machine.fixtures.ts';

const missing = noMachine();
if (missing !== undefined) console.log(`NOT RUN: the bots on a server need a machine in a container: ${missing}`);

const owner = people.owner.id;
const secret = 'JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP';
const program = '/usr/local/lib/leveredge/bin/leveredge.mjs';
const fakeUrl = 'http://127.0.0.1:8081';
const credentials = `${home}/shared/credentials`;
const units = ['leveredge-telegram', 'gaia-runner', 'gaia-emergency'];

type Finding = { check: string; state: string; says: string; todo?: string };

/** What is broken, what doctor says of it, and that is mended by what it names. */
const troubles: readonly { what: string; broken: string; until?: string; says: RegExp }[] = [
  {
    what: 'a bot that was stopped',
    broken: 'systemctl stop leveredge-telegram',
    says: /telegram\.service does not run/,
  },
  {
    what: 'a runner that does not start with the machine',
    broken: 'systemctl disable -q gaia-runner',
    says: /gaia-runner.*does not start with/,
  },
  {
    what: 'a unit that was changed since',
    broken: 'sleep 1; touch /etc/systemd/system/gaia-emergency.service',
    says: /gaia-emergency.*was changed since/,
  },
  {
    what: 'a token that others can read',
    broken: `chmod 644 ${credentials}/telegram-control-bot.token`,
    says: /telegram-control-bot\.token can be read by others/,
  },
  {
    what: 'a second factor that others can read',
    broken: `chmod 644 ${home}/gaia/.2fa_secret`,
    says: /\.2fa_secret can be read by others/,
  },
  {
    what: 'a second factor of the user who listens',
    broken: `chown gaia-bot ${home}/gaia/.2fa_secret`,
    says: /belongs to gaia-bot/,
  },
  {
    what: 'what somebody else wrote into the folder of the bot',
    broken: `touch ${home}/control-plane/telegram/x`,
    says: /control-plane\/telegram .*not all of the user leveredge-telegram/,
  },
];

describe('the bots of an installed server', { skip: missing !== undefined, timeout: 1_800_000 }, () => {
  let on: Installed;
  const well = (command: string) => on.machine.well(command);
  /** The commands of that unit that a program has printed. */
  const startOf = (text: string) => /systemctl enable --now .*$/m.exec(text)?.[0] ?? assert.fail(text);
  const owned = async (unit: string) => well(`stat -c %U /proc/$(systemctl show -P MainPID ${unit})`);
  const phone = (what: string, more: Record<string, unknown>) => {
    const body = JSON.stringify(what === 'say' ? { as: 'owner', where: 'private', ...more } : more);
    return `node -e 'fetch("${fakeUrl}/play/${what}", { method: "POST", headers: { "content-type": "application/json" }, body: process.argv[1] }).then((a) => process.exit(a.ok ? 0 : 1))' '${body}'`;
  };
  const heard = (bot: string, text: string) =>
    on.until(
      `node -e 'fetch("${fakeUrl}/play/chat?bot=${bot}&as=owner&where=private").then((a) => a.text()).then((a) => process.exit(a.includes("${text}") ? 0 : 1))'`,
    );

  async function findings(): Promise<Finding[]> {
    const { stdout } = await on.machine.sh('leveredge doctor --json');
    return JSON.parse(stdout).findings;
  }
  async function assertClean(): Promise<void> {
    await on.until("leveredge doctor | grep -q 'the control bot and the emergency bot run'");
    await on.until("! leveredge doctor | grep -E '^(WRONG|note )'");
  }

  before(async () => {
    on = await installProgram();
    await on.init(0, '--start');
    for (const unit of ['leveredge-telegram', 'gaia-emergency'])
      on.machine.write(
        `/etc/systemd/system/${unit}.service.d/fake.conf`,
        `[Service]\nEnvironment=TELEGRAM_API_ROOT=${fakeUrl}\n`,
      );
    await well(`systemctl daemon-reload && systemd-run --quiet --unit=fake-telegram node ${program} fake-telegram`);
    await on.until(`node -e 'fetch("${fakeUrl}").catch(() => process.exit(1))'`);
  });
  after(() => on?.end());

  it('are off, a hint and no fault, and are skipped when somebody starts them', async () => {
    const notes = (await findings()).filter(({ check }) => check === 'bots');
    assert.deepEqual(
      notes.map(({ state }) => state),
      ['note', 'note'],
    );
    await well(`systemctl start ${units.join(' ')}`);
    for (const unit of units)
      assert.equal(await well(`systemctl show -P ActiveState -P ConditionResult ${unit}`), 'inactive\nno');
  });

  it('the control bot runs after its setup and the one command that this prints', async () => {
    const setup = await on.machine.sh(
      `cd / && printf '%s\\n' '${fakeBots.control}' | TELEGRAM_API_ROOT=${fakeUrl} leveredge telegram setup --user ${owner}`,
    );
    assert.equal(setup.exit, 0, setup.stderr);
    await well(startOf(setup.stderr));
    await on.until("journalctl -u leveredge-telegram | grep -q '@control_bot listens on Telegram'");
    await well(phone('say', { bot: 'control', text: '/agents' }));
    await heard('control', 'HADES');
    assert.equal(await owned('leveredge-telegram'), 'leveredge-telegram');
    for (const file of [
      `${credentials}/telegram-control-bot.token`,
      `${credentials}/owner.token`,
      `${home}/config/telegram.json`,
    ])
      assert.notEqual((await on.machine.sh(`runuser -u leveredge-telegram -- cat ${file}`)).exit, 0, file);
    assert.equal(await well(`stat -c '%a %U' ${home}/control-plane/telegram`), '700 leveredge-telegram');
  });

  it('the emergency bot runs once token, list and second factor are there', async () => {
    await well(
      `cd ${home}/gaia && umask 077 && echo '${fakeBots.emergency}' >.telegram_token && echo ${owner} >.authorized_users`,
    );
    const [, bot] = (await findings()).filter(({ check }) => check === 'bots');
    assert.deepEqual([bot?.state, bot?.todo], ['note', 'gaia 2fa enroll']);
    await well(`umask 077; echo ${secret} >${home}/gaia/.2fa_secret`);
    const steps = await on.init(0, '--start');
    assert.deepEqual(
      steps.flatMap(({ state, name }) => (state === 'there' ? [] : `${state}: ${name}`)),
      ['done: gaia-runner.service', 'done: gaia-emergency.service'],
    );
    await well(phone('say', { bot: 'emergency', text: '/start' }));
    await heard('emergency', '/restore');
    assert.deepEqual([await owned('gaia-emergency'), await owned('gaia-runner')], ['gaia-bot', 'root']);
  });

  it('the control bot alone has codes judged, by a key that the bus can read', async () => {
    on.machine.write(
      '/srv/ask.mjs',
      `import { connect } from 'node:net';
      const line = connect('/run/leveredge/codes.sock').setEncoding('utf8');
      line.on('error', () => process.exit(7)).on('data', (text) => process.stdout.write(text));
      line.write(process.argv[2] + '\\n');`,
    );
    const ask = async (user: string, asked: object) => {
      const line = JSON.stringify(asked);
      return on.machine.sh(`runuser -u ${user} -- node /srv/ask.mjs '${line}'`);
    };
    const ready = { asks: 'ready' };
    assert.match((await ask('leveredge-telegram', ready)).stdout, /"ready"/);
    for (const user of ['leveredge-recovery', 'leveredge', 'gaia-bot'])
      assert.equal((await ask(user, ready)).exit, 7, user);
    const judge = (code: string) => {
      const about = { question: 'q1', payload_hash: 'h', person: 'olga', sent_ms: Date.now() };
      return ask('leveredge-telegram', { asks: 'judge', code, ...about });
    };
    const code = codeAt(fromBase32(secret) as Buffer, stepAt(Date.now()));
    const wrong = code === '000000' ? '000001' : '000000';
    assert.match((await judge(wrong)).stdout, /That code is wrong \(1 of 10\)/);
    const { proof } = JSON.parse((await judge(code)).stdout) as { proof: string };
    const key = await well(`runuser -u leveredge -- cat ${credentials}/gaia-confirms.pub`);
    assert.equal(readStatement('confirmation', proof, key)?.question, 'q1');
    assert.match((await judge(code)).stdout, /used already/);
    const { stdout } = await on.machine.sh('journalctl -u "leveredge-codes@*" -o cat');
    assert.match(stdout, /a code was tried/);
    assert.ok(!stdout.includes(code) && !stdout.includes(wrong));
  });

  it('are all there for init then, and run for doctor', async () => {
    const steps = await on.init(0, '--start');
    assert.deepEqual(
      steps.filter(({ state }) => state !== 'there'),
      [],
    );
    await assertClean();
  });

  for (const { what, broken, says } of troubles)
    it(`doctor names ${what}, and how that is mended`, async () => {
      await well(broken);
      const found = (await findings()).find((each) => each.state === 'wrong' && says.test(each.says));
      assert.ok(found, JSON.stringify(await findings(), null, 1));
      for (const line of found.todo?.split('\n') ?? []) await well(line);
      await assertClean();
    });

  it('doctor names a control bot whose token was revoked, which is not started again and again', async () => {
    await well(phone('revoke', { bot: 'control', on: true }));
    await on.until('systemctl is-failed -q leveredge-telegram');
    const found = (await findings()).find(({ check, state }) => check === 'bots' && state === 'wrong');
    assert.match(found?.says ?? '', /leveredge-telegram\.service has ended: Telegram or the bus refuses its token/);
    assert.equal(found?.todo?.split('\n')[1], `leveredge telegram setup --home ${home}`);
    await well(phone('revoke', { bot: 'control', on: false }));
    const setup = await on.machine.sh(`cd / && TELEGRAM_API_ROOT=${fakeUrl} leveredge telegram setup --user ${owner}`);
    await well(startOf(setup.stderr));
    await assertClean();
  });

  it('are stopped while control-plane is restored, as far as they work on it', async () => {
    const runner = await well('systemctl show -P MainPID gaia-runner');
    const bot = await well('systemctl show -P MainPID leveredge-telegram');
    await well('gaia backup control-plane');
    const done = JSON.parse(await well('gaia restore control-plane --yes --json'));
    assert.deepEqual([done.outcome, done.health], ['committed', 'proven']);
    await assertClean();
    assert.equal(await well('systemctl show -P MainPID gaia-runner'), runner);
    assert.notEqual(await well('systemctl show -P MainPID leveredge-telegram'), bot);
  });
  it('come back on a machine that lacks their users, who get the numbers that their files have', async () => {
    const users = ['leveredge-telegram', 'leveredge-atlas'];
    const ids = () => well(`id ${users[0]}; id ${users[1]}`);
    const before = await ids();
    await well('systemctl stop leveredge-telegram atlas');
    for (const user of users) await well(`userdel ${user}`);
    const bootstrap = await on.machine.sh('gaia bootstrap control-plane --json');
    const made: string[] = JSON.parse(bootstrap.stdout).made['control-plane'];
    for (const user of users)
      assert.ok(
        made.some((what) => what.startsWith(`the user ${user} (`)),
        made.join(),
      );
    assert.equal(await ids(), before);
    assert.match(await well(`getent passwd ${users[1]}`), /:\/opt\/leveredge:\/usr\/sbin\/nologin$/);
    await well('systemctl start leveredge-telegram atlas');
    await assertClean();
  });
});
