/** Where a sentence stands: in Telegram's documentation, or as an answer in the text of its own server, tdlib/telegram-bot-api. */
const places = {
  api: { name: 'Bot API 10.1', url: 'https://core.telegram.org/bots/api' },
  faq: { name: 'Bots FAQ', url: 'https://core.telegram.org/bots/faq' },
  intro: { name: 'Bots: An introduction for developers', url: 'https://core.telegram.org/bots' },
  server: { name: 'Bot API server', url: 'https://github.com/tdlib/telegram-bot-api' },
} as const;

/** A refusal as Telegram says it, and the sentence that it stands for. `{}` in `says` is filled in. */
export type Refusal = {
  code: number;
  says: string;
  because: string;
  at: keyof typeof places;
};

const textLength = 'Text of the message to be sent, 1-4096 characters after entities parsing';
const fourWays =
  'We support four ways of passing parameters in Bot API requests: URL query string, application/x-www-form-urlencoded, application/json (except for uploading files), multipart/form-data (use to upload files)';
const command =
  'Text of the command; 1-32 characters. Can contain only lowercase English letters, digits and underscores.';
const button =
  'Exactly one of the fields other than text, icon_custom_emoji_id, and style must be used to specify the type of the button.';
const form =
  'All queries to the Telegram Bot API must be served over HTTPS and need to be presented in this form: https://api.telegram.org/bot<token>/METHOD_NAME.';

/** Every refusal of the fake. A test shows each to stop a client that does not know it. */
export const refusals = {
  'path-unknown': { code: 404, says: 'Not Found', because: form, at: 'api' },
  'token-unknown': {
    code: 401,
    says: 'Unauthorized',
    because: 'Each bot is given a unique authentication token when it is created.',
    at: 'api',
  },
  'token-malformed': {
    code: 401,
    says: 'Unauthorized: invalid token specified',
    because: 'The token looks something like 123456:ABC-DEF1234ghIkl-zyx57W2v1u123ew11',
    at: 'api',
  },
  'method-unknown': { code: 404, says: 'Not Found: method not found', because: form, at: 'api' },
  'body-unreadable': { code: 400, says: "Bad Request: can't parse JSON object", because: fourWays, at: 'api' },
  'body-kind-unknown': { code: 415, says: 'Unsupported Media Type', because: fourWays, at: 'api' },
  'body-too-large': {
    code: 413,
    says: 'Request Entity Too Large',
    because:
      'Bots can currently send files of any type of up to 50 MB in size, this limit may be changed in the future.',
    at: 'api',
  },
  'other-poller': {
    code: 409,
    says: 'Conflict: terminated by other getUpdates request; make sure that only one bot instance is running',
    because: 'terminated by other getUpdates request; make sure that only one bot instance is running',
    at: 'server',
  },
  'chat-missing': {
    code: 400,
    says: 'Bad Request: chat_id is empty',
    because:
      'Unique identifier for the target chat or username of the target bot, supergroup or channel in the format @username',
    at: 'api',
  },
  'chat-unknown': {
    code: 400,
    says: 'Bad Request: chat not found',
    because:
      'Unique identifier for the target chat or username of the target bot, supergroup or channel in the format @username',
    at: 'api',
  },
  'person-has-not-written': {
    code: 403,
    says: "Forbidden: bot can't initiate conversation with a user",
    because:
      "Bots can't start conversations with users. A user must either add them to a group or send them a message first.",
    at: 'intro',
  },
  'person-has-blocked': {
    code: 403,
    says: 'Forbidden: bot was blocked by the user',
    because: 'bot was blocked by the user',
    at: 'server',
  },
  'not-in-group': {
    code: 403,
    says: 'Forbidden: bot is not a member of the group chat',
    because: 'bot is not a member of the group chat',
    at: 'server',
  },
  'text-empty': { code: 400, says: 'Bad Request: message text is empty', because: textLength, at: 'api' },
  'text-too-long': { code: 400, says: 'Bad Request: message is too long', because: textLength, at: 'api' },
  'mode-unknown': {
    code: 400,
    says: 'Bad Request: unsupported parse_mode',
    because: 'Mode for parsing entities in the message text. See formatting options for more details.',
    at: 'api',
  },
  'entities-broken': {
    code: 400,
    says: "Bad Request: can't parse entities: {}",
    because:
      'All <, > and & symbols that are not a part of a tag or an HTML entity must be replaced with the corresponding HTML entities (< with &lt;, > with &gt; and & with &amp;).',
    at: 'api',
  },
  'tag-unknown': {
    code: 400,
    says: "Bad Request: can't parse entities: {}",
    because: 'Only the tags mentioned above are currently supported.',
    at: 'api',
  },
  'markup-unreadable': {
    code: 400,
    says: "Bad Request: can't parse reply keyboard markup JSON object",
    because: 'A JSON-serialized object for an inline keyboard',
    at: 'api',
  },
  'markup-no-rows': {
    code: 400,
    says: 'Bad Request: field "inline_keyboard" must be an Array of Arrays',
    because: 'Array of button rows, each represented by an Array of InlineKeyboardButton objects',
    at: 'api',
  },
  'button-without-text': {
    code: 400,
    says: 'Bad Request: can\'t parse inline keyboard button: Can\'t find field "text"',
    because: 'Label text on the button',
    at: 'api',
  },
  'button-without-kind': {
    code: 400,
    says: "Bad Request: can't parse inline keyboard button: Text buttons are unallowed in the inline keyboard",
    because: button,
    at: 'api',
  },
  'button-data-size': {
    code: 400,
    says: 'Bad Request: BUTTON_DATA_INVALID',
    because: 'Data to be sent in a callback query to the bot when the button is pressed, 1-64 bytes',
    at: 'api',
  },
  'message-missing': {
    code: 400,
    says: 'Bad Request: message identifier is not specified',
    because: 'Required if inline_message_id is not specified. Identifier of the message to edit.',
    at: 'api',
  },
  'edit-unknown': {
    code: 400,
    says: 'Bad Request: message to edit not found',
    because: 'Required if inline_message_id is not specified. Identifier of the message to edit.',
    at: 'api',
  },
  'edit-of-others': {
    code: 400,
    says: "Bad Request: message can't be edited",
    because:
      'Please note, that it is currently only possible to edit messages without reply_markup or with inline keyboards.',
    at: 'api',
  },
  'edit-without-change': {
    code: 400,
    says: 'Bad Request: message is not modified: specified new message content and reply markup are exactly the same as a current content and reply markup of the message',
    because:
      'message is not modified: specified new message content and reply markup are exactly the same as a current content and reply markup of the message',
    at: 'server',
  },
  'delete-unknown': {
    code: 400,
    says: 'Bad Request: message to delete not found',
    because: 'Identifier of the message to delete',
    at: 'api',
  },
  'delete-too-late': {
    code: 400,
    says: "Bad Request: message can't be deleted for everyone",
    because: 'A message can only be deleted if it was sent less than 48 hours ago.',
    at: 'api',
  },
  'delete-of-others': {
    code: 400,
    says: "Bad Request: message can't be deleted",
    because: 'If the bot is an administrator of a group, it can delete any message there.',
    at: 'api',
  },
  'query-over': {
    code: 400,
    says: 'Bad Request: query is too old and response timeout expired or query ID is invalid',
    because: 'query is too old and response timeout expired or query ID is invalid',
    at: 'server',
  },
  'answer-too-long': {
    code: 400,
    says: 'Bad Request: MESSAGE_TOO_LONG',
    because: 'Text of the notification. If not specified, nothing will be shown to the user, 0-200 characters.',
    at: 'api',
  },
  'command-invalid': { code: 400, says: 'Bad Request: BOT_COMMAND_INVALID', because: command, at: 'api' },
  'command-undescribed': {
    code: 400,
    says: 'Bad Request: BOT_COMMAND_DESCRIPTION_INVALID',
    because: 'Description of the command; 1-256 characters',
    at: 'api',
  },
  'commands-too-many': {
    code: 400,
    says: 'Bad Request: BOT_COMMANDS_TOO_MUCH',
    because:
      "A JSON-serialized list of bot commands to be set as the list of the bot's commands. At most 100 commands can be specified.",
    at: 'api',
  },
  'scope-unknown': {
    code: 400,
    says: "Bad Request: can't parse BotCommandScope: Unsupported type specified",
    because:
      'This object represents the scope to which bot commands are applied. Currently, the following 7 scopes are supported:',
    at: 'api',
  },
  'action-unknown': {
    code: 400,
    says: 'Bad Request: wrong parameter action in request',
    because: 'Type of action to broadcast. Choose one, depending on what the user is about to receive',
    at: 'api',
  },
  'document-missing': {
    code: 400,
    says: 'Bad Request: there is no document in the request',
    because: 'upload a new one using multipart/form-data',
    at: 'api',
  },
  'caption-too-long': {
    code: 400,
    says: 'Bad Request: message caption is too long',
    because:
      'Document caption (may also be used when resending documents by file_id), 0-1024 characters after entities parsing',
    at: 'api',
  },
  'chat-flooded': {
    code: 429,
    says: 'Too Many Requests: retry after {}',
    because:
      "In a single chat, avoid sending more than one message per second. We may allow short bursts that go over this limit, but eventually you'll begin receiving 429 errors.",
    at: 'faq',
  },
  'group-flooded': {
    code: 429,
    says: 'Too Many Requests: retry after {}',
    because: 'In a group, bots are not be able to send more than 20 messages per minute.',
    at: 'faq',
  },
  'all-flooded': {
    code: 429,
    says: 'Too Many Requests: retry after {}',
    because: 'For bulk notifications, bots are not able to broadcast more than about 30 messages per second',
    at: 'faq',
  },
} as const satisfies Readonly<Record<string, Refusal>>;

export type RefusalName = keyof typeof refusals;

/** A refusal on its way to the client. */
export class Refused extends Error {
  readonly refusal: RefusalName;
  readonly code: number;
  readonly retryAfter: number | undefined;

  constructor(refusal: RefusalName, { detail = '', retryAfter }: { detail?: string; retryAfter?: number } = {}) {
    const { code, says } = refusals[refusal];
    super(says.replace('{}', () => detail || String(retryAfter)));
    this.refusal = refusal;
    this.code = code;
    this.retryAfter = retryAfter;
  }
}

/** All of them with their source, as the page and `/play/refusals` show them. */
export function citedRefusals(): {
  name: string;
  code: number;
  says: string;
  because: string;
  source: string;
  url: string;
}[] {
  return Object.entries<Refusal>(refusals).map(([name, { code, says, because, at }]) => ({
    name,
    code,
    says,
    because,
    source: places[at].name,
    url: places[at].url,
  }));
}
