import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { people } from '../src/channels/telegram/fake/world.ts';
import { makeClient } from '../src/client/client.ts';
import { start } from '../test/cli-run.fixtures.ts';
import { fakeBots, startFakeTelegram } from '../test/fake-telegram.fixtures.ts';
import { makeStand } from '../test/recovery/gaia.fixtures.ts';

/** At a message a second, which is what both bots send in a chat, this takes five minutes. */
const messages = 300;
const hurriedMessages = 10;
/** An answer for each message, so that more than one are never on the way; longer is stuck. */
const answerMs = 60_000;
/** After the last one; what is garbage then may go. */
const restMs = 10_000;

/** MiB resident after the first answer, and after all; and how much of that is the process’ own, and no page of a file. */
type Taken = { first: number; last: number; own: number };
export type MemoryResult = { messages: number; control: Taken; bundle: Taken; executable: Taken };

type Ends = { after(end: () => unknown): void };
type Bot = 'control' | 'emergency';

/** What the processes of both bots take after so many messages that each answered, as they are installed: MiB resident. */
export async function benchTelegramMemory(quick: boolean, note: (line: string) => void): Promise<MemoryResult> {
  const ends: (() => unknown)[] = [];
  const t: Ends = { after: (end) => void ends.push(end) };
  const dist = mkdtempSync(join(tmpdir(), 'bench-bots-'));
  t.after(() => rmSync(dist, { recursive: true, force: true }));
  try {
    execFileSync(process.execPath, [join(import.meta.dirname, '../tools/build.ts'), dist], { stdio: 'ignore' });
    // Pages of what was written just now count for more until they are on disk.
    execFileSync('sync');
    const count = quick ? hurriedMessages : messages;
    const gaia = join(dist, 'gaia.mjs');
    // Side by side: each sleeps nearly all the time.
    const [control, bundle, executable] = await Promise.all([
      controlBot(t, join(dist, 'leveredge.mjs'), count),
      emergencyBot(t, [process.execPath, gaia], gaia, count),
      emergencyBot(t, [join(dist, 'gaia')], gaia, count),
    ]);
    note(`control bot ${control.last} MiB, emergency bot ${bundle.last} MiB, as executable ${executable.last} MiB`);
    return { messages: count, control, bundle, executable };
  } finally {
    for (const end of ends.reverse()) await end();
  }
}

async function controlBot(t: Ends, program: string, count: number): Promise<Taken> {
  const { home } = makeStand(t);
  const fake = await startFakeTelegram(t);
  const node = [process.execPath, program];
  const bus = start(['bus', '--home', home, '--port', '0', '--json'], {}, node);
  t.after(() => bus.child.kill('SIGKILL'));
  const [line] = await bus.says('stdout', /^\{.*\}$/);
  const { url } = JSON.parse(line) as { url: string };
  const env = { LEVEREDGE_HOME: home, LEVEREDGE_URL: url, TELEGRAM_API_ROOT: fake.url };
  const token = { TELEGRAM_CONTROL_BOT_TOKEN: fakeBots.control };
  await start(['telegram', 'setup', '--user', String(people.owner.id)], { ...env, ...token }, node).ended;
  const bot = start(['telegram', 'bot'], { ...env, ...token }, node);
  t.after(() => bot.child.kill('SIGKILL'));
  const client = makeClient({ url });
  let asked = 0;
  return afterMessages(fake, 'control', bot.child.pid as number, count, async (say) => {
    const kinds = ['/help', '/events', '/status', '/pending', '/silence', 'check system health'];
    if (asked++ % 10 !== 9) return say(kinds[asked % kinds.length] as string);
    // Questions come too, and what went wrong.
    const human_question = `Shall we, number ${asked}?`;
    const question = { requires_human: true, human_question, human_options: ['yes', 'no'] };
    await client.publish({ source_agent: 'HADES', action: 'shall_we', target: null, ...question });
  });
}

async function emergencyBot(t: Ends, program: string[], gaia: string, count: number): Promise<Taken> {
  const { home, config } = makeStand(t, { more: 'health: none' });
  const fake = await startFakeTelegram(t);
  writeFileSync(join(home, 'gaia', '.telegram_token'), `${fakeBots.emergency}\n`, { mode: 0o600 });
  writeFileSync(join(home, 'gaia', '.authorized_users'), `${people.owner.id}\n`, { mode: 0o600 });
  const env = { LEVEREDGE_HOME: home, TELEGRAM_API_ROOT: fake.url };
  const runner = start(['runner', '--config', config], env, [process.execPath, gaia]);
  t.after(() => runner.child.kill('SIGKILL'));
  // It makes the folders in which the two meet.
  while (!existsSync(join(home, 'shared', 'emergency', 'replies'))) await pause(100);
  const bot = start(['bot', '--config', config], env, program);
  t.after(() => bot.child.kill('SIGKILL'));
  const kinds = ['/start', '/status', '/list', '/list dev'];
  let asked = 0;
  return afterMessages(fake, 'emergency', bot.child.pid as number, count, (say) =>
    say(kinds[asked++ % kinds.length] as string),
  );
}

type Fake = Awaited<ReturnType<typeof startFakeTelegram>>;

async function afterMessages(
  fake: Fake,
  bot: Bot,
  pid: number,
  count: number,
  next: (say: (text: string) => void) => unknown,
): Promise<Taken> {
  let first = 0;
  for (let n = 0; n < count; n++) {
    const before = fake.said({ bot }).length;
    await next((text) => fake.say(text, { bot }));
    for (const began = performance.now(); fake.said({ bot }).length === before; await pause(100))
      if (performance.now() - began > answerMs) throw new Error(`The ${bot} bot does not answer.`);
    if (n > 0) continue;
    await pause(restMs);
    first = mibOf(pid, 'VmRSS');
  }
  await pause(restMs);
  return { first, last: mibOf(pid, 'VmRSS'), own: mibOf(pid, 'RssAnon') };
}

function mibOf(pid: number, what: 'VmRSS' | 'RssAnon'): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const kib = status
    .split('\n')
    .find((line) => line.startsWith(`${what}:`))
    ?.replace(/\D/g, '');
  return Math.round(Number(kib) / 1024);
}

/** The part of docs/performance.md about what the bots take. */
export function memoryLines({ messages: count, control, bundle, executable }: MemoryResult): string[] {
  const row = (what: string, { first, last, own }: Taken, most: number) =>
    `| ${what} | ${first} | ${last} | ${own} | under ${most} | ${last < most ? 'yes' : '**no**'} |`;
  return [
    `MiB resident, each a process beside its bus or runner as they are installed; after the first answer, and after ${count} messages at a message a second, each answered. The rest beside what is its own are pages of the program, which the kernel can drop.`,
    '',
    `| what | first | after ${count} | its own | wanted | met |`,
    '|---|---|---|---|---|---|',
    row('the control bot', control, 90),
    row('the emergency bot, `gaia.mjs`', bundle, 70),
    row('the emergency bot, the executable `gaia`', executable, 70),
  ];
}
