import { hash } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { reasonOf as reasonOfThrown } from '../../base/fault.ts';
import { type Reply, replyName } from '../emergency/replies.ts';
import { requestName } from '../emergency/request.ts';
import type { Answer } from './api.ts';
import { messagesOf } from './html.ts';
import { type BotDeps, onlyWhen, reasonOf } from './poll.ts';

const lookMs = 300;
/** One message a second and chat is what Telegram asks for. */
const gapMs = 1_000;
const retryMs = { first: 1_000, most: 30_000 };
/** A runner that lives takes a request within a second. */
const takenWithinMs = 15_000;

const noRunner =
  'Nobody has taken what you ask: the runner on the server does not run, or has no room on its disk. There: systemctl status gaia-runner; df -h. By hand: gaia status, gaia restore.';

/** Sends what the runner says, in its order, and what the bot says of itself. Ends with the signal. */
export async function deliver(deps: BotDeps): Promise<void> {
  const { log, signal } = deps;
  const sender = senderOf(deps);
  const missed = new Set<string>();
  if (deps.memory.isNew) forget(deps);
  let failures = 0;
  while (!signal.aborted) {
    let waitMs = lookMs;
    try {
      const trouble = await sendAll(deps, sender);
      failures = trouble === undefined ? 0 : failures + 1;
      if (trouble?.kind === 'busy') waitMs = trouble.retryAfterMs;
      else if (trouble !== undefined) waitMs = Math.min(retryMs.first * 2 ** (failures - 1), retryMs.most);
      if (failures === 1 && trouble?.kind === 'unreachable') log.warn('nothing can be sent', { because: trouble.says });
      missRunner(deps, missed);
    } catch (error) {
      log.error('something could not be sent for now', { because: reasonOfThrown(error) });
      waitMs = retryMs.first;
    }
    await pause(waitMs, undefined, { signal }).catch(onlyWhen(signal));
  }
}

/** A bot that knows of nothing tells nothing old. */
function forget({ memory, spool }: BotDeps): void {
  const names = namesIn(spool.replies);
  const shown = Object.fromEntries(
    names.filter(isProgress).map((name) => [name, digestOf(textIn(spool.replies, name))]),
  );
  memory.keep({ sent: names.filter((name) => !isProgress(name)), shown });
}

type Trouble = Exclude<Answer, { kind: 'ok' }>;
type Sender = (to: number, method: string, body: Record<string, unknown>) => Promise<Answer>;

function senderOf({ api, clock, signal }: BotDeps): Sender {
  const last = new Map<number, number>();
  return async (to, method, body) => {
    const waitMs = (last.get(to) ?? Number.NEGATIVE_INFINITY) + gapMs - clock();
    if (waitMs > 0) await pause(Math.min(waitMs, gapMs), undefined, { signal }).catch(onlyWhen(signal));
    last.set(to, clock());
    return api.call(method, { chat_id: to, ...body });
  };
}

/** Answers what keeps it from going on now; undefined when all is sent. */
async function sendAll(deps: BotDeps, send: Sender): Promise<Trouble | undefined> {
  const { memory, spool, signal } = deps;
  for (let own = memory.now.own[0]; own !== undefined && !signal.aborted; own = memory.now.own[0]) {
    const trouble = failed(deps, await send(own.to, 'sendMessage', { text: own.text }));
    if (trouble !== undefined) return trouble;
    memory.keep({ own: memory.now.own.slice(1) });
  }
  const names = namesIn(spool.replies);
  const here = new Set(names);
  const sent = memory.now.sent.filter((name) => here.has(name));
  for (const name of names.filter((each) => !isProgress(each) && !sent.includes(each))) {
    if (signal.aborted) return undefined;
    const text = textIn(spool.replies, name);
    const trouble = text === '' ? undefined : await sendReply(deps, send, name, JSON.parse(text) as Reply);
    if (trouble !== undefined) return trouble;
    sent.push(name);
    memory.keep({ sent: [...sent], parts: null });
    deps.pause('bot sent');
  }
  return showProgress(deps, send, names.filter(isProgress));
}

async function showProgress(deps: BotDeps, send: Sender, names: readonly string[]): Promise<Trouble | undefined> {
  const { memory, spool, signal } = deps;
  for (const name of names) {
    if (signal.aborted) return undefined;
    const text = textIn(spool.replies, name);
    const digest = digestOf(text);
    if (text === '' || memory.now.shown[name] === digest) continue;
    const trouble = await change(deps, send, JSON.parse(text) as Reply);
    if (trouble !== undefined) return trouble;
    const shown = Object.entries(memory.now.shown).filter(([each]) => names.includes(each));
    memory.keep({ shown: { ...Object.fromEntries(shown), [name]: digest } });
  }
  return undefined;
}

async function sendReply(deps: BotDeps, send: Sender, name: string, reply: Reply): Promise<Trouble | undefined> {
  const { memory } = deps;
  const texts = messagesOf(reply);
  const begin = memory.now.parts?.name === name ? memory.now.parts.count : 0;
  for (const [at, text] of texts.entries()) {
    if (at < begin) continue;
    const isLast = at === texts.length - 1;
    const answer = await send(reply.to, 'sendMessage', {
      ...{ text, parse_mode: 'HTML' },
      ...(isLast ? markup(reply) : {}),
    });
    const trouble = failed(deps, answer);
    if (trouble !== undefined) return trouble;
    if (!isLast) memory.keep({ parts: { name, count: at + 1 } });
    else if (answer.kind === 'ok') remember(deps, reply, (answer.result as { message_id: number }).message_id);
  }
  return undefined;
}

/** In the place of what was sent under this key; where there is nothing, or nothing that can be changed, it is sent. */
async function change(deps: BotDeps, send: Sender, reply: Reply): Promise<Trouble | undefined> {
  const known = deps.memory.now.messages[keyOf(reply)];
  if (known === undefined) return sendReply(deps, send, '', reply);
  const [text = ''] = messagesOf(reply);
  const body = { message_id: known.id, text, parse_mode: 'HTML', ...markup(reply) };
  const answer = await send(reply.to, 'editMessageText', body);
  if (answer.kind === 'refused' && /not modified/.test(answer.says)) return undefined;
  if (answer.kind === 'refused' && /not found|can't be edited/.test(answer.says))
    return sendReply(deps, send, '', reply);
  return failed(deps, answer);
}

const keyOf = ({ to, key }: Reply) => `${to}:${key}`;

function markup({ buttons = [] }: Reply): Record<string, unknown> {
  return { reply_markup: { inline_keyboard: buttons.map(({ text, data }) => [{ text, callback_data: data }]) } };
}

function remember({ memory }: BotDeps, reply: Reply, id: number): void {
  const { to, key, operation } = reply;
  const messages = key === undefined ? {} : { [keyOf(reply)]: { id, operation: operation ?? null } };
  memory.keep({
    messages: { ...memory.now.messages, ...messages },
    ...(operation === undefined ? {} : { asked: { ...memory.now.asked, [to]: operation } }),
  });
}

/** What Telegram refuses it refuses for ever, as of somebody who has blocked the bot: nobody else waits for that. */
function failed({ log }: BotDeps, answer: Answer): Trouble | undefined {
  if (answer.kind === 'ok') return undefined;
  if (answer.kind !== 'refused' || answer.code === 401 || answer.code === 404) return answer;
  log.warn('a message was refused', { because: reasonOf(answer) });
  return undefined;
}

/** Told once for each request that nobody takes. */
function missRunner({ spool, clock, memory, users }: BotDeps, missed: Set<string>): void {
  for (const name of readdirSync(spool.requests)) {
    if (!requestName.test(name) || missed.has(name)) continue;
    const stats = statSync(join(spool.requests, name), { throwIfNoEntry: false });
    if (stats === undefined || clock() - stats.mtimeMs < takenWithinMs) continue;
    missed.add(name);
    const { user } = JSON.parse(textIn(spool.requests, name) || '{}') as { user?: number };
    if (user !== undefined && users.has(user)) memory.keep({ own: [...memory.now.own, { to: user, text: noRunner }] });
  }
}

const isProgress = (name: string) => name.startsWith('progress-');
const digestOf = (text: string) => hash('sha256', text).slice(0, 16);

function namesIn(folder: string): string[] {
  return readdirSync(folder)
    .filter((name) => replyName.test(name))
    .sort();
}

function textIn(folder: string, name: string): string {
  try {
    return readFileSync(join(folder, name), 'utf8');
  } catch (error) {
    // The runner has just taken it away.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw error;
  }
}
