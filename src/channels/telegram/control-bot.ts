import { Api, Bot, type Context, GrammyError } from 'grammy';
import type { Message, Update, UserFromGetMe } from 'grammy/types';
import type { Clock } from '../../base/clock.ts';
import { Fault, reasonOf } from '../../base/fault.ts';
import type { Log } from '../../base/log.ts';
import type { Client } from '../../client/client.ts';
import type { Capability } from '../../events/capability.ts';
import { secretMembers } from '../../events/secret.ts';
import { isAway } from './answer.ts';
import { faultLines } from './call-lines.ts';
import type { Codes } from './codes.ts';
import { commandsOf } from './commands.ts';
import { call, converse, type Heard, readCallData } from './conversation.ts';
import { followBus } from './follow-bus.ts';
import { gatekeeper } from './gatekeeper.ts';
import type { Journal } from './journal.ts';
import { html, messagesOf } from './markup.ts';
import { makeMenu } from './menu.ts';
import { makeNoticed, type RefusedCode } from './noticed.ts';
import { makeOutbox, type Sender } from './outbox.ts';
import { type Pace, usualPace } from './pace.ts';
import { isRevoked, noToken, pollUpdates, usualPollSeconds } from './poll-updates.ts';
import type { Reply } from './reply.ts';
import type { TelegramSettings } from './settings.ts';
import { keepSilences } from './silence.ts';
import type { Who } from './step-up.ts';
import { answerTap } from './tap.ts';
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
  /** Judges the codes that some answers take. */
  codes: Codes;
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
  const { codes, personName } = control;
  const onRefused = (refused: RefusedCode) => void noticed.codeRefused(refused);
  const talking = {
    ...{ client: person, journal, codes, commands, capabilities, person: personName },
    ...{ clock, onRefused },
  };
  const nameOf = (id: number) => (chats.length > 1 ? settings.users.find((user) => user.id === id)?.name : undefined);
  const menu = makeMenu({ api: bot.api, menu: commands.menu, chats, log });
  bot.use(gatekeeper(new Set(chats), noticed.stranger));
  bot.on('message', (ctx, next) => menu.begun(ctx.chat.id).then(next));
  bot.on('callback_query:data', (ctx) => onTap(ctx, { talking, nameOf, log, wake: outbox.wake }));
  bot.on('message', (ctx) => onMessage(ctx, { talking, nameOf, log, wake: outbox.wake }));
  const handle = (update: Update) => once(journal, update, () => bot.handleUpdate(update), log);
  control.onReady?.(me.username);
  const follow = {
    ...{ client: service, journal, capabilities, person: personName, chats },
    ...{ tell: settings.tell, wake: outbox.wake },
  };
  const parts = [
    menu.offer(),
    pollUpdates({ api: polling, pollSeconds, handle, onOtherPoller: noticed.otherPoller, log, signal, sleep }),
    outbox.run().catch((error: unknown) => Promise.reject(isRevoked(error) ? noToken(error) : error)),
    followBus({ ...follow, log, clock, signal, sleep }),
    keepSilences({ journal, chats, clock, wake: outbox.wake, log, signal, sleep }),
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
    remove: async ({ chat, edits }) => {
      await api.deleteMessage(chat, edits as number);
    },
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
function reply(journal: Journal, update: number, chat: number, { lines, doing, keys = [], also }: Reply): void {
  journal.together(() => {
    const messages = messagesOf([...lines, ...(doing?.() ?? [])]);
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

function answeredBy({ reply_to_message: answered }: Message, me: number): Heard['answers'] {
  if (answered === undefined) return undefined;
  return { message: answered.message_id, text: answered.from?.id === me ? (answered.text ?? '') : '' };
}

type Hearing = {
  talking: Parameters<typeof converse>[0];
  /** Who that is, where several are listed. */
  nameOf(id: number): string | undefined;
  log: Log;
  wake(): void;
};

async function onMessage(ctx: Context, { talking, nameOf, log, wake }: Hearing): Promise<void> {
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
  const heard: Heard = {
    ...{ text: message.text, chat, name: nameOf(chat), key: `telegram-${me.id}-${update.update_id}` },
    ...{ message: message.message_id, answers: answeredBy(message, me.id), sentMs: message.date * 1000 },
  };
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

async function onTap(ctx: Context, { talking, nameOf, log, wake }: Hearing): Promise<void> {
  const { callbackQuery, update, from, me } = ctx;
  const { journal, capabilities } = talking;
  if (callbackQuery?.data === undefined || from === undefined) return;
  const meant = readCallData(callbackQuery.data, capabilities);
  if (meant !== undefined) {
    const key = { chat: from.id, key: `telegram-${me.id}-${update.update_id}` };
    await acknowledge(ctx, { text: '', isAlert: false }, log);
    const made = () => call(talking, meant.capability, meant.arguments, key);
    reply(journal, update.update_id, from.id, await orSorry(log, made));
    return wake();
  }
  const who: Who = { chat: from.id, name: nameOf(from.id) };
  const answer = await answerTap(talking, callbackQuery.data, who);
  // What it says beside that.
  wake();
  await acknowledge(ctx, answer, log);
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
