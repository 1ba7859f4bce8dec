import type { Event } from '../../events/event.ts';
import { compilePattern } from '../../events/pattern.ts';
import { html, type Markup, short } from './markup.ts';

const maxSentence = 1000;

/** Whether something is told unasked: by its action. What was asked for through a call is told to whoever called. */
export function tellsOf(patterns: readonly string[]): (event: Event) => boolean {
  const matchers = patterns.map(compilePattern);
  return ({ action, requires_human }) => !requires_human && matchers.some((matches) => matches(action));
}

/** What happened, in a few lines. */
export function noticeLines({ id, action, target, source_agent, timestamp, details }: Event): Markup[] {
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
