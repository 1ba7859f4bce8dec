import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { agentNames, type Door } from '../door.ts';
import type { EmergencyBot, Found, Server, UnitState } from '../init/step.ts';
import { telegramFiles } from '../init/telegram-unit.ts';
import { unitHead } from '../init/unit-text.ts';
import { checkBots } from './bots.ts';
import type { Installation } from './installation.ts';

const home = '/opt/le';
const installed: Installation = {
  ...{ home, units: 'system', user: 'leveredge', agents: agentNames, bots: true, linked: true },
};
const emergency: EmergencyBot = {
  ...{ user: 'gaia-bot', spool: `${home}/shared/emergency`, texts: { runner: '', bot: '' } },
  ...{ tokenFile: `${home}/gaia/.telegram_token`, usersFile: `${home}/gaia/.authorized_users` },
  secretFile: `${home}/gaia/.2fa_secret`,
};
const botsUid = 900;
const unit = (name: string) => `/etc/systemd/system/${name}.service`;
const file = (text = 'x', more: { mode?: number; uid?: number } = {}): Found => ({
  ...{ kind: 'file', mode: 0o100600, uid: 0, text, real: '/x', ...more },
});
const units = Object.fromEntries(
  ['leveredge-telegram', 'gaia-runner', 'gaia-emergency'].map((name) => [unit(name), file(unitHead)]),
);
const all = [...telegramFiles(home), emergency.tokenFile, emergency.usersFile, emergency.secretFile];
const setUp = { ...units, ...Object.fromEntries(all.map((path) => [path, file()])) };

type On = {
  found?: Readonly<Record<string, Found>>;
  states?: Readonly<Record<string, Partial<UnitState>>>;
  of?: Partial<Installation>;
  at?: Partial<EmergencyBot>;
  user?: string;
};

function look({ found = setUp, states = {}, of = {}, at = {}, user = 'root' }: On = {}) {
  const server = {
    hasSystemd: true,
    units: { system: '/etc/systemd/system', user: '/u' },
    look: (path: string) => found[path] ?? { kind: 'nothing' },
    uidOf: (name: string) => (name === 'gaia-bot' ? botsUid : undefined),
    unitState: (name: string) => ({
      ...{ isEnabled: true, runs: true, isStale: false, exit: undefined, ...states[name] },
    }),
    emergencyBot: () => ({ ...emergency, ...at }),
  } as unknown as Server;
  const door = { user, program: 'leveredge', url: 'http://127.0.0.1:8099' } as unknown as Door;
  return checkBots(door, { ...installed, ...of }, server);
}

describe('what doctor says of the bots', () => {
  it('is fine where both run', () => {
    const says = 'the control bot and the emergency bot run';
    assert.deepEqual(look(), [{ check: 'bots', state: 'fine', says }]);
  });

  it('is a hint, and no fault, where they are not set up', () => {
    const [control, phone] = look({ found: units, states: { 'gaia-runner.service': { runs: false } } });
    assert.deepEqual([control?.state, control?.todo], ['note', `leveredge telegram setup --home ${home}`]);
    assert.deepEqual(
      [phone?.state, ...(phone?.todo?.split('\n') ?? []).map((line) => line.replace(/ {2,}#.*/, ''))],
      [
        'note',
        `(umask 077; cat >${emergency.tokenFile})`,
        `(umask 077; echo YOUR_TELEGRAM_ID >${emergency.usersFile})`,
        'gaia 2fa enroll',
      ],
    );
  });

  it('names of one that was begun what is missing', () => {
    const [, phone] = look({ found: { ...setUp, [emergency.secretFile]: file('') } });
    assert.deepEqual([phone?.state, phone?.todo], ['note', 'gaia 2fa enroll']);
  });

  for (const [what, states, says, todo] of [
    [
      'that was set up and never started',
      { 'leveredge-telegram.service': { runs: false, isEnabled: false } },
      /leveredge-telegram\.service does not run/,
      ['systemctl enable leveredge-telegram.service', 'systemctl start leveredge-telegram.service'],
    ],
    [
      'whose token is refused',
      { 'leveredge-telegram.service': { runs: false, exit: 3 } },
      /has ended: Telegram or the bus refuses its token/,
      ['journalctl -u leveredge-telegram.service -n 50 --no-pager', `leveredge telegram setup --home ${home}`],
    ],
    [
      'that is started again and again',
      { 'gaia-emergency.service': { runs: false, exit: 3 } },
      /gaia-emergency\.service has failed \(exit 3\)/,
      [
        'journalctl -u gaia-emergency.service -n 50 --no-pager',
        'systemctl reset-failed gaia-emergency.service && systemctl restart gaia-emergency.service',
      ],
    ],
    [
      'whose unit was changed',
      { 'gaia-runner.service': { isStale: true } },
      /gaia-runner\.service was changed since/,
      ['systemctl daemon-reload', 'systemctl restart gaia-runner.service'],
    ],
  ] as const)
    it(`names one ${what}, and the commands that mend it`, () => {
      const found = look({ states }).find(({ state }) => state === 'wrong');
      assert.match(found?.says ?? '', says);
      assert.deepEqual(found?.todo?.split('\n'), todo);
    });

  it('names secrets that others can read where no other check looks, and those of the bot’s own user', () => {
    const elsewhere = '/srv/secret';
    const open = look({
      found: { ...setUp, [elsewhere]: file('x', { mode: 0o100644 }) },
      at: { secretFile: elsewhere },
    });
    assert.deepEqual(open.map(({ todo }) => todo).filter(Boolean), ['chmod 600 /srv/secret']);
    const owned = look({ found: { ...setUp, [emergency.secretFile]: file('x', { uid: botsUid }) } });
    assert.match(owned[1]?.says ?? '', /belongs to gaia-bot, .* must not read it/);
    assert.equal(owned[1]?.todo, `chown root: ${emergency.secretFile}`);
    const inHome = look({ found: { ...setUp, [emergency.tokenFile]: file('x', { mode: 0o100644 }) } });
    assert.ok(!inHome.some(({ todo }) => todo?.startsWith('chmod')), 'told of the folder');
  });

  it('notes that a restore would not stop the control bot, where an older configuration does not name it', () => {
    const config = (units: string) => ({ [`${home}/gaia/config.yaml`]: file(`units: [ ${units} ]`) });
    const old = look({ found: { ...setUp, ...config('event-bus.service, atlas.service') } });
    assert.deepEqual([old[1]?.state, old.length], ['note', 2]);
    assert.match(old[1]?.says ?? '', /config\.yaml does not name leveredge-telegram\.service/);
    assert.equal(look({ found: { ...setUp, ...config('event-bus.service, leveredge-telegram.service') } }).length, 1);
    assert.equal(
      look({ found: { ...units, ...config('event-bus.service') } }).length,
      2,
      'not set up: only the two hints',
    );
  });

  it('has nothing to say to who may not look, and hints at the units where there are none', () => {
    const hidden = Object.fromEntries(all.map((path) => [path, { kind: 'hidden', code: 'EACCES' } as const]));
    assert.deepEqual(look({ found: { ...units, ...hidden }, user: 'anna' }), []);
    const [note] = look({ of: { bots: false }, user: 'anna' });
    assert.deepEqual([note?.state, note?.todo], ['note', `sudo leveredge init --home ${home}`]);
    assert.deepEqual(look({ of: { units: 'none', bots: false } }), []);
  });

  it('looks in the units of a user for the control bot alone', () => {
    const found = { ...setUp, '/u/leveredge-telegram.service': file(unitHead) };
    assert.deepEqual(
      look({ found, of: { units: 'user', user: undefined } }).map(({ says }) => says),
      ['the control bot runs'],
    );
  });
});
