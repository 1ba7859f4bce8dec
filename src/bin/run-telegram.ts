import { existsSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { setFlagsFromString } from 'node:v8';
import { systemClock } from '../base/clock.ts';
import { Exit } from '../base/exit.ts';
import { Fault } from '../base/fault.ts';
import { makeLog, printable } from '../base/log.ts';
import { readPrivately, writePrivately } from '../base/private-file.ts';
import { databaseFileIn } from '../bus/database-file.ts';
import { ownersTokenIn } from '../bus/owners-token.ts';
import { allCapabilities } from '../capabilities/all-capabilities.ts';
import type { Conclusion } from '../channels/cli/conclusion.ts';
import type { Tokens } from '../channels/cli/door.ts';
import { runControlBot } from '../channels/telegram/control-bot.ts';
import { openJournal } from '../channels/telegram/journal.ts';
import { telegramAgent } from '../channels/telegram/noticed.ts';
import { telegramPlaces } from '../channels/telegram/places.ts';
import { personScopes, serviceScopes } from '../channels/telegram/scopes.ts';
import { confirmUser, isBotToken } from '../channels/telegram/set-up.ts';
import { parseSettings, type TelegramSettings, usuallyTold } from '../channels/telegram/settings.ts';
import { smallFetch } from '../channels/telegram/small-fetch.ts';
import { makeClient } from '../client/client.ts';
import { sleepUnlessAborted } from '../client/patience.ts';
import type { Env } from './bus-settings.ts';
import { codesHere } from './codes-here.ts';

type Here = {
  home: string;
  url: string;
  botTokenFile: string | undefined;
  env: Env;
  /** Who sits here. */
  user: string;
  tokens: Tokens;
  signal: AbortSignal;
  say(line: string): void;
};

/** Runs the control bot until the signal. @throws Fault */
export async function runTelegramBot(
  here: Here,
  { json, quiet }: { json: boolean; quiet: boolean },
): Promise<Conclusion> {
  const { home, url, env, signal } = here;
  // It waits nearly all the time, for years, on small servers: room for garbage is not worth its memory.
  for (const flag of ['--semi-space-growth-factor=1', '--optimize-for-size']) setFlagsFromString(flag);
  const places = telegramPlaces(home);
  const settings = settingsIn(places.settings);
  const token = env.TELEGRAM_CONTROL_BOT_TOKEN || botTokenIn(here.botTokenFile ?? places.botToken);
  if (token === undefined) throw notSetUp();
  const person = tokenIn(places.personToken) ?? tokenIn(ownersTokenIn(home));
  const journal = openJournal(places.journal, systemClock);
  try {
    await runControlBot({
      token,
      apiRoot: env.TELEGRAM_API_ROOT || undefined,
      settings,
      person: makeClient({ url, token: person, fetcher: smallFetch }),
      personName: settings.person,
      service: makeClient({ url, token: tokenIn(places.serviceToken) ?? person, fetcher: smallFetch }),
      capabilities: allCapabilities,
      codes: codesHere({ home, env, signal }),
      journal,
      log: makeLog((line) => process.stderr.write(line), systemClock),
      clock: systemClock,
      signal,
      sleep: sleepUnlessAborted,
      onReady: (username) => process.stdout.write(started(username, url, { json, quiet })),
    });
  } finally {
    journal.close();
  }
  return { exit: Exit.ok, notes: ['Stopped. What was not sent yet goes out at the next start.'] };
}

/** It runs on after it has said this, so it is no conclusion but goes out at once. */
function started(bot: string, url: string, { json, quiet }: { json: boolean; quiet: boolean }): string {
  if (json) return `${JSON.stringify({ bot, bus: url, pid: process.pid })}\n`;
  return quiet ? '' : `@${printable(bot)} listens on Telegram, for the bus at ${url}\nCtrl-C stops it.\n`;
}

const tokenIn = (file: string) => readPrivately(file)?.trim() || undefined;

/** @throws Fault `forbidden` when others can read it, `usage` */
function botTokenIn(file: string): string | undefined {
  const token = tokenIn(file);
  if (token === undefined || isBotToken(token)) return token;
  throw new Fault('usage', `${file} holds no token of a Telegram bot.`, {
    hint: 'It is one line such as 123456:ABC…, as @BotFather says it. Move the file away, then: leveredge telegram setup',
  });
}

const notSetUp = () =>
  new Fault('not-found', 'The control bot is not set up yet.', { hint: 'Set it up: leveredge telegram setup' });

function settingsIn(file: string): TelegramSettings {
  if (!existsSync(file)) throw notSetUp();
  return parseSettings(readFileSync(file, 'utf8'), file);
}

/** Sets the control bot up in three steps; what is there already is kept, but who it listens to. @throws Fault */
export async function setUpTelegram(here: Here, user: number | undefined): Promise<Conclusion> {
  const { home, env, signal, say, tokens } = here;
  const places = telegramPlaces(home);
  const lines = linesTyped(signal);
  try {
    const tokenFile = here.botTokenFile ?? places.botToken;
    const token = await firstStep(here, tokenFile, lines.ask);
    const apiRoot = env.TELEGRAM_API_ROOT || undefined;
    const confirmed = await confirmUser({ token, apiRoot, user, say, ask: lines.ask, signal });
    const database = databaseFileIn(home);
    const made: string[] = [];
    const give = async (file: string, wanted: Parameters<Tokens['create']>[1]) => {
      if (tokenIn(file) !== undefined) return;
      await tokens.create(database, wanted, file);
      made.push(file);
    };
    const limits = { per_minute: null, expires_in_ms: null };
    await give(places.personToken, { name: here.user, kind: 'person', scopes: [...personScopes], ...limits });
    await give(places.serviceToken, {
      name: telegramAgent,
      kind: 'tool',
      scopes: [...serviceScopes],
      ...limits,
    });
    const tell = existsSync(places.settings) ? settingsIn(places.settings).tell : usuallyTold;
    replace(places.settings, { person: here.user, users: [confirmed.user], tell });
    return {
      exit: Exit.ok,
      lines: [`@${confirmed.bot} listens to ${confirmed.user.id} alone.`, `Its settings lie in ${places.settings}`],
      json: { bot: confirmed.bot, user: confirmed.user.id, settings: places.settings, made },
      notes: ['Start it: leveredge telegram bot'],
    };
  } finally {
    lines.close();
  }
}

/** The token: as the environment or the file has it, else typed, and then written down. */
async function firstStep(
  { env, say }: Here,
  file: string,
  ask: (question: string) => Promise<string | undefined>,
): Promise<string> {
  if (env.TELEGRAM_CONTROL_BOT_TOKEN) return env.TELEGRAM_CONTROL_BOT_TOKEN;
  const there = botTokenIn(file);
  if (there !== undefined) {
    say(`1. The token in ${file} is used.`);
    return there;
  }
  say('1. In Telegram, write /newbot to @BotFather. It gives your bot a name and a token.');
  const typed = (await ask('   Paste the token here: '))?.trim();
  if (!typed || !isBotToken(typed))
    throw new Fault('usage', 'That is no token of a Telegram bot.', {
      hint: 'It is one line such as 123456:ABC…, as @BotFather says it.',
    });
  writePrivately(file, `${typed}\n`);
  say(`   It is kept in ${file}, for your eyes only.`);
  return typed;
}

/** The lines of standard input, one for each question, which goes to stderr. */
function linesTyped(signal: AbortSignal) {
  const input = createInterface({ input: process.stdin, terminal: false });
  const lines = input[Symbol.asyncIterator]();
  signal.addEventListener('abort', () => input.close(), { once: true });
  return {
    async ask(question: string): Promise<string | undefined> {
      process.stderr.write(question);
      const { value, done } = await lines.next();
      return done ? undefined : value;
    },
    close() {
      input.close();
      process.stdin.unref?.();
    },
  };
}

/** Written beside and renamed, so that a bot that starts just now reads the old or the new one. */
function replace(file: string, settings: TelegramSettings): void {
  const beside = `${file}.new`;
  rmSync(beside, { force: true });
  writePrivately(beside, `${JSON.stringify(settings, undefined, 2)}\n`);
  renameSync(beside, file);
}
