import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fromBase32 } from '../../src/gaia/two-factor/base32.ts';
import { codeAt, stepAt } from '../../src/gaia/two-factor/totp.ts';
import { startFakeTelegram } from '../fake-telegram.fixtures.ts';
import { type Engine, startEngine } from './docker.fixtures.ts';
import { commandsOf } from './emergency-page.fixtures.ts';
import { type Machine, machineName, startMachine } from './machine.fixtures.ts';
import { makeMirror } from './mirror.fixtures.ts';
import { fillMachine, home, packages } from './whole-machine.fixtures.ts';

/** The fire drill's machine with bus and agents beside it, a Telegram outside of it, and a phone with an authenticator. */
export type PhoneServer = {
  machine: Machine;
  telegram: Awaited<ReturnType<typeof startFakeTelegram>>;
  token: string;
  /** Known once `enroll` was done. */
  phone: { secret: string; backupCodes: string[] };
  /** Does what docs/emergency-bot.md says under “Set it up”, word for word; nothing is started before the last of it. */
  setUp(): Promise<void>;
  say(text: string, as?: 'owner' | 'stranger'): void;
  /** Waits for a message that was not there when this was called the last time, and answers it; it may be changed in its place. */
  heard(text: RegExp, withinMs?: number): Promise<{ message_id: number; text: string }>;
  /** From now on only what is said newly is heard. */
  mark(): void;
  /** The next code that was not used yet; waits for it where it must. */
  code(): Promise<string>;
  /** Power is lost and comes back; Telegram can be reached again after it. */
  reboot(): Promise<void>;
  end(): Promise<void>;
};

const checkout = join(import.meta.dirname, '../..');
const program = '/usr/local/lib/leveredge';
const telegramPort = 8443;
const page = 'emergency-bot';
const patienceMs = 60_000;
const emergency = { bot: 'emergency' } as const;
const owner = 5_550_001;

export async function makePhoneServer(): Promise<PhoneServer> {
  const ends: (() => Promise<void>)[] = [];
  const folder = mkdtempSync(join(tmpdir(), 'fire-phone-'));
  ends.push(async () => rmSync(folder, { recursive: true, force: true }));
  try {
    return await begin(folder, ends);
  } catch (error) {
    for (const end of ends.reverse()) await end();
    throw error;
  }
}

async function begin(folder: string, ends: (() => Promise<void>)[]): Promise<PhoneServer> {
  const installed = join(folder, 'program');
  const dist = join(installed, 'dist');
  mkdirSync(installed);
  for (const name of ['bin', 'package.json']) cpSync(join(checkout, name), join(installed, name), { recursive: true });
  execFileSync(process.execPath, [join(checkout, 'tools/build.ts'), dist], { stdio: 'pipe' });
  const engine: Engine = await startEngine();
  ends.push(() => engine.end());
  makeMirror(join(folder, 'mirror'), packages);
  const volumes = [`${join(folder, 'mirror')}:/mirror:ro`, '/var/lib/docker'];
  const own = [`${process.execPath}:/usr/local/bin/node:ro`, `${installed}:${program}:ro`];
  const machine = await startMachine(dist, { bare: true, volumes: [...volumes, ...own] });
  ends.push(async () => machine.destroy());
  const telegram = await startFakeTelegram({ after: (fn) => void ends.push(fn) }, { limits: { chatBurst: 1000 } });
  const line = await telegramLine(folder, telegram.port);
  ends.push(line.end);
  await line.connect();
  await install(machine);
  await fillMachine(machine);
  const phone = { secret: '', backupCodes: [] as string[] };
  const said = () => telegram.said(emergency);
  let seen = 0;
  let usedStep = 0;
  return {
    ...{ machine, telegram, phone, token: telegram.tokenOf('emergency') },
    setUp: () => setUp(machine, telegram.tokenOf('emergency'), phone),
    say: (text, as = 'owner') => void telegram.say(text, { ...emergency, as }),
    mark() {
      seen = said().at(-1)?.message_id ?? 0;
    },
    async heard(text, withinMs = patienceMs) {
      for (const end = performance.now() + withinMs; ; await pause(100)) {
        const found = said().find((message) => message.message_id > seen && text.test(message.text));
        if (found !== undefined) return found;
        if (performance.now() < end) continue;
        const { stdout } = await machine.sh('journalctl -u gaia-runner -u gaia-emergency -n 12 --no-pager -o cat');
        const texts = said().map((message) => `${message.message_id}: ${message.text}`);
        throw new Error(`never heard ${text}\n${texts.slice(-8).join('\n')}\n${stdout}`);
      }
    },
    async code() {
      const step = Math.max(stepAt(Date.now()), usedStep + 1, enrolledStep(phone) + 1);
      // One step ahead is taken, since phones go fast.
      while (stepAt(Date.now()) + 1 < step) await pause(200);
      usedStep = step;
      return codeAt(fromBase32(phone.secret) as Buffer, step);
    },
    async reboot() {
      await Promise.all([machine.reboot(), line.connectAnew()]);
    },
    async end() {
      for (const end of ends.reverse()) await end();
    },
  };
}

const enrolled = new WeakMap<object, number>();
const enrolledStep = (phone: object) => enrolled.get(phone) ?? 0;

/** Bus and agents as init makes them, and GAIA as the one executable that bootstrap.sh brings. */
async function install(machine: Machine): Promise<void> {
  // Nothing is done beside the test.
  const later = '[Service]\nEnvironment=CHRONOS_BEGINS_AFTER_MS=86400000\n';
  machine.write('/etc/systemd/system/chronos.service.d/later.conf', later);
  await machine.well(`node ${program}/bin/leveredge.mjs init --home ${home} --start`);
  // Its user and its units are made as without init.
  await machine.well('userdel gaia-bot && rm /etc/systemd/system/gaia-*.service && systemctl daemon-reload');
  await machine.well(`cd /usr/local/bin && rm gaia && install -m 0755 ${program}/dist/gaia gaia`);
}

async function setUp(machine: Machine, token: string, phone: PhoneServer['phone']): Promise<void> {
  const commands = commandsOf('Set it up', page);
  const starts = commands.filter((command) => command.startsWith('systemctl enable'));
  const first = commands.findIndex((command) => command.startsWith('useradd'));
  const made = commands.slice(first).filter((command) => !starts.includes(command));
  const files = commands.filter((command) => !made.includes(command) && !starts.includes(command));
  const script = files.join('\n').replace('123456789', String(owner));
  execFileSync('docker', ['exec', '-i', machineName, 'sh', '-ec', script], { input: `${token}\n` });
  const ended = await machine.terminal('gaia 2fa enroll', {
    answers: [
      [
        'The code that it shows now: ',
        (text) => {
          phone.secret = /^ {2}((?:[A-Z2-7]{4} ?)+)$/m.exec(text)?.[1]?.replaceAll(' ', '') ?? '';
          const step = stepAt(Date.now());
          enrolled.set(phone, step);
          return codeAt(fromBase32(phone.secret) as Buffer, step);
        },
      ],
    ],
  });
  if (ended.exit !== 0) throw new Error(ended.text);
  phone.backupCodes = [...ended.text.matchAll(/^ {2}([0-9a-z]{5}-[0-9a-z]{5})$/gim)].map(([, code]) => code as string);
  machine.write(
    '/etc/systemd/system/gaia-emergency.service.d/telegram.conf',
    `[Service]\nEnvironment=TELEGRAM_API_ROOT=http://127.0.0.1:${telegramPort}\n`,
  );
  for (const command of [...made, ...starts]) await machine.well(command);
}

/** The one way out of the machine, which has no network: a port on its loopback is Telegram's here. It is gone when the machine is. */
async function telegramLine(folder: string, port: number) {
  const path = join(folder, 'telegram.sock');
  const sockets = createServer((from) => {
    const to = connect(port, '127.0.0.1');
    for (const [one, other] of [
      [from, to],
      [to, from],
    ] as const) {
      one.pipe(other);
      one.on('error', () => other.destroy());
    }
  }).listen(path);
  await once(sockets, 'listening');
  let line: ReturnType<typeof spawn> | undefined;
  const cut = async () => {
    if (line === undefined || line.exitCode !== null || line.signalCode !== null) return;
    const ended = once(line, 'exit');
    line.kill('SIGKILL');
    await ended;
  };
  const pidOf = () =>
    execFileSync('docker', ['inspect', '--format', '{{.State.Pid}}', machineName], { encoding: 'utf8' }).trim();
  let machinePid = '';
  const connectTo = async (pid: string) => {
    await cut();
    machinePid = pid;
    const code = `const { connect, createServer } = require('node:net');
        createServer((from) => { const to = connect(${JSON.stringify(path)});
          for (const [one, other] of [[from, to], [to, from]]) { one.pipe(other); one.on('error', () => other.destroy()); }
        }).listen(${telegramPort}, '127.0.0.1', () => console.log('listens'));`;
    line = spawn('nsenter', ['--target', pid, '--net', process.execPath, '-e', code], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(line.stdout as NodeJS.ReadableStream, 'data');
  };
  return {
    connect: () => connectTo(pidOf()),
    /** To the machine that takes the place of this one. */
    async connectAnew() {
      let pid = machinePid;
      while (pid === machinePid || pid === '0') {
        await pause(50);
        pid = pidOf();
      }
      await connectTo(pid);
    },
    async end() {
      await cut();
      sockets.close();
    },
  };
}
