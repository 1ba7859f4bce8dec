import { Fault } from '../../../base/fault.ts';
import { commandsIn } from './commands.ts';
import {
  type Bot,
  chatOf,
  keep,
  type Message,
  type PersonName,
  people,
  type Query,
  seconds,
  type World,
} from './world.ts';

export type Where = 'private' | 'group';
type Who = { as: PersonName; where: Where };

/** What a person does at their phone. Each becomes the updates that a bot gets of it. */
export type Play = {
  /** `answers`: a message of the chat, which it is an answer to. @throws Fault `not-found` when that is not there */
  say(bot: Bot, who: Who & { text: string; answers?: number | undefined }): Message;
  /** A message of somebody else, passed on. */
  forward(bot: Bot, who: Who & { text: string; from: PersonName }): Message;
  /** @throws Fault `not-found` when there is no such message of this person */
  edit(bot: Bot, change: { as: PersonName; message_id: number; text: string }): Message;
  /**
   * Taps a button: its text, or where it stands, counted from 0. With `data` a button that is gone from the screen of others but
   * not from this one. @throws Fault `not-found` when there is no such button
   */
  tap(bot: Bot, tap: { as: PersonName; message_id: number; button?: string | number; data?: string }): Query;
  block(bot: Bot, block: { as: PersonName; on: boolean }): void;
  /** From now on the token is none, until it is given back. */
  revoke(bot: Bot, on: boolean): void;
  /** The newest confirmed updates come again, under their ids. */
  repeat(bot: Bot, count: number): number;
};

/** At most so many taps are remembered. */
const maxQueries = 1_000;

export function makePlay(world: World): Play {
  const write = (bot: Bot, { as, where }: Who, rest: Partial<Message>): Message => {
    const person = people[as];
    const chat = chatOf(person, where);
    bot.knownChats.add(chat.id);
    // Whoever writes has taken the block back.
    if (where === 'private') bot.blockedBy.delete(person.id);
    const message: Message = {
      message_id: world.nextMessageId(),
      from: person,
      chat,
      date: seconds(world.clock),
      ...rest,
    };
    keep(bot, message);
    // What is read later is what was written then.
    world.put(bot, { message: structuredClone(message) });
    return message;
  };
  return {
    say: (bot, { text, answers, ...who }) =>
      write(bot, who, { text, ...commandIn(text), ...(answers === undefined ? {} : answered(bot, who, answers)) }),
    forward: (bot, { text, from, ...who }) =>
      write(bot, who, {
        text,
        ...commandIn(text),
        forward_origin: { type: 'user', sender_user: people[from], date: seconds(world.clock) },
      }),
    edit(bot, { as, message_id, text }) {
      const message = bot.messages.find((each) => each.message_id === message_id);
      if (message?.from.id !== people[as].id)
        throw new Fault('not-found', `There is no message ${message_id} of ${as}.`);
      delete message.entities;
      Object.assign(message, { text, ...commandIn(text), edit_date: seconds(world.clock) });
      world.put(bot, { edited_message: structuredClone(message) });
      return message;
    },
    tap(bot, { as, message_id, button, data }) {
      const message = bot.messages.find((each) => each.message_id === message_id && each.from.id === bot.user.id);
      if (!message) throw new Fault('not-found', `There is no message ${message_id} of the bot.`);
      const buttons = message.reply_markup?.inline_keyboard.flat() ?? [];
      const found = buttons.find((each, at) => each.text === button || at === button);
      const tapped = data ?? found?.callback_data;
      if (tapped === undefined)
        throw new Fault(
          'not-found',
          `Message ${message_id} has no button ${JSON.stringify(button)} that can be tapped.`,
        );
      return tap(world, bot, as, message, tapped);
    },
    block(bot, { as, on }) {
      const { id } = people[as];
      if (on) bot.blockedBy.add(id);
      else bot.blockedBy.delete(id);
      const status = (is: boolean) => ({
        user: bot.user,
        status: is ? 'kicked' : 'member',
        ...(is ? { until_date: 0 } : {}),
      });
      world.put(bot, {
        my_chat_member: {
          chat: chatOf(people[as], 'private'),
          from: people[as],
          date: seconds(world.clock),
          old_chat_member: status(!on),
          new_chat_member: status(on),
        },
      });
    },
    revoke(bot, on) {
      bot.isRevoked = on;
      if (on) bot.poll?.end('token-unknown');
      world.changed();
    },
    repeat(bot, count) {
      const again = bot.confirmed.slice(-count);
      bot.queue.unshift(...again);
      bot.poll?.wake();
      return again.length;
    },
  };
}

/** As Telegram sends it along: without what that one answered. */
function answered(bot: Bot, { as, where }: Who, id: number): Pick<Message, 'reply_to_message'> {
  const chat = chatOf(people[as], where);
  const message = bot.messages.find((each) => each.message_id === id && each.chat.id === chat.id);
  if (!message) throw new Fault('not-found', `There is no message ${id} in that chat.`);
  const { reply_to_message: _, ...alone } = message;
  return { reply_to_message: structuredClone(alone) };
}

function tap(world: World, bot: Bot, as: PersonName, message: Message, data: string): Query {
  const query: Query = {
    id: String(4_000_000_000_000 + bot.nextUpdate),
    from: people[as],
    message,
    data,
    at: world.clock(),
    answer: undefined,
  };
  bot.queries.set(query.id, query);
  if (bot.queries.size > maxQueries) bot.queries.delete(bot.queries.keys().next().value as string);
  const { id, from } = query;
  const callback = { id, from, chat_instance: `chat ${message.chat.id}`, message: structuredClone(message), data };
  world.put(bot, { callback_query: callback });
  return query;
}

/** Telegram marks a command where a text begins with one. */
function commandIn(text: string): Pick<Message, 'entities'> {
  const found = /^\/[A-Za-z0-9_]{1,32}(@\w+)?/.exec(text);
  return found ? { entities: [{ type: 'bot_command', offset: 0, length: found[0].length }] } : {};
}

/** What the person sees in a chat. */
export function viewOf(world: World, bot: Bot, as: PersonName, where: Where) {
  const { id } = chatOf(people[as], where);
  const messages = bot.messages.filter(({ chat }) => chat.id === id);
  const answers = [...bot.queries.values()].filter(({ from }) => from.id === people[as].id);
  return {
    version: world.version(),
    bot: bot.name,
    messages: messages.map((message) => ({
      message_id: message.message_id,
      from: message.from.id === bot.user.id ? 'bot' : message.from.first_name,
      text: message.text ?? message.caption ?? '',
      entities: message.entities ?? [],
      file: message.document?.file_name ?? null,
      date: message.date,
      is_edited: message.edit_date !== undefined,
      is_forwarded: message.forward_origin !== undefined,
      buttons: (message.reply_markup?.inline_keyboard ?? []).map((row) =>
        row.map((button) => ({ text: button.text, data: button.callback_data ?? null, url: button.url ?? null })),
      ),
    })),
    taps: answers.map((query) => ({
      id: query.id,
      message_id: query.message.message_id,
      data: query.data,
      answer: query.answer?.text ?? null,
      is_alert: query.answer?.show_alert ?? false,
    })),
    is_typing: (bot.typing.get(id) ?? 0) > world.clock(),
    is_blocked: bot.blockedBy.has(id),
    commands: commandsIn(bot, chatOf(people[as], where)),
  };
}
