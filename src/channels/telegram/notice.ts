import type { Event } from '../../events/event.ts';
import { compilePattern } from '../../events/pattern.ts';
import type { Journal } from './journal.ts';
import { html, type Markup, messagesOf, short } from './markup.ts';

const maxSentence = 1000;
/** So much may wait for a chat: at a message a second a flood would go on all night. Of more only the numbers are told. */
const maxUntold = 30;
/** Actions that are counted apart. */
const maxCounted = 10;
const others = 'others';

type Folded = { id: string; counts: Record<string, number> };

/** Whether something is told unasked: by its action. What was asked for through a call is told to whoever called. */
export function tellsOf(patterns: readonly string[]): (event: Event) => boolean {
  const matchers = patterns.map(compilePattern);
  return ({ action, requires_human }) => !requires_human && matchers.some((matches) => matches(action));
}

/** Tells a chat of an event, or of how many there are when too much waits already. Safe to repeat with what is kept beside it. */
export function tell(journal: Pick<Journal, 'say' | 'untold' | 'amend' | 'get' | 'set'>, event: Event, chat: number) {
  if (journal.untold(chat) < maxUntold) {
    for (const [at, text] of messagesOf(noticeLines(event)).entries())
      journal.say({ id: `tell ${event.id} ${chat} ${at}`, chat, shown: { html: text, keys: [] } });
    return;
  }
  const note = `folded ${chat}`;
  const before = JSON.parse(journal.get(note) ?? 'null') as Folded | null;
  const longer = before && { id: before.id, counts: countedIn(before.counts, event.action) };
  if (longer && journal.amend(longer.id, foldedText(longer))) return journal.set(note, JSON.stringify(longer));
  const first: Folded = { id: `tell more ${event.id} ${chat}`, counts: { [event.action]: 1 } };
  journal.say({ id: first.id, chat, shown: { html: foldedText(first), keys: [] } });
  journal.set(note, JSON.stringify(first));
}

function countedIn(counts: Folded['counts'], action: string): Folded['counts'] {
  const key = Object.hasOwn(counts, action) || Object.keys(counts).length < maxCounted ? action : others;
  return { ...counts, [key]: (Object.hasOwn(counts, key) ? (counts[key] as number) : 0) + 1 };
}

function foldedText({ counts }: Folded): string {
  const lines = Object.entries(counts).map(([action, count]) => html`• ${count} × ${short(action, 100)}`);
  const [text = ''] = messagesOf([
    html`⚠️ <b>So much happened that it is not told one by one:</b>`,
    ...lines,
    html`/events`,
  ]);
  return text;
}

/** What happened, in a few lines. */
function noticeLines({ id, action, target, source_agent, timestamp, details }: Event): Markup[] {
  const said = ['says', 'sentence', 'because', 'reason', 'error', 'message']
    .map((key) => details?.[key])
    .map((value) => (typeof value === 'object' && value !== null && 'message' in value ? value.message : value))
    .find((value) => typeof value === 'string' && value !== '') as string | undefined;
  const backup = details?.backup;
  return [
    html`${iconOf(action)} <b>${action}</b>${target === null ? '' : ` · ${target}`}`,
    ...(said === undefined
      ? []
      : short(said, maxSentence)
          .split('\n')
          .map((line) => html`${line}`)),
    ...(typeof backup === 'string' ? [html`<code>${short(backup, 200)}</code>`] : []),
    html`<i>${source_agent}, ${timestamp.slice(0, 10)} ${timestamp.slice(11, 16)} UTC</i> · <code>${id}</code>`,
  ];
}

function iconOf(action: string): string {
  if (/failed|lost|missing|rolled_back|anomaly|other_poller/.test(action)) return '⚠️';
  return /completed|back$|verified|passed/.test(action) ? '✅' : 'ℹ️';
}
