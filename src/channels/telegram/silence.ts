import type { Clock } from '../../base/clock.ts';
import { reasonOf } from '../../base/fault.ts';
import type { Log } from '../../base/log.ts';
import type { Event } from '../../events/event.ts';
import type { Journal } from './journal.ts';
import { html, type Markup, messagesOf, short } from './markup.ts';

/** What is held back meanwhile: how many of each action and target, and when the last one came. */
type Held = Record<string, { count: number; atMs: number }>;
type Silence = { sinceMs: number; forMs: number; held: Held };
/** By what it is about: a target, or everything. */
type Silences = Record<string, Silence>;

type Notes = Pick<Journal, 'get' | 'set'>;

const everything = '';
/** Whoever reads the bot's messages, or has changed the key of the log, gains by a silence. */
const neverSilent: readonly string[] = ['telegram_other_poller', 'audit_key_changed'];
/** Actions and targets that are counted apart; with more the message would become several. */
const maxCounted = 20;
const others = 'others';
const maxSilences = 20;
/** So long a silence may be over before that is told. */
const lookMs = 20_000;

/** Makes a chat silent for so long, or silent anew. Undefined when it is, else why not. */
export function silence(notes: Notes, chat: number, about: string, forMs: number, nowMs: number): string | undefined {
  const silences = silencesIn(notes, chat);
  if (silences[about] === undefined && Object.keys(silences).length >= maxSilences)
    return `There are ${maxSilences} silences already. /silence off ends them.`;
  keep(notes, chat, { ...silences, [about]: { sinceMs: nowMs, forMs, held: silences[about]?.held ?? {} } });
  return undefined;
}

/** What is silent in a chat now. */
export function silenceLines(notes: Notes, chat: number, nowMs: number): Markup[] {
  const silences = Object.entries(silencesIn(notes, chat)).filter(([, each]) => leftMs(each, nowMs) > 0);
  return silences.map(([about, each]) => {
    const held = Object.values(each.held).reduce((sum, { count }) => sum + count, 0);
    return html`🔕 ${aboutOf(about)} until ${clockTime(nowMs + leftMs(each, nowMs))}; held back so far: ${held}.`;
  });
}

/** Ends the silence about something, or all; what was held back. Undefined where there is none. */
export function unsilence(notes: Notes, chat: number, about: string | undefined): Markup[] | undefined {
  const silences = silencesIn(notes, chat);
  const ended = about === undefined ? Object.keys(silences) : [about].filter((each) => Object.hasOwn(silences, each));
  if (ended.length === 0) return undefined;
  return end(notes, chat, silences, ended);
}

/** Whether something is not told now, because it is silent; counted then, to be told at the end. */
export function isHeldBack(notes: Notes, { action, target }: Event, chat: number, nowMs: number): boolean {
  const silences = silencesIn(notes, chat);
  const about = [target ?? everything, everything].find((each) => leftMs(silences[each], nowMs) > 0);
  if (about === undefined || neverSilent.includes(action)) return false;
  const { held, ...rest } = silences[about] as Silence;
  keep(notes, chat, { ...silences, [about]: { ...rest, held: added(held, keyOf(action, target), 1, nowMs) } });
  return true;
}

/** Tells of each silence that is over what it held back. Answers in how long one may be over. Safe to repeat. */
export function tellEnded(journal: Notes & Pick<Journal, 'say'>, chats: readonly number[], nowMs: number): number {
  let nextMs = lookMs;
  for (const chat of chats) {
    const silences = silencesIn(journal, chat);
    const over = Object.keys(silences).filter((about) => leftMs(silences[about], nowMs) === 0);
    if (over.length > 0) {
      const [text = ''] = messagesOf(end(journal, chat, silences, over));
      journal.say({ id: `silence ${chat} ${over[0]} ${nowMs}`, chat, shown: { html: text, keys: [] }, isUrgent: true });
    }
    for (const each of Object.values(silencesIn(journal, chat))) nextMs = Math.min(nextMs, leftMs(each, nowMs));
  }
  return nextMs;
}

type Keeping = {
  journal: Journal;
  chats: readonly number[];
  clock: Clock;
  wake(): void;
  log: Log;
  signal: AbortSignal;
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
};

/** Ends silences when their time is over, until the signal. While the disk takes no note of that they go on. */
export async function keepSilences({ journal, chats, clock, wake, log, signal, sleep }: Keeping): Promise<void> {
  while (!signal.aborted) {
    let nextMs = lookMs;
    try {
      nextMs = journal.together(() => tellEnded(journal, chats, clock()));
      wake();
    } catch (error) {
      log.error('the end of a silence cannot be noted; trying again', { because: reasonOf(error) });
    }
    await sleep(Math.max(nextMs, 1), signal).catch(() => undefined /* the loop looks at the signal */);
  }
}

/** What was held back, in one message. What is still silent as a whole keeps what was held back of its parts. */
function end(notes: Notes, chat: number, silences: Silences, ended: readonly string[]): Markup[] {
  const left = Object.fromEntries(Object.entries(silences).filter(([about]) => !ended.includes(about)));
  let held: Held = {};
  for (const about of ended)
    for (const [key, { count, atMs }] of Object.entries(silences[about]?.held ?? {}))
      held = added(held, key, count, atMs);
  const whole = left[everything];
  keep(
    notes,
    chat,
    whole === undefined ? left : { ...left, [everything]: { ...whole, held: merged(whole.held, held) } },
  );
  const what = ended.includes(everything) ? '' : ` about ${ended.map((each) => short(each, 60)).join(', ')}`;
  const over = html`🔔 <b>The silence${what} is over.</b>`;
  if (whole !== undefined) return [over, html`All is silent until its time is over.`];
  const lines = Object.entries(held).map(([key, { count, atMs }]) => {
    const [action = '', target = ''] = key.split('\t');
    const of = target === '' ? '' : ` · ${short(target, 60)}`;
    return html`• ${count} × <b>${short(action, 60)}</b>${of}, last ${clockTime(atMs)}`;
  });
  return lines.length === 0
    ? [over, html`Nothing was held back.`]
    : [over, html`Held back were:`, ...lines, html`/events`];
}

function merged(held: Held, more: Held): Held {
  let all = held;
  for (const [key, { count, atMs }] of Object.entries(more)) all = added(all, key, count, atMs);
  return all;
}

function added(held: Held, wanted: string, count: number, atMs: number): Held {
  const key = Object.hasOwn(held, wanted) || Object.keys(held).length < maxCounted ? wanted : others;
  const before = Object.hasOwn(held, key) ? (held[key] as Held[string]) : { count: 0, atMs: 0 };
  return { ...held, [key]: { count: before.count + count, atMs: Math.max(before.atMs, atMs) } };
}

const keyOf = (action: string, target: string | null) => `${action}\t${target ?? ''}`;
const aboutOf = (about: string) => (about === everything ? 'Silent' : `Silent about ${short(about, 60)}`);
const clockTime = (ms: number) => `${new Date(ms).toISOString().slice(0, 16).replace('T', ' ')} UTC`;

/** Where the clock was set back it is not silent for longer than it was told to. */
function leftMs(one: Silence | undefined, nowMs: number): number {
  if (one === undefined) return 0;
  return Math.min(one.forMs, Math.max(0, one.sinceMs + one.forMs - nowMs));
}

const note = (chat: number) => `silence ${chat}`;
const silencesIn = ({ get }: Notes, chat: number) => JSON.parse(get(note(chat)) ?? '{}') as Silences;
const keep = ({ set }: Notes, chat: number, silences: Silences) => set(note(chat), JSON.stringify(silences));
