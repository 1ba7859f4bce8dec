import { setTimeout as pause } from 'node:timers/promises';
import { viewOf, type Where } from '../src/channels/telegram/fake/play.ts';
import { type FakeTelegram, fakeBots, startFakeTelegram as start } from '../src/channels/telegram/fake/start.ts';
import type { Trouble } from '../src/channels/telegram/fake/trouble.ts';
import type { PersonName } from '../src/channels/telegram/fake/world.ts';

export { fakeBots };
/** What a person sees in a chat with a bot. */
export type ChatView = ReturnType<typeof viewOf>;
type BotName = keyof typeof fakeBots;
type Who = { bot?: BotName; as?: PersonName; where?: Where };
type Saying = Who & { answers?: number };

/** Long enough for a slow machine; every test ends long before. */
const patienceMs = 20_000;

/** A strict Telegram for one test, and the people to play. Give its `url` to a bot as TELEGRAM_API_ROOT. */
export async function startFakeTelegram(
  t: { after(fn: () => Promise<void>): void },
  options: Parameters<typeof start>[0] = {},
) {
  const fake = await start(options);
  t.after(() => fake.close());
  return playedBy(fake);
}

function playedBy(fake: FakeTelegram) {
  const { world, play, troubles } = fake;
  const botNamed = (name: BotName) => {
    const bot = world.bots.find((each) => each.name === name);
    if (!bot) throw new Error(`no bot ${name}`);
    return bot;
  };
  const chat = ({ bot = 'control', as = 'owner', where = 'private' }: Who = {}): ChatView =>
    viewOf(world, botNamed(bot), as, where);
  return {
    ...fake,
    tokenOf: (bot: BotName) => fakeBots[bot],
    bot: botNamed,
    chat,
    /** What the bot said in this chat, the newest last. */
    said: (who: Who = {}) => chat(who).messages.filter(({ from }) => from === 'bot'),
    say: (text: string, { bot = 'control', as = 'owner', where = 'private', answers }: Saying = {}) =>
      play.say(botNamed(bot), { as, where, text, answers }).message_id,
    forward: (text: string, from: PersonName, { bot = 'control', as = 'owner', where = 'private' }: Who = {}) =>
      play.forward(botNamed(bot), { as, where, text, from }).message_id,
    edit: (message_id: number, text: string, { bot = 'control', as = 'owner' }: Who = {}) =>
      play.edit(botNamed(bot), { as, message_id, text }),
    /** Taps a button by its text or place. `data`: one that is gone from other screens. */
    tap: (
      message_id: number,
      button: string | number | { data: string },
      { bot = 'control', as = 'owner' }: Who = {},
    ) =>
      play.tap(botNamed(bot), {
        as,
        message_id,
        ...(typeof button === 'object' ? { data: button.data } : { button }),
      }),
    block: (on: boolean, { bot = 'control', as = 'owner' }: Who = {}) => play.block(botNamed(bot), { as, on }),
    revoke: (on: boolean, bot: BotName = 'control') => play.revoke(botNamed(bot), on),
    repeat: (count: number, bot: BotName = 'control') => play.repeat(botNamed(bot), count),
    trouble: (
      kind: Trouble['kind'],
      { bot = 'control', method, times = 1, retryAfter = 1 }: Partial<Trouble> & Who = {},
    ) => troubles.add(bot, { kind, method: method?.toLowerCase(), times, retryAfter }),
    refused: () => world.refused,
    /** Waits until what a person sees is so. @throws when it never is */
    async eventually<T>(look: () => T | undefined | false, what = String(look)): Promise<T> {
      const until = Date.now() + patienceMs;
      for (;;) {
        const seen = world.version();
        const found = look();
        if (found !== undefined && found !== false) return found as T;
        if (Date.now() > until) throw new Error(`never came to be: ${what}\n${JSON.stringify(chat(), undefined, 1)}`);
        await Promise.race([world.beyond(seen, 200), pause(200)]);
      }
    },
  };
}
