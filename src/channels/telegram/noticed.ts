import { type Clock, rfc3339 } from '../../base/clock.ts';
import { reasonOf } from '../../base/fault.ts';
import type { JsonObject } from '../../base/json.ts';
import type { Log } from '../../base/log.ts';
import type { Client } from '../../client/client.ts';
import type { Stranger } from './gatekeeper.ts';
import type { Journal } from './journal.ts';

/** As whom the bot says what it noticed. */
export const telegramAgent = 'TELEGRAM';

/** Whose message that was, by Telegram's numbers, and what it was to confirm. */
export type RefusedCode = { user: number; message: number; question: string };

/** What the bot notices by itself, as events: each once, however often it comes. */
export type Noticed = {
  /** Once a day for each. */
  stranger(stranger: Stranger): Promise<void>;
  /** A code that did not confirm what somebody said yes to. Without the code. */
  codeRefused(refused: RefusedCode): Promise<void>;
  /** Once an hour: whoever reads this bot's updates has its token. */
  otherPoller(): Promise<void>;
};

type Deps = { service: Pick<Client, 'publish'>; journal: Journal; log: Log; clock: Clock; bot: string };

const hourDigits = 13;
const dayDigits = 10;
/** Strangers that are told in a day; more is one person with many names, or many who try. */
const maxStrangersADay = 50;

export function makeNoticed({ service, journal, log, clock, bot }: Deps): Noticed {
  /** Told already in this time, or told now. */
  const isFirst = (name: string, period: string): boolean => {
    if (journal.get(name) === period) return false;
    journal.set(name, period);
    return true;
  };
  const publish = async (id: string, action: string, details: JsonObject) => {
    try {
      await service.publish({ id, source_agent: telegramAgent, action, target: null, details });
    } catch (error) {
      // Logged above in any case; a bus that is away must not keep updates waiting.
      log.warn('the bus was not told', { action, because: reasonOf(error) });
    }
  };
  return {
    async stranger({ id, name, where }) {
      const day = rfc3339(clock()).slice(0, dayDigits);
      const today = JSON.parse(journal.get('strangers') ?? '{}') as { day?: string; ids?: number[] };
      const ids = today.day === day ? (today.ids ?? []) : [];
      if (ids.includes(id) || ids.length >= maxStrangersADay) return;
      journal.set('strangers', JSON.stringify({ day, ids: [...ids, id] }));
      log.warn('the bot was written to by somebody it does not answer', { user: id, where });
      await publish(`telegram-stranger-${id}-${day}`, 'telegram_stranger', {
        says:
          where === 'private'
            ? 'Somebody who is not listed wrote to the control bot. Nothing was answered.'
            : 'Somebody wrote to the control bot in a group. Nothing was answered: it talks in private chats alone.',
        user_id: id,
        username: name,
        where,
      });
    },
    async codeRefused({ user, message, question }) {
      await publish(`telegram-code-refused-${bot}-${user}-${message}`, 'telegram_code_refused', {
        says: 'A code was not taken, so that nothing was decided.',
        user_id: user,
        question,
      });
    },
    async otherPoller() {
      const hour = rfc3339(clock()).slice(0, hourDigits);
      if (!isFirst('other poller', hour)) return;
      log.error('somebody else reads the updates of this bot', { bot });
      await publish(`telegram-other-poller-${bot}-${hour}`, 'telegram_other_poller', {
        says: `Somebody else reads the messages of @${bot} with its token. If no second bot of yours runs, the token is stolen: revoke it with /revoke at @BotFather, then run: leveredge telegram setup`,
        bot,
      });
    },
  };
}
