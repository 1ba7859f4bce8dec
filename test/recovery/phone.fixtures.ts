import { spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Around, Call } from '../../src/gaia/command.ts';
import { openRunner } from '../../src/gaia/commands/runner.ts';
import type { Reply } from '../../src/gaia/emergency/replies.ts';
import { newBackupCodes } from '../../src/gaia/two-factor/backup-codes.ts';
import { newSecret, writeEnrolment } from '../../src/gaia/two-factor/enrolment.ts';
import { beginGuard } from '../../src/gaia/two-factor/guard.ts';
import { codeAt, stepAt } from '../../src/gaia/two-factor/totp.ts';
import { readConfig } from '../../src/recovery/config/read-config.ts';
import { gaiaLauncher, makeStand, type Stand } from './gaia.fixtures.ts';

type Test = { after(fn: () => void): void };

const owner = 123456;
export const other = 654321;

/**
 * A stand with `dev` and `prod`, a backup of each in its first state, changed since; a second factor, and two who may ask.
 * @param prepare what is to be so before the backup is made
 */
export async function phoneStand(t: Test, prepare: (stand: Stand) => Promise<void> | void = () => undefined) {
  const stand = makeStand(t, { more: 'health: none' });
  const prod = join(stand.home, 'data-plane', 'prod');
  mkdirSync(prod);
  writeFileSync(join(prod, 'notes'), 'the first state\n');
  const yaml = readFileSync(stand.config, 'utf8');
  writeFileSync(stand.config, `${yaml}    prod: { root: ${prod}, health: none }\n`);
  await prepare(stand);
  const made = await stand.gaia('backup', 'full');
  if (made.exit !== 0) throw new Error(made.stderr);
  for (const root of [stand.root, prod]) writeFileSync(join(root, 'notes'), 'the second state\n');
  // The test moves the clock of this very object.
  return Object.assign(phonesOf(stand), { ...stand, prod });
}

/** What a phone and its authenticator have, and the spool as a bot uses it. */
function phonesOf({ config, home }: Stand) {
  const { place, emergency } = readConfig(config, home);
  const secret = newSecret();
  const codes = newBackupCodes();
  writeEnrolment(emergency, secret, codes, () => beginGuard(place, secret, 0));
  writeFileSync(emergency.usersFile, `${owner} # the owner\n${other}\n`, { mode: 0o600 });
  const requests = join(emergency.spool, 'requests');
  const replies = join(emergency.spool, 'replies');
  let update = 0;
  const phone = {
    ...{ place, emergency, secret, codes, requests, replies, shiftMs: 0, stopAt: '' },
    now: () => Date.now() + phone.shiftMs,
    code: (away = 0) => codeAt(secret, stepAt(phone.now()) + away),
    /** Writes a request as the bot does. */
    ask(ask: Record<string, unknown>, user = owner): string {
      update++;
      const id = `u${update}`;
      const text = JSON.stringify({ id, user, sentMs: phone.now(), ...ask });
      writeFileSync(join(requests, `.${id}.json`), text);
      renameSync(join(requests, `.${id}.json`), join(requests, `${id}.json`));
      return text;
    },
    /** All that was said so far and is still there, what changes in its place last. */
    said: (): Reply[] =>
      readdirSync(replies)
        .filter((name) => name.endsWith('.json') && !name.startsWith('.'))
        .sort()
        .map((name) => JSON.parse(readFileSync(join(replies, name), 'utf8'))),
    text: () =>
      phone
        .said()
        .map(({ title = '', lines }) => [title, ...lines].join('\n'))
        .join('\n'),
    /** The operation whose message asks for a code. */
    asked: () => phone.said().findLast(({ operation }) => operation !== undefined)?.operation as string,
  };
  return phone;
}

/** The runner in this process, with a clock that the test moves; what it restores has a process of its own. */
export function openPhone(t: Test, stand: Awaited<ReturnType<typeof phoneStand>>) {
  const log: string[] = [];
  const ended: number[] = [];
  const stop = new AbortController();
  const around: Around = {
    ...{ version: '1.2.3', nodeVersion: '26.0.0', clock: () => Math.floor(stand.now()), program: undefined },
    ...{ uid: process.getuid?.() ?? 0, ownPids: new Set([process.pid]), home: stand.home, configFile: stand.config },
    host: { name: 'host', kernel: 'kernel', os: 'os' },
    terminal: { in: false, out: false, err: false, columns: 80 },
    ...{ color: false, signal: stop.signal, show: () => undefined, sketch: () => undefined },
    say: (line) => void log.push(line),
    ask: () => Promise.reject(new Error('nobody is asked')),
    async startDetached(args, logFile) {
      const out = openSync(logFile, 'a', 0o600);
      const env = {
        PATH: process.env.PATH,
        LEVEREDGE_HOME: stand.home,
        ...(stand.stopAt ? { GAIA_STOP_AT: stand.stopAt } : {}),
      };
      spawn(process.execPath, [gaiaLauncher, ...args], { detached: true, stdio: ['ignore', out, out], env }).unref();
      closeSync(out);
    },
    endGroup(pid) {
      ended.push(pid);
      process.kill(-pid, 'SIGKILL');
    },
    confine: () => {
      throw new Error('nothing is confined here');
    },
    ...{ isConfined: true, startsWith: [], credentials: undefined, telegramRoot: undefined },
    ...{ pause: () => undefined, fetchStatus: () => Promise.resolve(200), lineOfInput: () => Promise.resolve('') },
  };
  const call: Call = {
    ...{ around, words: [], flags: {}, json: false, progress: () => undefined },
    config: () => readConfig(stand.config, stand.home),
  };
  const { phone, close } = openRunner(call);
  t.after(() => {
    stop.abort();
    close();
  });
  return { ...phone, close, log, ended, stop: () => stop.abort() };
}

/** The runner in this process, for a stand; `ask` waits until what is asked for is found. */
export function answering(t: Test, stand: Awaited<ReturnType<typeof phoneStand>>) {
  const phone = openPhone(t, stand);
  const ask = async (what: Record<string, unknown>, user?: number) => {
    stand.ask(what, user);
    await phone.tick();
    await phone.resolving();
  };
  const confirm = (code = stand.code()) => ask({ verb: 'confirm', operation: stand.asked(), code });
  return { phone, ask, confirm };
}
