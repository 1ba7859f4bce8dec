import { Api, Bot, type Context, GrammyError } from 'grammy';
import type { Update, UserFromGetMe } from 'grammy/types';
import type { Clock } from '../../base/clock.ts';
import { Fault, reasonOf } from '../../base/fault.ts';
import type { Log } from '../../base/log.ts';
import type { Client } from '../../client/client.ts';
import type { Capability } from '../../events/capability.ts';
import { secretMembers } from '../../events/secret.ts';
import { faultLines } from './call-lines.ts';
import { commandsOf } from './commands.ts';
import { call, converse, type Heard, type Reply, readCallData } from './conversation.ts';
import { followBus } from './follow-bus.ts';
import { gatekeeper } from './gatekeeper.ts';
import type { Journal } from './journal.ts';
import { html, messagesOf } from './markup.ts';
import { makeNoticed } from './noticed.ts';
import { makeOutbox, type Sender } from './outbox.ts';
import { type Pace, usualPace } from './pace.ts';
import { isRevoked, noToken, pollUpdates, usualPollSeconds } from './poll-updates.ts';
import type { TelegramSettings } from './settings.ts';
import { answerTap, isAway } from './tap.ts';
import { telegramClient } from './telegram-client.ts';

export type ControlBot = {
  /** The bot's, from @BotFather. It is in no log and no error. */
  token: string;
  /** Where Telegram is; https://api.telegram.org when left out. */
  apiRoot?: string | undefined;
  settings: TelegramSettings;
  /** Answers and calls, with the person's token. */
  person: Client;
  /** Who that is, as the bus calls them. */
  personName: string;
  /** Reads the log and says what the bot noticed, with the bot's own token. */
  service: Client;
  capabilities: readonly Capability[];
  journal: Journal;
  log: Log;
  clock: Clock;
  signal: AbortSignal;
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  pace?: Pace | undefined;
  /** How long Telegram has to take a message before it is sent again; usual when left out. */
  callSeconds?: number | undefined;
  /** How long Telegram holds a poll when there is nothing; usual when left out. */
  pollSeconds?: number | undefined;
  /** Called when Telegram has said who the bot is. */
  onReady?: ((username: string) => void) | undefined;
};

/** A message that is not taken within this is tried again. */
const usualCallSeconds = 20;
/** Telegram sends what it sent before after a crash; so many numbers of updates are remembered. */
const rememberedUpdates = 300;

/**
 * Runs the control bot until the signal: reads updates, sends what waits, follows the bus. What it has to say is in the journal before
 * anything else happens. @throws Fault `unauthorized` when Telegram or the bus does not take a token
 */
export async function runControlBot(control: ControlBot): Promise<void> {
  const { token, apiRoot, settings, journal, log, clock, sleep, person, service } = control;
  const capabilities = control.capabilities.filter(fitsIntoChat);
  const { callSeconds = usualCallSeconds, pollSeconds = usualPollSeconds } = control;
  const polling = new Api(token, telegramClient(apiRoot, pollSeconds + callSeconds));
  const bot = new Bot(token, { client: telegramClient(apiRoot, callSeconds) });
  // Where one part cannot go on, the others end too.
  const failed = new AbortController();
  const signal = AbortSignal.any([control.signal, failed.signal]);
  const me = await whoAmI(bot, { ...control, signal });
  if (me === undefined) return;
  bot.botInfo = me;
  const commands = commandsOf(capabilities);
  const chats = settings.users.map(({ id }) => id);
  const outbox = makeOutbox({
    journal,
    sender: senderOf(bot.api),
    pace: control.pace ?? usualPace,
    log,
    clock,
    signal,
    sleep,
    onShown: (id) =>
      void person.shown(id, 'telegram').catch((error: unknown) => {
        log.warn('the bus was not told that a question was shown', { because: reasonOf(error) });
      }),
  });
  const noticed = makeNoticed({ service, journal, log, clock, bot: me.username });
  const talking = { client: person, journal, commands, capabilities, person: control.personName, clock };
  bot.use(gatekeeper(new Set(chats), noticed.stranger));
  bot.on('callback_query:data', (ctx) => onTap(ctx, { ...control, capabilities }, outbox.wake));
  bot.on('message', (ctx) => onMessage(ctx, talking, log, outbox.wake));
  const handle = (update: Update) => once(journal, update, () => bot.handleUpdate(update), log);
  await setMenu(bot, commands.menu, log);
  control.onReady?.(me.username);
  const follow = {
    client: service,
    journal,
    capabilities,
    person: control.personName,
    chats,
    tell: settings.tell,
    wake: outbox.wake,
  };
  const parts = [
    pollUpdates({ api: polling, pollSeconds, handle, onOtherPoller: noticed.otherPoller, log, signal, sleep }),
    outbox.run().catch((error: unknown) => Promise.reject(isRevoked(error) ? noToken(error) : error)),
    followBus({ ...follow, log, clock, signal, sleep }),
  ].map((part) =>
    part.catch((error: unknown) => {
      failed.abort(error);
      throw error;
    }),
  );
  const [broken] = (await Promise.allSettled(parts)).filter((part) => part.status === 'rejected');
  if (broken) throw broken.reason;
}

/** Telegram keeps what is written, on its servers and on every device: what takes or gives a secret is not done here. */
const fitsIntoChat = ({ input, output }: Capability) =>
  [input, output].every((each) => secretMembers(each).length === 0);

async function whoAmI(
  bot: Bot,
  { signal, sleep, log }: Pick<ControlBot, 'signal' | 'sleep' | 'log'>,
): Promise<UserFromGetMe | undefined> {
  for (let pauseMs = 1000; !signal.aborted; pauseMs = Math.min(pauseMs * 2, 30_000)) {
    try {
      return await bot.api.getMe(signal as never);
    } catch (error) {
      if (isRevoked(error)) throw noToken(error);
      if (signal.aborted) return undefined;
      log.warn('Telegram does not answer; trying again', { because: reasonOf(error), again_in_ms: pauseMs });
      await sleep(pauseMs, signal).catch(() => undefined /* the loop looks at the signal */);
    }
  }
  return undefined;
}

function senderOf(api: Api): Sender {
  const rest = (saying: Parameters<Sender['send']>[0]) => ({
    parse_mode: 'HTML' as const,
    link_preview_options: { is_disabled: true },
    ...(saying.shown.keys.length === 0 ? {} : { reply_markup: keyboardOf(saying.shown.keys) }),
  });
  return {
    send: async (saying) => (await api.sendMessage(saying.chat, saying.shown.html, rest(saying))).message_id,
    edit: async (saying) => {
      await api.editMessageText(saying.chat, saying.edits as number, saying.shown.html, rest(saying));
    },
  };
}

const shortButton = 12;

/** Short answers stand beside each other, long ones below. */
function keyboardOf(keys: readonly { text: string; data: string }[]) {
  const perRow = keys.every(({ text }) => text.length <= shortButton) ? 3 : 1;
  const rows: { text: string; callback_data: string }[][] = [];
  for (const [at, { text, data }] of keys.entries()) {
    if (at % perRow === 0) rows.push([]);
    rows.at(-1)?.push({ text, callback_data: data });
  }
  return { inline_keyboard: rows };
}

async function setMenu(bot: Bot, menu: { command: string; description: string }[], log: Log): Promise<void> {
  try {
    await bot.api.setMyCommands(menu);
  } catch (error) {
    if (isRevoked(error)) throw noToken(error);
    // The commands work without the menu.
    log.warn('Telegram did not take the menu of commands', { because: reasonOf(error) });
  }
}

/** Handles an update that was not handled before. */
async function once(journal: Journal, { update_id }: Update, handle: () => Promise<void>, log: Log): Promise<void> {
  const seen = JSON.parse(journal.get('updates') ?? '[]') as number[];
  if (seen.includes(update_id)) return;
  try {
    await handle();
  } catch (error) {
    // An update that cannot be handled must not come again for ever.
    log.error('an update was not handled', { update: update_id, because: reasonOf(error) });
  }
  const now = JSON.parse(journal.get('updates') ?? '[]') as number[];
  if (!now.includes(update_id)) journal.set('updates', JSON.stringify([...now, update_id].slice(-rememberedUpdates)));
}

/** Writes down what is said to an update, together with that it was handled. */
function reply(journal: Journal, update: number, chat: number, { lines, keys = [], also }: Reply): void {
  const messages = messagesOf(lines);
  journal.together(() => {
    for (const [at, text] of messages.entries())
      journal.say({
        id: `reply ${update} ${at}`,
        chat,
        shown: { html: text, keys: at === messages.length - 1 ? keys : [] },
        isReply: true,
      });
    also?.(journal);
    const seen = JSON.parse(journal.get('updates') ?? '[]') as number[];
    journal.set('updates', JSON.stringify([...seen, update].slice(-rememberedUpdates)));
  });
}

type Talk = Parameters<typeof converse>[0];

async function onMessage(ctx: Context, talking: Talk, log: Log, wake: () => void): Promise<void> {
  const { message, update, me } = ctx;
  if (message === undefined) return;
  const chat = message.chat.id;
  const said = (result: Reply) => {
    reply(talking.journal, update.update_id, chat, result);
    wake();
  };
  // What somebody else wrote is no command, whoever passes it on.
  if (message.forward_origin !== undefined)
    return said({ lines: [html`I do nothing for a forwarded message. Type it, if you mean it.`] });
  if (message.text === undefined) return said({ lines: [html`I understand text alone.`] });
  const heard: Heard = { text: message.text, chat, key: `telegram-${me.id}-${update.update_id}` };
  // Telegram shows it while the answer is made; whether it did does not matter.
  void ctx.api.sendChatAction(chat, 'typing').catch(() => undefined /* a courtesy */);
  said(await orSorry(log, () => converse(talking, heard)));
}

/** What the bus refuses, or that it is away, is an answer too. */
async function orSorry(log: Log, make: () => Promise<Reply>): Promise<Reply> {
  try {
    return await make();
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    if (isAway(error)) return { lines: [html`⚠️ The bus does not answer, so nothing was done. Try again later.`] };
    log.warn('what was asked for came to nothing', { because: error.message });
    return { lines: faultLines(error) };
  }
}

async function onTap(
  ctx: Context,
  { person, journal, capabilities, log }: ControlBot,
  wake: () => void,
): Promise<void> {
  const { callbackQuery, update, from, me } = ctx;
  if (callbackQuery?.data === undefined || from === undefined) return;
  const meant = readCallData(callbackQuery.data, capabilities);
  if (meant !== undefined) {
    const key = { chat: from.id, key: `telegram-${me.id}-${update.update_id}` };
    await acknowledge(ctx, { text: '', isAlert: false }, log);
    const made = () => call({ client: person, capabilities }, meant.capability, meant.arguments, key);
    reply(journal, update.update_id, from.id, await orSorry(log, made));
    return wake();
  }
  await acknowledge(ctx, await answerTap({ client: person, journal }, callbackQuery.data), log);
}

/** Ends the waiting mark on the button. Telegram takes this once and for some seconds; later there is nobody to show it to. */
async function acknowledge(
  ctx: Context,
  { text, isAlert }: { text: string; isAlert: boolean },
  log: Log,
): Promise<void> {
  try {
    await ctx.answerCallbackQuery(text === '' ? {} : { text, show_alert: isAlert });
  } catch (error) {
    if (error instanceof GrammyError && /query is too old/.test(error.description)) return;
    log.warn('a tap was not acknowledged', { because: reasonOf(error) });
  }
}
