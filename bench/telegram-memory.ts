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

export type MemoryResult = { messages: number; control: number; bundle: number; executable: number };

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
    const count = quick ? hurriedMessages : messages;
    const gaia = join(dist, 'gaia.mjs');
    // Side by side: each sleeps nearly all the time.
    const [control, bundle, executable] = await Promise.all([
      controlBot(t, join(dist, 'leveredge.mjs'), count),
      emergencyBot(t, [process.execPath, gaia], gaia, count),
      emergencyBot(t, [join(dist, 'gaia')], gaia, count),
    ]);
    note(`control bot ${control} MiB, emergency bot ${bundle} MiB, as executable ${executable} MiB`);
    return { messages: count, control, bundle, executable };
  } finally {
    for (const end of ends.reverse()) await end();
  }
}

async function controlBot(t: Ends, program: string, count: number): Promise<number> {
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

async function emergencyBot(t: Ends, program: string[], gaia: string, count: number): Promise<number> {
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
): Promise<number> {
  for (let n = 0; n < count; n++) {
    const before = fake.said({ bot }).length;
    await next((text) => fake.say(text, { bot }));
    for (const began = performance.now(); fake.said({ bot }).length === before; await pause(100))
      if (performance.now() - began > answerMs) throw new Error(`The ${bot} bot does not answer.`);
  }
  await pause(restMs);
  const kib = Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
  return Math.round(kib / 1024);
}

/** The part of docs/performance.md about what the bots take. */
export function memoryLines({ messages: count, control, bundle, executable }: MemoryResult): string[] {
  const row = (what: string, most: number, mib: number) =>
    `| ${what} | under ${most} | ${mib} | ${mib < most ? 'yes' : '**no**'} |`;
  return [
    `MiB resident after ${count} messages, each answered, at a message a second; as they are installed, each a process beside its bus or runner.`,
    '',
    '| what | wanted | measured | met |',
    '|---|---|---|---|',
    row('the control bot', 90, control),
    row('the emergency bot, `gaia.mjs`', 70, bundle),
    row('the emergency bot, the executable `gaia`', 90, executable),
  ];
}
