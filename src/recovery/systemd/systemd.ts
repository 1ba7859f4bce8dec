import { existsSync } from 'node:fs';
import { Fault } from '../../base/fault.ts';
import { requireWorked, worked } from '../compose/containers.ts';
import { askMs } from '../compose/engine.ts';
import { type Ran, runProgram } from '../source/run-program.ts';

/** A user of this machine, as its password file has it. */
export type Account = { name: string; uid: number; gid: number; home: string };

/** One systemd: that of the machine, or that of a user. */
export type Systemd = {
  /** Null for that of the machine. */
  account: Account | null;
  /** A user's runs while the user is logged in, or lingers. */
  isRunning(): Promise<boolean>;
  systemctl(words: readonly string[], withinMs?: number): Promise<Ran>;
  /** The last lines of a unit in the journal. Never throws. */
  lastLines(unit: string, count: number): Promise<string[]>;
};

/**
 * How units are reached, by whoever runs this: the machine's by root, a user's by root and by that user.
 * @throws Fault `unreachable` without systemd, `not-found` for a user who is not there, `forbidden`
 */
export async function systemdOf(user: string | null, uid: number): Promise<Systemd> {
  if (!existsSync('/run/systemd/system'))
    throw new Fault('unreachable', 'systemd does not run here, and the target has units.', {
      hint: 'Take units out of the configuration to restore without them, and stop and start what works on the target yourself.',
    });
  const account = user === null ? null : await accountOf(user);
  if (uid !== 0 && uid !== account?.uid)
    throw new Fault('forbidden', `Only root may stop and start units of ${user ?? 'the machine'}.`, {
      hint: 'Run it as root: sudo gaia …',
    });
  return account === null ? machines : usersOwn(account, uid);
}

/** @throws Fault `unreachable` for that of a user who is not logged in and does not linger */
export async function requireRunning(systemd: Systemd): Promise<void> {
  if (await systemd.isRunning()) return;
  const name = systemd.account?.name ?? 'root';
  throw new Fault('unreachable', `The systemd of ${name} does not run, so none of its units can be asked.`, {
    hint: `Let it run without a login: loginctl enable-linger ${name}`,
  });
}

const machines: Systemd = {
  account: null,
  isRunning: async () => true,
  systemctl: (words, withinMs = askMs) => runProgram('systemctl', words, withinMs),
  lastLines: (unit, count) => journal([`--unit=${unit}`], count),
};

/**
 * Root takes the user's place for it. `systemctl --machine=USER@.host` would do too, but begins a session of login for each
 * question, and a health check asks once a second.
 */
function usersOwn(account: Account, uid: number): Systemd {
  const place = ['env', `XDG_RUNTIME_DIR=/run/user/${account.uid}`, 'systemctl', '--user'];
  const become = ['setpriv', `--reuid=${account.uid}`, `--regid=${account.gid}`, '--init-groups'];
  const [program = '', ...first] = uid === account.uid ? place : [...become, ...place];
  return {
    account,
    isRunning: async () => worked(await runProgram('systemctl', ['is-active', `user@${account.uid}.service`], askMs)),
    systemctl: (words, withinMs = askMs) => runProgram(program, [...first, ...words], withinMs),
    lastLines(unit, count) {
      // What it wrote, and what its systemd says of it. --user-unit would look for units of whoever asks.
      const of = `_UID=${account.uid}`;
      return journal([`_SYSTEMD_USER_UNIT=${unit}`, of, '+', `USER_UNIT=${unit}`, of], count);
    },
  };
}

async function journal(matches: readonly string[], count: number): Promise<string[]> {
  const words = [...matches, `--lines=${count}`, '--no-pager', '--quiet', '--output=short'];
  const { stdout } = await runProgram('journalctl', words, askMs);
  return stdout.split('\n').filter((line) => line !== '');
}

async function accountOf(user: string): Promise<Account> {
  const ran = await runProgram('getent', ['passwd', '--', user], askMs);
  const [name, , uid = '', gid = '', , home = ''] = ran.stdout.trim().split(':');
  if (worked(ran) && name === user) return { name, uid: Number(uid), gid: Number(gid), home };
  if (ran.code !== 2) requireWorked(ran, 'the users of this machine could not be asked for');
  throw new Fault('not-found', `There is no user ${user} here, and the target has units of that user.`, {
    hint: `Make the user first, or change units in the configuration.`,
  });
}
