import { breakAt, displayWidth, wrap } from '../../base/display-width.ts';
import { linesOf } from '../../base/line-breaks.ts';
import { printable } from '../../base/log.ts';
import type { PendingQuestion } from '../../events/event.ts';
import { showDeadline, showDuration } from './show-time.ts';

/** So many lines of a question's details are shown; the rest is named. */
const maxDetailLines = 16;
/** Below this a terminal's own wrapping is no worse than ours. */
const narrowest = 20;

/**
 * An open question for a person who decides: what is asked, what can be answered, and what it is about, in lines of at
 * most `columns`. Only an answer that must be typed as it stands may be longer. `shortId` is how the question is called.
 */
export function describeQuestion(q: PendingQuestion, shortId: string, columns: number, nowMs: number): string[] {
  const width = Math.max(columns, narrowest);
  const about = q.target ? ` about ${q.target}` : '';
  const options = q.human_options?.map((option) => JSON.stringify(option)).join(' | ');
  const free = q.free_text || !options ? 'any text' : '';
  const by = q.answerers ? ` by ${q.answerers.join(', ')}` : '';
  const fallback = q.human_fallback === null ? 'no fallback' : `then ${JSON.stringify(q.human_fallback)}`;
  const due = q.timeout_at === null ? 'never times out' : `due ${showDeadline(q.timeout_at, nowMs)}, ${fallback}`;
  const below = (text: string) =>
    wrap(printable(text), width - 4).map((line, i) => `${i === 0 ? '  ' : '    '}${line}`);
  return [
    ...broken(`${shortId}  ${q.source_agent} asks${about}`, width - 4).map((line, i) =>
      i === 0 ? line : `    ${line}`,
    ),
    ...asked(q.human_question ?? '(no question text)', width),
    ...below(`Answer: ${[options, free].filter(Boolean).join(' | ')}${by}`),
    ...detailsOf(q, shortId, width),
    ...(q.escalation ?? []).flatMap((rung) => broken(`Escalation: ${rungOf(rung)}`, width - 4).map(indented)),
    ...(q.payload_hash === null ? [] : broken(`Hash of what is approved: ${q.payload_hash}`, width - 4).map(indented)),
    ...broken(`(${q.action}, ${due})`, width - 4).map(indented),
  ];
}

/** The question with its own line breaks. All lines after the first stand deeper, so that none passes for one of ours. */
function asked(question: string, width: number): string[] {
  return linesOf(question)
    .flatMap((line) => broken(line, width - 4))
    .map(indented);
}

/** The details as JSON, a member a line, without the braces around all. */
function detailsOf({ details }: PendingQuestion, shortId: string, width: number): string[] {
  if (details === null || Object.keys(details).length === 0) return [];
  const lines = JSON.stringify(details, null, 2)
    .split('\n')
    .slice(1, -1)
    .flatMap((line) => hanging(line.slice(2), width - 4));
  const shown = lines.length > maxDetailLines ? lines.slice(0, maxDetailLines - 1) : lines;
  const rest = lines.length - shown.length;
  return [
    '  Details:',
    ...shown.map((line) => `    ${line}`),
    ...(rest > 0 ? more(`… ${rest} more lines; whole:`, `leveredge events ${printable(shortId)}`, width) : []),
  ];
}

/** A sentence and its command; the command stays in one piece, for copying. */
function more(sentence: string, command: string, width: number): string[] {
  const line = `    ${sentence} ${command}`;
  return displayWidth(line) <= width ? [line] : [`    ${sentence}`, `    ${command}`];
}

/** A line of JSON in pieces, which keep its depth. */
function hanging(line: string, width: number): string[] {
  const depth = Math.min(/^ */.exec(line)?.[0].length ?? 0, Math.floor(width / 2));
  const [first = '', ...rest] = broken(line.trimStart(), width - depth - 2);
  return [' '.repeat(depth) + first, ...rest.map((piece) => ' '.repeat(depth + 2) + piece)];
}

function rungOf({ after_minutes, notify, fired_at }: NonNullable<PendingQuestion['escalation']>[number]): string {
  const names = notify.join(', ');
  return fired_at === null
    ? `after ${showDuration(after_minutes * 60_000)} to ${names}`
    : `to ${names}, told at ${fired_at}`;
}

/** Harmless text broken at blanks, and within a word that is longer than a line. */
function broken(text: string, width: number): string[] {
  return wrap(printable(text), width).flatMap((line) => breakAt(line, width));
}

function indented(line: string, i: number): string {
  return `${i === 0 ? '  ' : '    '}${line}`;
}
