import type { Clock } from '../../../base/clock.ts';
import { Fault } from '../../../base/fault.ts';
import { type Flood, type Limits, makeFlood, telegramsLimits } from './flood.ts';
import type { Entity } from './html.ts';

export type User = { id: number; is_bot: boolean; first_name: string; username?: string };
export type Chat = { id: number; type: 'private' | 'group'; title?: string; first_name?: string };
export type Button = { text: string; callback_data?: string; url?: string } & Record<string, unknown>;
export type Markup = { inline_keyboard: Button[][] };

/** A message, with the members that it has on the wire. */
export type Message = {
  message_id: number;
  from: User;
  chat: Chat;
  date: number;
  text?: string;
  entities?: Entity[];
  caption?: string;
  document?: { file_id: string; file_name: string; file_size: number };
  reply_markup?: Markup;
  edit_date?: number;
  reply_to_message?: Omit<Message, 'reply_to_message'>;
  forward_origin?: { type: 'user'; sender_user: User; date: number };
};

export type Update = { update_id: number } & Record<string, unknown>;
/** What a person sees after a tap: nothing yet, or what the bot answered. */
export type Query = {
  id: string;
  from: User;
  message: Message;
  data: string;
  at: number;
  answer: { text: string; show_alert: boolean } | undefined;
};
/** A call that the fake refused, for whoever wants to know what a bot does wrong. */
export type RefusedCall = { at: number; bot: string; method: string; refusal: string; says: string };

/** How a poll that is waiting ends: with updates, or because of what happened. */
export type Poll = { wake(): void; end(because: 'other-poller' | 'token-unknown'): void };

export type Bot = {
  name: string;
  user: User;
  token: string;
  isRevoked: boolean;
  queue: Update[];
  /** Confirmed by an offset; they can be made to come again. */
  confirmed: Update[];
  nextUpdate: number;
  /** Updates of these kinds alone come; undefined is all. */
  allowed: readonly string[] | undefined;
  poll: Poll | undefined;
  /** By their scope. */
  commands: Record<string, { command: string; description: string }[]>;
  /** Chats in which it may speak. */
  knownChats: Set<number>;
  blockedBy: Set<number>;
  messages: Message[];
  queries: Map<string, Query>;
  typing: Map<number, number>;
  flood: Flood;
};

/** The people that there are, by the name under which one plays them. */
export const people = {
  owner: { id: 5_550_001, is_bot: false, first_name: 'Olga', username: 'olga_owner' },
  friend: { id: 5_550_003, is_bot: false, first_name: 'Bert', username: 'bert_friend' },
  stranger: { id: 5_550_002, is_bot: false, first_name: 'Sam', username: 'sam_stranger' },
} as const satisfies Readonly<Record<string, User>>;
export type PersonName = keyof typeof people;

const group: Chat = { id: -4_550_001, type: 'group', title: 'Family' };

/** What is refused a bot after this long: a callback query that nobody answered. Telegram does not say how long it is. */
const queryLifeMs = 15_000;
/** The newest are kept. */
const maxKept = 5_000;

/** Everything that the fake knows. It lives in memory alone. */
export type World = {
  readonly clock: Clock;
  readonly bots: Bot[];
  readonly refused: RefusedCall[];
  readonly queryLifeMs: number;
  /** Grows with whatever a person could see. */
  version(): number;
  changed(): void;
  /** Resolves when the version is beyond this one, or when the time is over. */
  beyond(version: number, ms: number): Promise<void>;
  addBot(name: string, token: string): Bot;
  botOf(token: string): Bot | undefined;
  nextMessageId(): number;
  put(bot: Bot, update: Record<string, unknown>): Update;
};

export function makeWorld(clock: Clock, limits: Partial<Limits> = {}, firstUpdate = 100_001): World {
  const bots: Bot[] = [];
  const waiting = new Set<() => void>();
  let version = 1;
  let lastMessage = 0;
  const world: World = {
    clock,
    bots,
    refused: [],
    queryLifeMs,
    version: () => version,
    changed() {
      version += 1;
      for (const wake of waiting) wake();
    },
    beyond: (seen, ms) =>
      new Promise((resolve) => {
        if (version > seen) return resolve();
        const wake = () => {
          clearTimeout(timer);
          waiting.delete(wake);
          resolve();
        };
        const timer = setTimeout(wake, ms);
        waiting.add(wake);
      }),
    addBot(name, token) {
      const id = Number(token.slice(0, token.indexOf(':')));
      if (!/^\d{1,15}:[\w-]{30,60}$/.test(token) || id === 0)
        throw new Fault(
          'usage',
          `${JSON.stringify(name)} needs a token such as 123456:ABC… with at least 30 characters.`,
        );
      if (bots.some((each) => each.name === name || each.user.id === id))
        throw new Fault('conflict', `There is a bot ${name} already, or one with that token.`);
      const user = { id, is_bot: true, first_name: name, username: `${name.replace(/\W/g, '_')}_bot` };
      const bot = newBot(name, user, token, makeFlood({ ...telegramsLimits, ...limits }, clock), firstUpdate);
      bots.push(bot);
      return bot;
    },
    botOf: (token) => bots.find((each) => each.token === token),
    nextMessageId: () => ++lastMessage,
    put(bot, update) {
      const whole = { update_id: bot.nextUpdate++, ...update };
      bot.queue.push(whole);
      bot.poll?.wake();
      world.changed();
      return whole;
    },
  };
  return world;
}

function newBot(name: string, user: User, token: string, flood: Flood, nextUpdate: number): Bot {
  return {
    name,
    user,
    token,
    isRevoked: false,
    queue: [],
    confirmed: [],
    nextUpdate,
    allowed: undefined,
    poll: undefined,
    commands: {},
    knownChats: new Set(),
    blockedBy: new Set(),
    messages: [],
    queries: new Map(),
    typing: new Map(),
    flood,
  };
}

/** The chat in which somebody writes: their own with the bot, or the group that both are in. */
export function chatOf(person: User, where: 'private' | 'group'): Chat {
  return where === 'group' ? group : { id: person.id, type: 'private', first_name: person.first_name };
}

export const isKnownChat = (id: number) => id === group.id || Object.values(people).some((person) => person.id === id);

/** Keeps a message of a bot's chats. */
export function keep(bot: Bot, message: Message): void {
  bot.messages.push(message);
  if (bot.messages.length > maxKept) bot.messages.shift();
}

/** What the wire calls now: whole seconds. */
export const seconds = (clock: Clock) => Math.floor(clock() / 1000);
