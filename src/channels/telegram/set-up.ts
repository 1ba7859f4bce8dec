import { Api, GrammyError } from 'grammy';
import type { User } from 'grammy/types';
import { Fault, reasonOf } from '../../base/fault.ts';
import { isRevoked, noToken } from './poll-updates.ts';
import { telegramClient } from './telegram-client.ts';

export type SetUp = {
  token: string;
  apiRoot?: string | undefined;
  /** Already confirmed by whoever typed it on the server. */
  user: number | undefined;
  /** Tells what to do next. */
  say(line: string): void;
  /** A line that is typed on the server; undefined when there are no more. */
  ask(question: string): Promise<string | undefined>;
  signal: AbortSignal;
};

const pollSeconds = 20;
const callSeconds = 30;
/** How long somebody has to find the bot on their phone. */
const maxPolls = 45;
const maxQuestions = 5;

/** Whether this looks like a token of @BotFather. */
export const isBotToken = (text: string) => /^\d{3,15}:[\w-]{30,60}$/.test(text);

/**
 * The last two steps: waits for /start, shows who sent it, and has whoever sits at the server confirm the number. Somebody else may
 * find the bot first, so the number is typed and not only nodded at. @throws Fault
 */
export async function confirmUser(setUp: SetUp): Promise<{ bot: string; user: { id: number; name: string } }> {
  const { token, apiRoot, say, user, signal } = setUp;
  const api = new Api(token, telegramClient(apiRoot, callSeconds));
  try {
    const { username } = await api.getMe(signal as never);
    if (user !== undefined) return { bot: username, user: { id: user, name: String(user) } };
    say(`2. On your phone, open https://t.me/${username} and send it /start.`);
    return { bot: username, user: await whoStarts(api, setUp) };
  } catch (error) {
    if (error instanceof Fault || signal.aborted) throw error;
    if (isRevoked(error)) throw noToken(error);
    if (error instanceof GrammyError && error.error_code === 409) throw isRead(error);
    throw new Fault('unreachable', `Telegram cannot be asked (${reasonOf(error)}).`, {
      hint: 'Look whether this machine reaches https://api.telegram.org, then try again.',
      cause: error,
    });
  }
}

async function whoStarts(api: Api, { say, ask, signal }: SetUp): Promise<{ id: number; name: string }> {
  const refused = new Set<number>();
  let offset: number | undefined;
  let questions = 0;
  for (let poll = 0; poll < maxPolls; poll++) {
    const updates = await api.getUpdates(
      { timeout: pollSeconds, allowed_updates: ['message'], ...(offset === undefined ? {} : { offset }) },
      signal as never,
    );
    for (const { update_id, message } of updates) {
      offset = update_id + 1;
      const from = message?.from;
      if (from === undefined || message?.chat.type !== 'private' || !message.text?.startsWith('/start')) continue;
      if (refused.has(from.id) || ++questions > maxQuestions) continue;
      say(`3. ${nameOf(from)} sent /start. Their number is ${from.id}.`);
      const typed = (await ask('   If that is you, type the number (or Enter, to wait for another): '))?.trim();
      if (typed === undefined) throw nobodyConfirmed();
      if (typed === String(from.id)) {
        await api.getUpdates({ offset, timeout: 0 }, signal as never);
        return { id: from.id, name: from.username ?? from.first_name };
      }
      refused.add(from.id);
      say('   Not taken. Send /start from your own phone.');
    }
  }
  throw new Fault('not-found', 'Nobody sent /start to the bot.', { hint: 'Start again: leveredge telegram setup' });
}

/** Of two who read the messages of a bot Telegram sends one away. */
const isRead = (cause: unknown) =>
  new Fault('conflict', 'Another program reads the messages of this bot, so /start cannot be seen here.', {
    hint: 'If the bot runs already, stop it, run setup, and start it again: sudo systemctl stop leveredge-telegram, or Ctrl-C where leveredge up or leveredge telegram bot runs.',
    cause,
  });

const nobodyConfirmed = () =>
  new Fault('usage', 'Nobody confirmed the number.', {
    hint: 'Run it at a terminal, or give the number with --user.',
  });

/** What people call themselves is hostile text; control characters are made harmless where it is shown. */
const nameOf = ({ first_name, username }: User) =>
  username === undefined ? first_name : `${first_name} (@${username})`;
