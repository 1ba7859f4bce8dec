import { type Args, jsonArg } from './body.ts';
import { Refused } from './refusals.ts';
import type { Button, Markup } from './world.ts';

const maxDataBytes = 64;
const kinds = [
  'url',
  'callback_data',
  'web_app',
  'login_url',
  'switch_inline_query',
  'switch_inline_query_current_chat',
  'switch_inline_query_chosen_chat',
  'copy_text',
  'callback_game',
  'pay',
];

/** The keyboard under a message; undefined when there is none, which takes away the one that was there. @throws Refused */
export function markupOf(args: Args): Markup | undefined {
  const value = jsonArg(args, 'reply_markup');
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'object' || Array.isArray(value)) throw new Refused('markup-unreadable');
  // The other kinds lie below the whole chat, where a bot of ours has none.
  if ('keyboard' in value || 'remove_keyboard' in value || 'force_reply' in value) return undefined;
  const rows = 'inline_keyboard' in value ? value.inline_keyboard : undefined;
  if (!Array.isArray(rows) || !rows.every(Array.isArray)) throw new Refused('markup-no-rows');
  const filled = rows.map((row: unknown[]) => row.map(buttonOf)).filter((row) => row.length > 0);
  return filled.length === 0 ? undefined : { inline_keyboard: filled };
}

function buttonOf(value: unknown): Button {
  if (typeof value !== 'object' || value === null) throw new Refused('markup-unreadable');
  const button = value as Record<string, unknown>;
  if (typeof button.text !== 'string' || button.text === '') throw new Refused('button-without-text');
  const has = kinds.filter((kind) => button[kind] !== undefined && (button[kind] !== '' || kind.startsWith('switch')));
  if (has.length !== 1) throw new Refused('button-without-kind');
  if (has[0] === 'callback_data') {
    const { callback_data: data } = button;
    const bytes = typeof data === 'string' ? Buffer.byteLength(data) : 0;
    if (bytes < 1 || bytes > maxDataBytes) throw new Refused('button-data-size');
  }
  return button as Button;
}
