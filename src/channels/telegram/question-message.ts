import { createHash } from 'node:crypto';
import type { Resolution } from '../../events/answer.ts';
import type { Event, PendingQuestion } from '../../events/event.ts';
import type { Key, Shown } from './journal.ts';
import { html, type Markup, maxMessage, messagesOf, short } from './markup.ts';

type Asked = Pick<
  PendingQuestion,
  | 'id'
  | 'source_agent'
  | 'target'
  | 'human_question'
  | 'human_options'
  | 'human_fallback'
  | 'timeout_at'
  | 'free_text'
  | 'answerers'
  | 'payload_hash'
>;

/** Room for the outcome below a question. */
const outcomeRoom = 500;
const maxName = 80;
/** Telegram takes 64 bytes; what stands around the key needs some. */
const longestKey = 48;
const maxButtons = 30;
const maxButtonText = 60;

/** How buttons name a question: its id, or a digest of one that is too long for them. */
export function keyOf(id: string): string {
  if (/^[\w.-]+$/.test(id) && id.length <= longestKey) return id;
  return `~${createHash('sha256').update(id).digest('hex').slice(0, 40)}`;
}

/** What a tap on this option sends. At most 64 bytes, whatever the question is called. */
export const dataOf = (key: string, option: number) => `a:${key}:${option}`;

/** What a tap said; undefined for what no button of ours sends. */
export function readData(data: string): { key: string; option: number } | undefined {
  const [, key, option] = /^a:([\w.~-]{1,48}):(\d{1,2})$/.exec(data) ?? [];
  return key === undefined ? undefined : { key, option: Number(option) };
}

/** A question for a phone: one message or several, the buttons below the last. `nowMs`: for how long there is left. */
export function showQuestion(asked: Asked, nowMs: number): Shown[] {
  const { id, source_agent, target, human_question, human_options: options, payload_hash } = asked;
  const about = target === null ? '' : ` about ${target}`;
  const lines: Markup[] = [
    html`❓ <b>${source_agent} asks${about}</b>`,
    ...(human_question ?? '(no question text)').split('\n').map((line) => html`${line}`),
    html``,
    ...(options && options.length > maxButtons ? [html`Answers: ${options.join(' | ')}`] : []),
    ...(asked.free_text || !options?.length ? [html`Any text: /respond ${shortId(id)} your answer`] : []),
    html`<i>${deadlineOf(asked, nowMs)}</i>`,
    html`<code>${id}</code>${payload_hash === null ? '' : ' · an approval'}`,
  ];
  const keys: Key[] = (options ?? [])
    .slice(0, maxButtons)
    .map((option, at) => ({ text: short(option, maxButtonText) || '(empty)', data: dataOf(keyOf(id), at) }));
  const messages = messagesOf(lines, maxMessage - outcomeRoom);
  return messages.map((text, at) => ({ html: text, keys: at === messages.length - 1 ? keys : [] }));
}

const idShown = 13;
const shortId = (id: string) => id.slice(0, idShown);

function deadlineOf({ timeout_at, human_fallback }: Asked, nowMs: number): string {
  if (timeout_at === null) return 'It waits for ever.';
  const then = human_fallback === null ? 'then it ends without an answer' : `then: ${short(human_fallback, 200)}`;
  return `Until ${clockTime(timeout_at)} (${left(Date.parse(timeout_at) - nowMs)}), ${then}.`;
}

/** In the server's own words and UTC: the phone may be anywhere. */
const clockTime = (time: string) => `${time.slice(0, 10)} ${time.slice(11, 16)} UTC`;

function left(ms: number): string {
  const minutes = Math.max(0, Math.round(ms / 60_000));
  if (minutes < 120) return `${minutes} min left`;
  return minutes < 48 * 60 ? `${Math.round(minutes / 60)} h left` : `${Math.round(minutes / 1440)} days left`;
}

/** How a question ended, as one line: what, who, where, when, and why if that was said. No longer than what is left for it, whatever they are called. */
export function outcomeOf(
  { state, response, responded_by, responded_via, resolved_at }: Resolution,
  reason: string | null = null,
): string {
  const when = clockTime(resolved_at);
  const where = responded_via === null ? '' : ` (${short(responded_via, maxName)})`;
  const by = responded_by === null ? null : short(responded_by, maxName);
  const said = response === null ? '' : short(response, 120);
  if (state === 'cancelled') return html`🚫 Taken back by ${by ?? 'its asker'}${where}, ${when}.`.html;
  if (state === 'timed_out')
    return response === null
      ? html`⌛ Nobody answered until ${when}.`.html
      : html`⌛ Nobody answered until ${when}; taken as: <b>${said}</b>.`.html;
  const why = reason === null ? '' : html` <i>${short(reason.replaceAll('\n', ' '), maxName)}</i>`;
  return html`✅ <b>${said}</b> — ${by ?? 'somebody'}${where}, ${when}.${why}`.html;
}

/** How a question ended, from the event that asked it; undefined while it is open. */
export function resolutionOf(event: Event): Resolution | undefined {
  const { human_state: state, human_response, human_responded_at, human_responded_by, human_responded_via } = event;
  if (state === null || state === 'open') return undefined;
  return {
    state,
    response: human_response,
    responded_by: human_responded_by,
    responded_via: human_responded_via,
    resolved_at: human_responded_at ?? event.updated_at,
  };
}

/** Whether this person may answer: all may where nobody is named; an escalation names more. */
export function mayAnswer({ answerers, escalation }: Pick<Event, 'answerers' | 'escalation'>, person: string): boolean {
  if (answerers === null) return true;
  const told = (escalation ?? []).flatMap(({ fired_at, notify }) => (fired_at === null ? [] : notify));
  return [...answerers, ...told].includes(person);
}
