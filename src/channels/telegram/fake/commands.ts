import { type Args, jsonArg } from './body.ts';
import { Refused } from './refusals.ts';
import { type Bot, type Chat, isKnownChat, type World } from './world.ts';

const maxCommands = 100;
const scopes = [
  ...['default', 'all_private_chats', 'all_group_chats', 'all_chat_administrators'],
  ...['chat', 'chat_administrators', 'chat_member'],
];

export function getCommands(_world: World, bot: Bot, args: Args): Bot['commands'][string] {
  return bot.commands[scopeOf(bot, args)] ?? [];
}

export function setCommands(world: World, bot: Bot, args: Args): true {
  const commands = jsonArg(args, 'commands');
  if (!Array.isArray(commands)) throw new Refused('command-invalid');
  if (commands.length > maxCommands) throw new Refused('commands-too-many');
  for (const { command, description } of commands as { command?: unknown; description?: unknown }[]) {
    if (typeof command !== 'string' || !/^[a-z0-9_]{1,32}$/.test(command)) throw new Refused('command-invalid');
    if (typeof description !== 'string' || description.length < 1 || description.length > 256)
      throw new Refused('command-undescribed');
  }
  bot.commands[scopeOf(bot, args)] = commands as Bot['commands'][string];
  world.changed();
  return true;
}

export function deleteCommands(world: World, bot: Bot, args: Args): true {
  delete bot.commands[scopeOf(bot, args)];
  world.changed();
  return true;
}

/** "The first list of commands which is set is returned": that of the chat, of all such chats, then the default one. */
export function commandsIn({ commands }: Bot, { id, type }: Chat): Bot['commands'][string] {
  return commands[`chat ${id}`] ?? commands[`all_${type}_chats`] ?? commands.default ?? [];
}

/** What a list of commands is for, as the key of that list. @throws Refused */
function scopeOf(bot: Bot, args: Args): string {
  const scope = jsonArg(args, 'scope') ?? { type: 'default' };
  const { type, chat_id } = typeof scope === 'object' ? (scope as { type?: unknown; chat_id?: unknown }) : {};
  if (typeof type !== 'string' || !scopes.includes(type)) throw new Refused('scope-unknown');
  if (!type.startsWith('chat')) return type;
  const id = Number(chat_id);
  if (!isKnownChat(id) || !bot.knownChats.has(id)) throw new Refused('chat-unknown');
  return `${type} ${id}`;
}
