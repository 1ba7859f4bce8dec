import { type Args, jsonArg, numberArg, textArg, type UploadedFile } from './body.ts';
import { deleteCommands, getCommands, setCommands } from './commands.ts';
import { type Entity, parseHtml } from './html.ts';
import { markupOf } from './keyboard.ts';
import { Refused } from './refusals.ts';
import { type Bot, chatOf, isKnownChat, keep, type Message, people, seconds, type World } from './world.ts';

export type Method = (world: World, bot: Bot, args: Args) => unknown;

const maxText = 4096;
const maxCaption = 1024;
const maxAnswer = 200;
const maxFileBytes = 50 * 1000 * 1000;
const deletableSeconds = 48 * 3600;
const typingMs = 5000;
const actions = [
  ...['typing', 'upload_photo', 'record_video', 'upload_video', 'record_voice', 'upload_voice', 'upload_document'],
  ...['choose_sticker', 'find_location', 'record_video_note', 'upload_video_note'],
];

/** Every method but getUpdates, by its name in small letters: their case does not count. */
export const methods: Readonly<Record<string, Method>> = {
  getme: (_world, { user }) => ({
    ...user,
    can_join_groups: true,
    can_read_all_group_messages: true,
    supports_inline_queries: false,
  }),
  getwebhookinfo: (_world, { queue }) => ({
    url: '',
    has_custom_certificate: false,
    pending_update_count: queue.length,
  }),
  deletewebhook(_world, bot, args) {
    if (['true', 'True', '1'].includes(String(args.drop_pending_updates))) bot.queue.length = 0;
    return true;
  },
  getmycommands: getCommands,
  setmycommands: setCommands,
  deletemycommands: deleteCommands,
  getchat: (_world, bot, args) => ({ ...chatArg(bot, args), accent_color_id: 0, max_reaction_count: 11 }),
  sendmessage: sendMessage,
  senddocument: sendDocument,
  editmessagetext: editText,
  editmessagereplymarkup: editMarkup,
  deletemessage: deleteMessage,
  answercallbackquery: answerQuery,
  sendchataction(world, bot, args) {
    const chat = chatArg(bot, args);
    if (!actions.includes(textArg(args, 'action'))) throw new Refused('action-unknown');
    bot.typing.set(chat.id, world.clock() + typingMs);
    world.changed();
    return true;
  },
};

/** The chat that is meant, if the bot may speak there. @throws Refused */
function chatArg(bot: Bot, args: Args) {
  if (textArg(args, 'chat_id') === '') throw new Refused('chat-missing');
  const id = numberArg(args, 'chat_id');
  if (id === undefined || !isKnownChat(id)) throw new Refused('chat-unknown');
  if (bot.blockedBy.has(id)) throw new Refused('person-has-blocked');
  if (!bot.knownChats.has(id)) throw new Refused(id < 0 ? 'not-in-group' : 'person-has-not-written');
  const person = Object.values(people).find((each) => each.id === id);
  return person ? chatOf(person, 'private') : chatOf(people.owner, 'group');
}

type Said = { text: string; entities: Entity[] };

/** @throws Refused */
function saidIn(args: Args, name: 'text' | 'caption'): Said {
  const mode = textArg(args, 'parse_mode').toLowerCase();
  const raw = textArg(args, name);
  if (mode !== '' && mode !== 'html') throw new Refused('mode-unknown');
  const { text, entities } =
    mode === 'html' ? parseHtml(raw) : { text: raw, entities: jsonArg(args, 'entities') ?? [] };
  return { text: text.trimEnd(), entities: entities as Entity[] };
}

/** @throws Refused */
function textOf(args: Args): Said {
  const said = saidIn(args, 'text');
  if (said.text.trim() === '') throw new Refused('text-empty');
  if (said.text.length > maxText) throw new Refused('text-too-long');
  return said;
}

function sendMessage(world: World, bot: Bot, args: Args): Message {
  const chat = chatArg(bot, args);
  const said = textOf(args);
  const markup = markupOf(args);
  bot.flood.count(chat.id);
  return send(world, bot, { chat, ...said, ...(markup ? { reply_markup: markup } : {}) });
}

function sendDocument(world: World, bot: Bot, args: Args): Message {
  const chat = chatArg(bot, args);
  const file = args.document as UploadedFile | string | undefined;
  if (typeof file !== 'object') throw new Refused('document-missing');
  if (file.bytes > maxFileBytes) throw new Refused('body-too-large');
  const { text: caption } = saidIn(args, 'caption');
  if (caption.length > maxCaption) throw new Refused('caption-too-long');
  const markup = markupOf(args);
  bot.flood.count(chat.id);
  const document = { file_id: `file-${world.version()}`, file_name: file.name, file_size: file.bytes };
  return send(world, bot, {
    chat,
    document,
    ...(caption === '' ? {} : { caption }),
    ...(markup ? { reply_markup: markup } : {}),
  });
}

function send(world: World, bot: Bot, rest: Omit<Message, 'message_id' | 'from' | 'date'>): Message {
  const message = { message_id: world.nextMessageId(), from: bot.user, date: seconds(world.clock), ...rest };
  keep(bot, message);
  bot.typing.delete(rest.chat.id);
  world.changed();
  return message;
}

/** The message of its own that is to be edited. @throws Refused */
function editable(bot: Bot, args: Args): Message {
  const chat = chatArg(bot, args);
  const id = numberArg(args, 'message_id');
  if (id === undefined) throw new Refused('message-missing');
  const message = bot.messages.find((each) => each.message_id === id && each.chat.id === chat.id);
  if (!message) throw new Refused('edit-unknown');
  if (message.from.id !== bot.user.id) throw new Refused('edit-of-others');
  return message;
}

function editText(world: World, bot: Bot, args: Args): Message {
  const message = editable(bot, args);
  const said = textOf(args);
  // A document has a caption and no text.
  if (message.text === undefined) throw new Refused('edit-of-others');
  const before = JSON.stringify([message.text, message.entities, message.reply_markup]);
  const markup = markupOf(args);
  if (JSON.stringify([said.text, said.entities, markup]) === before) throw new Refused('edit-without-change');
  Object.assign(message, said);
  return edited(world, message, markup);
}

function editMarkup(world: World, bot: Bot, args: Args): Message {
  const message = editable(bot, args);
  const markup = markupOf(args);
  if (JSON.stringify(markup) === JSON.stringify(message.reply_markup)) throw new Refused('edit-without-change');
  return edited(world, message, markup);
}

/** An edit that says nothing of buttons takes them away. */
function edited(world: World, message: Message, markup: Message['reply_markup']): Message {
  if (markup) message.reply_markup = markup;
  else delete message.reply_markup;
  message.edit_date = seconds(world.clock);
  world.changed();
  return message;
}

function deleteMessage(world: World, bot: Bot, args: Args): true {
  const chat = chatArg(bot, args);
  const id = numberArg(args, 'message_id');
  const at = bot.messages.findIndex((each) => each.message_id === id && each.chat.id === chat.id);
  const message = bot.messages[at];
  if (!message) throw new Refused('delete-unknown');
  // In the group the bot is no administrator.
  if (chat.type === 'group' && message.from.id !== bot.user.id) throw new Refused('delete-of-others');
  if (seconds(world.clock) - message.date >= deletableSeconds) throw new Refused('delete-too-late');
  bot.messages.splice(at, 1);
  world.changed();
  return true;
}

function answerQuery(world: World, bot: Bot, args: Args): true {
  const text = textArg(args, 'text');
  if (text.length > maxAnswer) throw new Refused('answer-too-long');
  const query = bot.queries.get(textArg(args, 'callback_query_id'));
  const isOver = !query || query.answer !== undefined || world.clock() - query.at > world.queryLifeMs;
  if (isOver) throw new Refused('query-over');
  query.answer = { text, show_alert: ['true', 'True', '1'].includes(String(args.show_alert)) };
  world.changed();
  return true;
}
