import { displayWidth, fitTo } from '../../base/display-width.ts';
import { onOneLine } from '../../base/line-breaks.ts';
import { printable } from '../../base/log.ts';
import type { Event } from '../../events/event.ts';
import { showTime } from './show-time.ts';

type Look = { columns: number; color: boolean; nowMs: number };

const sourceWidth = 12;
const actionWidth = 24;
/** On less room than this for what follows them, source and action give way. */
const leastRest = 12;
const gap = '  ';

const bold = '1';
const dim = '2';
const red = '31';
const yellow = '33';

/** One event on one line of a terminal, never wider than it: when, who, what, on what, and a hint of the rest. */
export function eventLine(event: Event, { columns, color, nowMs }: Look): string {
  const time = showTime(event.timestamp, nowMs);
  const room = columns - time.length - gap.length;
  const rest = restOf(event);
  const fits = room >= sourceWidth + actionWidth + 2 * gap.length + leastRest;
  const source = fits ? columnOf(event.source_agent, sourceWidth) : safe(event.source_agent);
  const action = fits ? columnOf(event.action, actionWidth) : safe(event.action);
  const paint = (text: string, code: string) => (color && text !== '' ? `\x1b[${code}m${text}\x1b[0m` : text);
  const pieces: [text: string, code: string | undefined][] = [
    [time, dim],
    [source, undefined],
    [action, colorOf(event)],
    [rest, event.human_question === null ? undefined : yellow],
  ];
  let left = columns;
  const shown: string[] = [];
  for (const [text, code] of pieces) {
    if (text === '' || left <= 0) continue;
    const cut = displayWidth(text) > left ? fitTo(text, left) : text;
    left -= displayWidth(cut) + gap.length;
    shown.push(code === undefined ? cut : paint(cut, code));
  }
  return shown.join(gap).trimEnd();
}

/** The same for a pipe, as `leveredge events` lists it: whole, its columns apart by tabs. */
export function eventCells(event: Event): string {
  const { timestamp, id, source_agent, action, target, human_state, status } = event;
  const state = human_state === 'open' ? 'asks' : (human_state ?? status);
  return [timestamp, id, source_agent, action, target ?? '', state].map(safe).join('\t');
}

/** A name that is too long for its column is seen whole, and moves the others aside, as long as it is not by much. */
function columnOf(text: string, width: number): string {
  const harmless = safe(text);
  return displayWidth(harmless) > width + width / 2 ? fitTo(harmless, width + width / 2) : harmless.padEnd(width);
}

function colorOf({ action }: Event): string {
  return /(^|_)(failed|failure|error|missing|dead)(_|$)/.test(action) ? red : bold;
}

function restOf({ target, human_question, human_state, human_options, details }: Event): string {
  const options = human_options === null || human_options.length === 0 ? '' : ` [${human_options.join(' / ')}]`;
  const question = human_state === null ? '' : `? ${human_question ?? 'asks a person'}${options}`;
  return [target ?? '', question, hintOf(details)].filter(Boolean).map(safe).join(gap);
}

/** Characters of details that are looked at; a line shows far fewer. */
const maxHint = 200;

function hintOf(details: Event['details']): string {
  let hint = '';
  for (const [key, value] of Object.entries(details ?? {})) {
    hint += `${hint === '' ? '' : ' '}${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`;
    if (hint.length >= maxHint) return hint.slice(0, maxHint);
  }
  return hint;
}

function safe(text: string): string {
  return printable(onOneLine(text));
}
