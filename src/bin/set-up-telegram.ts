import { renameSync, rmSync } from 'node:fs';
import { createInterface, type Interface } from 'node:readline';
import { Exit } from '../base/exit.ts';
import { Fault } from '../base/fault.ts';
import { writePrivately } from '../base/private-file.ts';
import { shellWord } from '../base/shell-word.ts';
import { databaseFileIn } from '../bus/database-file.ts';
import type { Conclusion } from '../channels/cli/conclusion.ts';
import type { Tokens } from '../channels/cli/door.ts';
import { telegramAgent } from '../channels/telegram/noticed.ts';
import { telegramPlaces } from '../channels/telegram/places.ts';
import { personScopes, serviceScopes } from '../channels/telegram/scopes.ts';
import { confirmUser, isBotToken } from '../channels/telegram/set-up.ts';
import { type TelegramSettings, usuallyTold } from '../channels/telegram/settings.ts';
import { askSecret } from './ask-secret.ts';
import type { Env } from './bus-settings.ts';
import { telegramFiles, tokenIn } from './telegram-files.ts';

type Here = {
  home: string;
  botTokenFile: string | undefined;
  env: Env;
  /** Who sits here. */
  user: string;
  tokens: Tokens;
  signal: AbortSignal;
  say(line: string): void;
};

/** Sets the control bot up in three steps; what is there already is kept, but who it listens to. @throws Fault */
export async function setUpTelegram(here: Here, user: number | undefined): Promise<Conclusion> {
  const { home, env, signal, say, tokens } = here;
  const places = telegramPlaces(home);
  const files = telegramFiles(home, {});
  const lines = linesTyped(signal);
  try {
    const tokenFile = here.botTokenFile ?? places.botToken;
    const token = await firstStep(here, () => files.botToken(here.botTokenFile), tokenFile, lines.ask);
    const apiRoot = env.TELEGRAM_API_ROOT || undefined;
    const confirmed = await confirmUser({ token, apiRoot, user, say, ask: lines.ask, signal }).catch(
      (error: unknown) => {
        throw error instanceof Fault && error.code === 'unauthorized' ? insteadOf(tokenFile, error) : error;
      },
    );
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
    const tell = files.settings()?.tell ?? usuallyTold;
    replace(places.settings, { person: here.user, users: [confirmed.user], tell });
    return {
      exit: Exit.ok,
      lines: [`@${confirmed.bot} listens to ${confirmed.user.id} alone.`, `Its settings lie in ${places.settings}`],
      json: { bot: confirmed.bot, user: confirmed.user.id, settings: places.settings, made },
      notes: made.includes(places.personToken) ? [] : await olderNotes(here, database),
    };
  } finally {
    lines.close();
  }
}

/** Of a token that approves without a code, which no newer one does. It is kept: it may have been made so on purpose. */
async function olderNotes({ home, user, tokens }: Here, database: string): Promise<string[]> {
  const older = (await tokens.list(database)).filter(
    ({ name, kind, scopes, revokedAt }) =>
      name === user && kind === 'person' && revokedAt === null && [...scopes].sort().join() === olderScopes,
  );
  if (older.length === 0) return [];
  return [
    'The bot has a token of before, with which a yes needs no code of your authenticator. For a new one:',
    ...older.map(({ id }) => `  leveredge token revoke ${id}`),
    `  mv ${shellWord(telegramPlaces(home).personToken)} ~; leveredge telegram setup`,
  ];
}

const olderScopes = ['answer', 'approve', 'call:*', 'read'].join();

/** The token: as the environment or the file has it, else typed, and then written down. */
async function firstStep(
  { env, say, signal }: Here,
  written: () => string | undefined,
  file: string,
  ask: (question: string) => Promise<string | undefined>,
): Promise<string> {
  if (env.TELEGRAM_CONTROL_BOT_TOKEN) return env.TELEGRAM_CONTROL_BOT_TOKEN;
  const there = written();
  if (there !== undefined) {
    say(`1. The token in ${file} is used.`);
    return there;
  }
  say('1. In Telegram, write /newbot to @BotFather. It gives your bot a name and a token.');
  const question = '   Paste the token here (it is not shown): ';
  const typed = ((await askSecret(question, signal)) ?? (await ask(question)))?.trim();
  if (!typed || !isBotToken(typed))
    throw new Fault('usage', 'That is no token of a Telegram bot.', {
      hint: 'It is one line such as 123456:ABC…, as @BotFather says it.',
    });
  writePrivately(file, `${typed}\n`);
  say(`   It is kept in ${file}, for your eyes only.`);
  return typed;
}

/** A token that lies there would be taken again. */
function insteadOf(file: string, { message, cause }: Fault): Fault {
  return new Fault('unauthorized', message, {
    hint: `Get a new one from @BotFather and move the old one away (${file}), then: leveredge telegram setup`,
    cause,
  });
}

/** The lines of standard input, one for each question, which goes to stderr. */
function linesTyped(signal: AbortSignal) {
  let input: Interface | undefined;
  let lines: AsyncIterator<string, undefined> | undefined;
  signal.addEventListener('abort', () => input?.close(), { once: true });
  return {
    async ask(question: string): Promise<string | undefined> {
      // Not before the first question: until then the terminal is that of the token.
      input ??= createInterface({ input: process.stdin, terminal: false });
      lines ??= input[Symbol.asyncIterator]();
      process.stderr.write(question);
      const { value, done } = await lines.next();
      return done ? undefined : value;
    },
    close() {
      input?.close();
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
