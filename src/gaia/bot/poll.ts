import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { Fault, reasonOf as reasonOfThrown } from '../../base/fault.ts';
import type { Log } from '../../base/log.ts';
import type { PhoneRequest } from '../emergency/request.ts';
import type { Spool } from '../emergency/spool.ts';
import { type Answer, type Api, isConflict, isUnknownToken } from './api.ts';
import type { Remembers } from './memory.ts';
import { type Update, understand } from './understand.ts';
import { writeSynced } from './write-synced.ts';

export type BotDeps = {
  api: Api;
  spool: Spool;
  memory: Remembers;
  users: ReadonlySet<number>;
  clock(): number;
  log: Log;
  signal: AbortSignal;
  /** See the recovery engine; does nothing in earnest. */
  pause(point: string): void;
};

const pollSeconds = 50;
const pollLimitMs = (pollSeconds + 15) * 1000;
const backoff = { firstMs: 1_000, mostMs: 30_000 };
const conflictPauseMs = 5_000;
const conflictToldEveryMs = 3_600_000;
const maxStrangers = 1_000;
const deleteLimitMs = 5_000;

const theft =
  'Another program receives what you write here, with the token of this bot. If you did not start one, the token may be stolen: revoke it with @BotFather (/revoke), put the new one into the token file on the server, and systemctl restart gaia-emergency. No restore can be confirmed with the token alone.';

/** Hears what people write, and hands it to the runner. Ends with the signal. @throws Fault `unauthorized` for a token that is none */
export async function poll(deps: BotDeps): Promise<void> {
  const { api, memory, log, signal, clock } = deps;
  const strangers = new Set<number>();
  let failures = 0;
  let conflictToldMs = Number.NEGATIVE_INFINITY;
  while (!signal.aborted) {
    const body = { offset: memory.now.offset, timeout: pollSeconds, allowed_updates: ['message', 'callback_query'] };
    const answer = await api.call('getUpdates', body, { limitMs: pollLimitMs, signal });
    if (answer.kind === 'ok') {
      if (failures > 0) log.info('Telegram answers again');
      failures = 0;
      for (const update of answer.result as Update[]) await hear(deps, update, strangers);
      continue;
    }
    if (signal.aborted) return;
    if (isUnknownToken(answer))
      throw new Fault('unauthorized', 'Telegram does not know the token of this bot, or not any more.', {
        hint: 'Put a new one of @BotFather into the token file.',
      });
    if (isConflict(answer) && clock() - conflictToldMs >= conflictToldEveryMs) {
      conflictToldMs = clock();
      log.error('another program polls with this token; it may be stolen');
      memory.keep({ own: [...memory.now.own, ...[...deps.users].map((to) => ({ to, text: theft }))] });
    }
    failures++;
    if (failures === 1) log.warn('Telegram cannot be polled', { because: reasonOf(answer) });
    await pause(waitAfter(answer, failures), undefined, { signal }).catch(onlyWhen(signal));
  }
}

function waitAfter(answer: Answer, failures: number): number {
  if (answer.kind === 'busy') return answer.retryAfterMs;
  if (isConflict(answer)) return conflictPauseMs;
  return Math.min(backoff.firstMs * 2 ** (failures - 1), backoff.mostMs);
}

/** Why something did not work, without anything secret. */
export function reasonOf(answer: Exclude<Answer, { kind: 'ok' }>): string {
  return answer.kind === 'busy'
    ? 'too many requests'
    : `${answer.says}${answer.kind === 'refused' ? ` (${answer.code})` : ''}`;
}

/** A wait that the end of the process has cut short is no failure. */
export function onlyWhen(signal: AbortSignal): (error: unknown) => void {
  return (error) => {
    if (!signal.aborted) throw error;
  };
}

async function hear(deps: BotDeps, update: Update, strangers: Set<number>): Promise<void> {
  const { memory, users, clock, log, api } = deps;
  const operationOf = (user: number, message: number | undefined) => {
    if (message === undefined) return memory.now.asked[user] ?? null;
    const key = Object.keys(memory.now.messages).find(
      (each) => each.startsWith(`${user}:`) && memory.now.messages[each]?.id === message,
    );
    return (key === undefined ? undefined : memory.now.messages[key]?.operation) ?? null;
  };
  const meaning = understand(update, { users, operationOf, nowMs: clock() });
  const own = [...memory.now.own];
  let code: { chat_id: number; message_id: number } | undefined;
  if (meaning.kind === 'unclear') own.push({ to: meaning.user, text: meaning.says });
  if (meaning.kind === 'ask') {
    const { request, query } = meaning;
    const problem = handOn(deps, request);
    if (problem !== undefined) own.push({ to: request.user, text: problem });
    else if (meaning.code !== undefined) code = { chat_id: request.user, message_id: meaning.code };
    deps.pause('bot asked');
    const text = problem === undefined ? 'Stopping …' : 'That could not be handed on.';
    // Whether it comes too late is nothing that could be mended.
    if (query !== undefined) await api.call('answerCallbackQuery', { callback_query_id: query, text });
  }
  if (meaning.kind === 'stranger' && strangers.size < maxStrangers && !strangers.has(meaning.user)) {
    strangers.add(meaning.user);
    log.warn('somebody wrote who is not listed, and got no answer', { user: meaning.user });
  }
  memory.keep({ offset: update.update_id + 1, own });
  // Not left to whoever has the phone, or Telegram's session, later. Where it cannot be, it has been handed on all the same.
  if (code !== undefined) await api.call('deleteMessage', code, { limitMs: deleteLimitMs, signal: deps.signal });
  deps.pause('bot heard');
}

/** To the runner; answers why that was not possible, for who asked. A bot that fell silent over it would help nobody. */
function handOn({ spool, log }: BotDeps, request: PhoneRequest): string | undefined {
  try {
    writeSynced(join(spool.requests, `${request.id}.json`), JSON.stringify(request));
    return undefined;
  } catch (error) {
    log.error('a request could not be written', { because: reasonOfThrown(error) });
    const { code } = error as NodeJS.ErrnoException;
    const why =
      code === 'ENOSPC' || code === 'EDQUOT' ? 'The disk of the server is full' : `The disk takes nothing (${code})`;
    return `${why}, so what you asked was not handed on, and nothing was done. On the server: df -h, and make room. Then send it again.`;
  }
}
