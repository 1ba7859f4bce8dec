import type { Clock } from '../../base/clock.ts';
import { Fault } from '../../base/fault.ts';
import type { Client } from '../../client/client.ts';
import { isSteppedUp } from '../../events/capability.ts';
import type { Event } from '../../events/event.ts';
import { alert, answerWith, isAway, type TapAnswer } from './answer.ts';
import { type Codes, holdsCode, looksLikeCode } from './codes.ts';
import type { AwaitedCode, Journal } from './journal.ts';
import { html, type Markup, messagesOf, short } from './markup.ts';
import type { RefusedCode } from './noticed.ts';
import type { Reply } from './reply.ts';

/** Who has tapped or written, in their own private chat. `name`: as they are listed, where there are several. */
export type Who = { chat: number; name: string | undefined };

/** A message that may be a code. `answers`: the message that it is an answer to, and what that says where it is the bot's own. */
export type SentText = {
  text: string;
  message: number;
  answers: { message: number; text: string } | undefined;
  sentMs: number;
};

export type StepUpDeps = {
  client: Pick<Client, 'event' | 'respond'>;
  journal: Journal;
  codes: Codes;
  /** As whom everybody here answers. */
  person: string;
  clock: Clock;
  /** A code was not taken. */
  onRefused(refused: RefusedCode): void;
};

/** So long a yes waits for its code. */
const waitsMs = 5 * 60_000;
/** So long a code that was right is good, where the bus was away just then. */
const provenMs = 10 * 60_000;

/** What a bus says that has no room or no time just now. */
const passing: readonly string[] = ['unavailable', 'rate-limited', 'queue-full', 'storage-full', 'internal'];

/** Whether this answer counts with a code alone. A no, which is what happens anyway, does not need one. */
export const takesCode = (event: Event, response: string) =>
  event.human_state === 'open' && isSteppedUp(event) && response !== event.human_fallback;

/**
 * Asks whoever said yes for their code, unless it was right already. Decides nothing, and says so where no code could count.
 * @throws Fault as the bus
 */
export async function askForCode(deps: StepUpDeps, event: Event, response: string, who: Who): Promise<TapAnswer> {
  const { journal, codes, clock } = deps;
  const { chat } = who;
  const now = clock();
  const before = journal.awaitedCode(chat);
  if (before?.question === event.id && before.response === response) {
    if (before.proof !== null && isWithin(before, now, provenMs)) return settle(deps, event, before, who);
    if (isWithin(before, now, waitsMs)) return alert('I wait for your code: write it to me.');
  }
  const ready = await codes.ready().catch(refusedFor);
  const id = `code ${event.id} ${chat} ${now}`;
  if (ready.kind === 'refused') {
    const onServer = `On the server it can be answered without one: leveredge answer ${event.id} ${response}`;
    const lines = [
      html`❌ Not decided, because it takes a code.`,
      ...ready.says.map((line) => html`${line}`),
      html`${onServer}`,
    ];
    sayAll(journal, id, chat, messagesOf(lines));
    return alert('Not decided: no code can be judged now.');
  }
  const entry = ready.entry === null ? '' : ` (its entry ${ready.entry})`;
  const [asks = ''] = (event.human_question ?? '').split('\n');
  const until = `${new Date(now + waitsMs).toISOString().slice(11, 16)} UTC`;
  const lines = [
    html`🔐 <b>${short(asks, 500)}</b>`,
    html`For <b>${short(response, 60)}</b>, answer to this message with the code of your authenticator${entry}, or a backup code, until ${until}. Until then nothing is decided.`,
    html`<code>${event.id}</code>`,
  ];
  journal.together(() => {
    journal.awaitCode({ chat, question: event.id, response, sinceMs: now, proof: null });
    sayAll(journal, id, chat, messagesOf(lines), event.id);
  });
  return { text: 'Now your code.', isAlert: false };
}

/** What a message that may be a code comes to; undefined for what is none, which is something else that is said. @throws Fault */
export async function hearCode(deps: StepUpDeps, sent: SentText, who: Who): Promise<Reply | undefined> {
  const { journal } = deps;
  const awaited = journal.awaitedCode(who.chat);
  const isForIt = awaited !== undefined && sent.answers !== undefined && shows(journal, awaited, sent.answers);
  if (!looksLikeCode(sent.text)) {
    if (!isForIt || sent.text.startsWith('/')) return undefined;
    return { lines: [html`That has not the form of a code, and was not looked at. Six digits, or a backup code.`] };
  }
  const says = (text: string): Reply => ({ lines: [html`${text}`], also: forgetting(sent, who) });
  if (awaited === undefined) return says('Nothing waits for a code of yours; it was not looked at.');
  if (sent.answers !== undefined && !isForIt)
    return says(
      'That was an answer to another message, so the code was not looked at. Answer to the one that asks for it.',
    );
  if (!isWithin(awaited, deps.clock(), awaited.proof === null ? waitsMs : provenMs)) {
    journal.endCode(who.chat);
    return says('That was more than 5 minutes after your tap, so the code was not looked at. Tap the answer again.');
  }
  return judged(deps, awaited, sent, who);
}

/** By what it says too: of a message that was sent twice the journal knows one. */
function shows(journal: Journal, { chat, question }: AwaitedCode, { message, text }: NonNullable<SentText['answers']>) {
  return text.includes(question) || journal.shownAt(question).some((at) => at.chat === chat && at.message === message);
}

async function judged(deps: StepUpDeps, awaited: AwaitedCode, sent: SentText, who: Who): Promise<Reply> {
  const { client, journal, codes, person } = deps;
  const also = forgetting(sent, who);
  const refused = (says: readonly string[]): Reply => ({ lines: says.map((line) => html`${line}`), also });
  const event = await client.event(awaited.question).catch(faultOf);
  if (event instanceof Fault)
    return refused([isAway(event) ? '⚠️ The bus does not answer.' : event.message, 'Your code was not looked at.']);
  if (awaited.proof === null && takesCode(event, awaited.response)) {
    const { id: question, payload_hash } = event;
    const code = { code: sent.text.trim(), question, payload_hash: payload_hash ?? '', person, sent_ms: sent.sentMs };
    const verdict = await codes.judge(code).catch(refusedFor);
    if (verdict.kind === 'refused') {
      deps.onRefused({ user: who.chat, message: sent.message, question });
      return refused(verdict.says);
    }
    // On disk before the bus is told: killed in between, nobody has to wait for another code.
    journal.awaitCode({ ...awaited, proof: verdict.proof });
    const { text } = await settle(deps, event, { ...awaited, proof: verdict.proof }, who);
    return refused([text, ...verdict.says]);
  }
  const { text } = await settle(deps, event, awaited, who);
  return refused([text]);
}

async function settle(deps: StepUpDeps, event: Event, awaited: AwaitedCode, { name }: Who): Promise<TapAnswer> {
  const { client, journal } = deps;
  try {
    const answer = await answerWith(client, event, awaited.response, { by: name, proof: awaited.proof });
    journal.endCodes(event.id);
    return answer;
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    if (isAway(error)) return alert('Your code was right, but the bus does not answer. Tap again when it is back.');
    // It has decided nothing: the proof is still good.
    if (passing.includes(error.code))
      return alert(`Your code was right, and not stored yet; tap again later. ${error.message}`);
    journal.endCode(awaited.chat);
    return alert(`Not stored: ${error.message}`);
  }
}

/**
 * What is said to a text that is none that is understood here. With a code in it that is taken away too; a caller says nothing of such a
 * text again, since what is said is kept.
 */
export function without(sent: SentText, who: Who, ...lines: Markup[]): Reply {
  if (!holdsCode(sent.text)) return { lines };
  const alone = html`A code stands alone in its message, after I have asked for it. This one was not looked at.`;
  return { lines: [...lines, alone], also: forgetting(sent, who) };
}

/** What a code was, nobody is to read in the chat: it is taken away, whatever became of it. */
const forgetting =
  ({ message }: SentText, { chat }: Who) =>
  (journal: Journal) =>
    journal.say({
      id: `forget ${chat} ${message}`,
      chat,
      shown: { html: '', keys: [] },
      edits: message,
      isReply: true,
    });

function sayAll(journal: Journal, id: string, chat: number, texts: readonly string[], question?: string): void {
  for (const [at, text] of texts.entries())
    journal.say({
      ...{ id: `${id} ${at}`, chat, shown: { html: text, keys: [] }, isReply: true },
      ...(question === undefined || at < texts.length - 1 ? {} : { question }),
    });
}

/** Where the clock was set back, nobody knows how long ago it was. */
const isWithin = ({ sinceMs }: AwaitedCode, nowMs: number, ms: number) =>
  nowMs >= sinceMs - 1000 && nowMs - sinceMs <= ms;

function refusedFor(error: unknown): { kind: 'refused'; says: string[] } {
  const { message, hint } = faultOf(error);
  return { kind: 'refused', says: [message, ...(hint === undefined ? [] : [hint])] };
}

function faultOf(error: unknown): Fault {
  if (error instanceof Fault) return error;
  throw error;
}
