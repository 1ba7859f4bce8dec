import type { Clock } from '../../base/clock.ts';
import { Fault, reasonOf } from '../../base/fault.ts';
import type { JsonObject } from '../../base/json.ts';
import type { Log } from '../../base/log.ts';
import type { Client } from '../../client/client.ts';
import type { Resolution } from '../../events/answer.ts';
import type { Capability } from '../../events/capability.ts';
import { busActions, busAgent, type Event, type PendingQuestion } from '../../events/event.ts';
import { endOfCall } from './call-lines.ts';
import type { Journal } from './journal.ts';
import { messagesOf } from './markup.ts';
import { tell, tellsOf } from './notice.ts';
import { keyOf, mayAnswer, outcomeOf, resolutionOf, showQuestion } from './question-message.ts';
import { tellEnd } from './settle.ts';
import { isHeldBack, tellEnded } from './silence.ts';

export type Following = {
  client: Client;
  journal: Journal;
  capabilities: readonly Capability[];
  /** Who answers here, as the bus calls them. */
  person: string;
  chats: readonly number[];
  tell: readonly string[];
  /** Something waits to be sent. */
  wake(): void;
  log: Log;
  clock: Clock;
  signal: AbortSignal;
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
};

const pageSize = 200;
/** Open questions that are shown at most when the bot starts. */
const maxPages = 5;
const patienceMs = Number.MAX_SAFE_INTEGER;
const pauseAfterFaultMs = 5_000;

/**
 * Brings what happens on the bus into the chats, until the signal: questions, how they end wherever they are answered, what went
 * wrong or was backed up, and what came of calls. Where it is in the log it keeps together with what it says, so nothing is lost or
 * said twice over a restart. @throws Fault when the bus refuses the token
 */
export async function followBus(following: Following): Promise<void> {
  const { client, journal, log, signal, sleep, wake } = following;
  const tells = tellsOf(following.tell);
  let isBehind = true;
  while (!signal.aborted) {
    try {
      if (isBehind) await catchUp(following);
      isBehind = false;
      const after = journal.get('bookmark');
      const onTrouble = (fault: Fault) => log.warn('the bus is away; waiting for it', { because: fault.message });
      const where = after === undefined || after === '' ? { fromStart: true } : { after };
      for await (const event of client.follow({ ...where, signal, onTrouble, patienceMs })) {
        await hear(following, event, tells);
        wake();
      }
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof Fault && ['unauthorized', 'forbidden'].includes(error.code)) throw error;
      // The log was put back: what the bookmark meant is gone, and what is open now is looked up anew.
      if (error instanceof Fault && error.code === 'cursor-invalid') {
        journal.set('bookmark', '');
        isBehind = true;
      } else log.warn('what happens on the bus cannot be read; trying again', { because: reasonOf(error) });
      await sleep(pauseAfterFaultMs, signal).catch(() => undefined /* the loop looks at the signal */);
    }
  }
}

/** What a stream from the bookmark on would not tell: what is open already at the first start, or after the log was put back. */
async function catchUp(following: Following): Promise<void> {
  const { client, journal, wake } = following;
  if (!journal.get('bookmark')) journal.set('bookmark', await newestBookmark(client));
  for (const { id } of journal.openQuestions()) {
    const event = await eventOrNone(client, id);
    const end = event === undefined ? undefined : resolutionOf(event);
    if (end !== undefined || event === undefined) close(following, id, end);
  }
  for (const question of await openQuestions(client)) put(following, question);
  for (const { id } of journal.calls()) await tellCall(following, id);
  wake();
}

async function newestBookmark(client: Client): Promise<string> {
  const { events } = await client.events({ limit: 1 });
  return events[0]?.bookmark ?? '';
}

async function openQuestions(client: Client): Promise<PendingQuestion[]> {
  const all: PendingQuestion[] = [];
  let after: string | undefined;
  for (let page = 0; page < maxPages; page++) {
    const { pending, next } = await client.pending({ limit: pageSize, after });
    all.push(...pending);
    if (next === null) break;
    after = next;
  }
  return all;
}

async function eventOrNone(client: Client, id: string): Promise<Event | undefined> {
  try {
    return await client.event(id);
  } catch (error) {
    if (error instanceof Fault && error.code === 'not-found') return undefined;
    throw error;
  }
}

const ends: readonly string[] = [busActions.humanResponded, busActions.humanTimedOut, busActions.humanCancelled];

/** Everything that is asked of the bus comes first; then what follows is written together with the bookmark. */
async function hear(following: Following, event: Event, tells: (event: Event) => boolean): Promise<void> {
  const { client, journal, chats, clock } = following;
  const isBus = event.source_agent === busAgent;
  const about = isBus ? String(event.details?.event_id ?? '') : '';
  const escalated = isBus && event.action === busActions.humanEscalated ? await eventOrNone(client, about) : undefined;
  const isEnd = isBus && ends.includes(event.action);
  if (event.causation_id !== null && journal.calls().some(({ id }) => id === event.causation_id))
    await tellCall(following, event.causation_id);
  else if (isEnd && /_approval$/.test(String(event.details?.action))) await tellRefused(following);
  journal.together(() => {
    if (event.requires_human && event.human_state === 'open') put(following, event);
    if (escalated?.human_state === 'open') put(following, escalated);
    if (isEnd) close(following, about, resolutionIn(event.details ?? {}), textIn(event.details, 'reason'));
    tellEnded(journal, chats, clock());
    if (tells(event))
      for (const chat of chats) if (!isHeldBack(journal, event, chat, clock())) tell(journal, event, chat);
    journal.set('bookmark', event.bookmark);
  });
}

const textIn = (details: JsonObject | null, key: string) =>
  typeof details?.[key] === 'string' ? (details[key] as string) : null;

function resolutionIn(details: JsonObject): Resolution {
  const text = (key: string) => textIn(details, key);
  return {
    state: (text('state') ?? 'answered') as Resolution['state'],
    response: text('response'),
    responded_by: text('responded_by'),
    responded_via: text('responded_via'),
    resolved_at: text('resolved_at') ?? '',
  };
}

/** Puts a question to everybody here, if they may answer it. Safe to repeat. */
function put({ journal, chats, person, clock }: Following, question: PendingQuestion | Event): void {
  if (!mayAnswer(question, person)) return;
  journal.together(() => {
    if (!journal.putQuestion({ id: question.id, key: keyOf(question.id) })) return;
    sayQuestion(journal, question, chats, 'ask', clock());
  });
}

/** Shows a question in these chats; `as` names this showing. */
export function sayQuestion(
  journal: Pick<Journal, 'say'>,
  question: PendingQuestion | Event,
  chats: readonly number[],
  as: string,
  nowMs: number,
): void {
  const messages = showQuestion(question, nowMs);
  for (const chat of chats)
    for (const [at, shown] of messages.entries())
      journal.say({
        id: `${as} ${question.id} ${chat} ${at}`,
        chat,
        shown,
        isUrgent: true,
        // The last one has the buttons, and is the one that changes.
        ...(at === messages.length - 1 ? { question: question.id } : {}),
      });
}

function close({ journal }: Following, id: string, end: Resolution | undefined, reason: string | null = null): void {
  journal.together(() => {
    journal.closeQuestion(
      id,
      end === undefined ? '🚫 The bus does not know this question any more.' : outcomeOf(end, reason),
    );
    journal.endCodes(id);
    tellEnd(journal, id);
  });
}

/** Tells what came of a call, if it is through. Safe to repeat. */
async function tellCall({ client, journal, capabilities }: Following, id: string): Promise<void> {
  const call = journal.calls().find((each) => each.id === id);
  if (!call) return;
  let lines: ReturnType<typeof endOfCall>;
  try {
    lines = endOfCall(capabilities, await client.callState(id));
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    // A call that failed is told as a fault, and so is one that the bus has forgotten; being away is neither.
    if (['unreachable', 'unavailable', 'rate-limited', 'queue-full'].includes(error.code)) throw error;
    lines = endOfCall(capabilities, { id, fault: error });
  }
  if (lines === undefined) return;
  const told = messagesOf(lines);
  journal.together(() => {
    for (const [at, html] of told.entries())
      journal.say({ id: `end of ${id} ${at}`, chat: call.chat, shown: { html, keys: [] }, isUrgent: true });
    journal.endCall(id);
  });
}

/** A call that was refused has no end of its own on the bus but that of its question. */
async function tellRefused(following: Following): Promise<void> {
  for (const { id } of following.journal.calls()) await tellCall(following, id);
}
