import { type Args, jsonArg, numberArg } from './body.ts';
import { Refused } from './refusals.ts';
import type { Bot, Update } from './world.ts';

const maxUpdates = 100;
/** Telegram waits no longer either, whatever is asked for. */
const longestPollSeconds = 50;
/** Confirmed updates that can be made to come again. */
const maxRemembered = 200;

/**
 * getUpdates: the updates from `offset` on, as soon as there are any or the time is over. Those before the offset are confirmed
 * and gone. A second poll ends the first one: there is one at a time.
 * @throws Refused `other-poller`, `token-unknown`
 */
export async function getUpdates(bot: Bot, args: Args, signal: AbortSignal): Promise<Update[]> {
  const allowed = jsonArg(args, 'allowed_updates');
  if (Array.isArray(allowed)) bot.allowed = allowed.length === 0 ? undefined : allowed.map(String);
  bot.poll?.end('other-poller');
  confirm(bot, numberArg(args, 'offset') ?? 0);
  const limit = Math.min(Math.max(numberArg(args, 'limit') ?? maxUpdates, 1), maxUpdates);
  const timeout = Math.min(Math.max(numberArg(args, 'timeout') ?? 0, 0), longestPollSeconds);
  // What is not wanted is not kept for later.
  const wanted = ({ update_id: _, ...rest }: Update) =>
    Object.keys(rest).every((kind) => bot.allowed?.includes(kind) ?? true);
  const ready = () => {
    bot.queue = bot.queue.filter(wanted);
    return bot.queue.slice(0, limit);
  };
  if (ready().length > 0 || timeout === 0 || signal.aborted) return ready();
  await waitFor(bot, timeout * 1000, () => ready().length > 0, signal);
  return ready();
}

function confirm(bot: Bot, offset: number): void {
  if (offset < 0) bot.confirmed.push(...bot.queue.splice(0, Math.max(0, bot.queue.length + offset)));
  else bot.confirmed.push(...bot.queue.filter(({ update_id }) => update_id < offset));
  bot.queue = bot.queue.filter(({ update_id }) => offset < 0 || update_id >= offset);
  bot.confirmed.splice(0, bot.confirmed.length - maxRemembered);
}

function waitFor(bot: Bot, ms: number, isReady: () => boolean, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', over);
      if (bot.poll === poll) bot.poll = undefined;
    };
    const over = () => {
      stop();
      resolve();
    };
    const poll = {
      wake: () => {
        if (isReady()) over();
      },
      end: (because: 'other-poller' | 'token-unknown') => {
        stop();
        reject(new Refused(because));
      },
    };
    const timer = setTimeout(over, ms);
    signal.addEventListener('abort', over, { once: true });
    bot.poll = poll;
  });
}
