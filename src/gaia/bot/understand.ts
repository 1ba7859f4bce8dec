import { isCode, type PhoneAsk, type PhoneRequest } from '../emergency/request.ts';

/** What an update means to the bot. */
export type Meaning =
  /** `code`: the message that holds a code. */
  | { kind: 'ask'; request: PhoneRequest; query: string | undefined; code: number | undefined }
  /** From somebody who may ask, and not to be understood. */
  | { kind: 'unclear'; user: number; says: string }
  /** Gets no answer: an answer tells that here is a bot. */
  | { kind: 'stranger'; user: number }
  | { kind: 'nothing' };

type User = { id: number; is_bot?: boolean };
type Message = {
  message_id: number;
  from?: User;
  chat: { id: number; type: string };
  date: number;
  text?: string;
  reply_to_message?: { message_id: number };
} & Record<string, unknown>;
export type Update = {
  update_id: number;
  message?: Message;
  callback_query?: { id: string; from: User; data?: string; message?: { chat: { id: number; type: string } } };
};

type Knows = {
  users: ReadonlySet<number>;
  /** The operation that a code of this person is for: that of the message it answers, else the one shown last. */
  operationOf(user: number, message: number | undefined): string | null;
  nowMs: number;
};

/** Somebody else's words, passed on or sent through somebody, are nobody's wish. */
const passedOn = ['forward_origin', 'via_bot', 'sender_chat', 'sender_business_bot'];
const which = (verb: string) => `Which one? /${verb} prod, for example; also dev or control-plane.`;

export function understand(update: Update, knows: Knows): Meaning {
  const { message, callback_query: query } = update;
  if (query !== undefined) return tapped(update.update_id, query, knows);
  if (message?.from === undefined) return { kind: 'nothing' };
  const user = message.from.id;
  if (message.from.is_bot === true || !knows.users.has(user)) return { kind: 'stranger', user };
  if (message.chat.type !== 'private' || message.chat.id !== user) return { kind: 'nothing' };
  if (passedOn.some((key) => message[key] !== undefined)) return { kind: 'nothing' };
  const read = askOf(message.text?.trim() ?? '', () => knows.operationOf(user, message.reply_to_message?.message_id));
  if (typeof read === 'string') return { kind: 'unclear', user, says: read };
  const request = { id: `u${update.update_id}`, user, sentMs: message.date * 1000, ...read };
  const code = read.verb === 'confirm' ? message.message_id : undefined;
  return { kind: 'ask', request, query: undefined, code };
}

function tapped(id: number, query: NonNullable<Update['callback_query']>, { users, nowMs }: Knows): Meaning {
  const { from, data = '', message } = query;
  if (from.is_bot === true || !users.has(from.id)) return { kind: 'stranger', user: from.id };
  if (message?.chat.type !== 'private' || message.chat.id !== from.id) return { kind: 'nothing' };
  const operation = /^cancel:(\d{8}T\d{6}Z-[0-9A-Z]{4})$/.exec(data)?.[1];
  if (operation === undefined) return { kind: 'nothing' };
  // A tap has no time of its own.
  const request = { id: `u${id}`, user: from.id, sentMs: nowMs, verb: 'cancel' as const, operation };
  return { kind: 'ask', request, query: query.id, code: undefined };
}

/** As it is shown and printed. More blanks than that make it a sentence: `restore dev` would be a wrong backup code. */
const codeForm = /^(\d{6}|[0-9a-z]{5}[ -]?[0-9a-z]{5})$/i;

/** What is asked, or what to say to that. */
function askOf(text: string, operation: () => string | null): PhoneAsk | string {
  const code = text.replace(/(?<=^\d{3})[ -](?=\d{3}$)/, '');
  if (codeForm.test(code) && isCode(code)) return { verb: 'confirm', operation: operation(), code };
  const [, verb = '', rest = ''] = /^\/([a-z]+)(?:@\w+)?(?:\s+(.*))?$/is.exec(text) ?? [];
  const words = rest
    .trim()
    .toLowerCase()
    .split(/\s+/)
    .filter((word) => word !== '');
  const [target] = words;
  if (words.length > 1) return 'There is one word more than I understand. /start says what there is.';
  if (target !== undefined && !/^[a-z0-9][a-z0-9-]{0,62}$/.test(target))
    return 'No target is called so. /list says which there are.';
  switch (verb.toLowerCase()) {
    case 'start':
    case 'help':
      return { verb: 'start' };
    case 'status':
      return { verb: 'status' };
    case 'list':
      return { verb: 'list', target: target ?? null };
    case 'fullrestore':
      return target === undefined ? { verb: 'restore', target: 'full' } : 'That takes no word: /fullrestore';
    case 'cancel':
      return { verb: 'cancel', operation: null };
    case 'restore':
    case 'drill':
    case 'runbook':
    case 'backup':
      return target === undefined ? which(verb.toLowerCase()) : { verb: verb.toLowerCase() as 'restore', target };
    default:
      return 'I do not understand that. What you ask begins with a slash, as /restore prod; /start says what there is.';
  }
}
