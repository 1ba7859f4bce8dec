import { request as http, type IncomingMessage } from 'node:http';
import { request as https } from 'node:https';
import { type Clock, rfc3339 } from '../../base/clock.ts';
import { Fault, reasonOf } from '../../base/fault.ts';
import type { Place } from '../place.ts';
import { sentence } from './event.ts';
import { type BusSetting, type FoundBus, findBus } from './find-bus.ts';
import { lookUp } from './look-up.ts';
import { noteWhy, setAside, takeOut, waitingIn } from './outbox.ts';

/** For everything that waits together: nobody should notice that a bus is slow. */
const withinMs = 2000;
const maxAnswerBytes = 64 * 1024;
/** What the bus says of an event that makes no sense to it. Others, as 404, come from what is no bus. */
const refusals = [400, 409, 413, 415, 422];

type Answer =
  | { kind: 'accepted' }
  | { kind: 'refused'; status: number; says: string }
  /** Not now: away, busy, not with this token, or no bus at all. */
  | { kind: 'later'; why: string };

type Delivering = { setting: BusSetting; clock: Clock; signal?: AbortSignal };

/**
 * Sends what waits in the outbox to the bus, oldest first, and stops at the first that must wait. Never throws, and takes two
 * seconds at most. An event that was stored, with an answer that never came, is sent again under its id.
 */
export async function deliver(place: Place, { setting, clock, signal }: Delivering): Promise<void> {
  if (setting === 'none') return;
  try {
    const first = waitingIn(place).next();
    if (first.done) return;
    const bus = findBus(place, setting);
    if (bus === undefined) return noteWhy(place, undefined);
    const timeout = AbortSignal.timeout(withinMs);
    const both = signal === undefined ? timeout : AbortSignal.any([signal, timeout]);
    noteWhy(place, await sendAll(place, bus, clock, both));
  } catch (error) {
    noteQuietly(place, error);
  }
}

/** Answers why the rest must wait. */
async function sendAll(place: Place, bus: FoundBus, clock: Clock, signal: AbortSignal): Promise<string | undefined> {
  for (const waiting of waitingIn(place)) {
    if (waiting.event === undefined) {
      setAside(place, waiting, { at: rfc3339(clock()), says: 'The file holds no event.' });
      continue;
    }
    const answer = await post(bus, waiting.event, signal);
    if (answer.kind === 'later') return sentence(`${bus.url} ${answer.why}`);
    if (answer.kind === 'accepted') takeOut(place, waiting);
    else setAside(place, waiting, { at: rfc3339(clock()), status: answer.status, says: sentence(answer.says) });
  }
  return undefined;
}

async function post(bus: FoundBus, event: object, signal: AbortSignal): Promise<Answer> {
  let status: number;
  let text: string;
  try {
    ({ status, text } = await send(bus, JSON.stringify(event), signal));
  } catch (error) {
    return { kind: 'later', why: signal.aborted ? 'did not answer in time' : `does not answer (${causeOf(error)})` };
  }
  const answer = recordOf(text);
  const isStored = status >= 200 && status < 300;
  if (answer === undefined || (isStored && typeof answer.id !== 'string'))
    return { kind: 'later', why: `answers ${status}, and not as a bus does` };
  if (isStored) return { kind: 'accepted' };
  const says = typeof answer.detail === 'string' ? answer.detail : JSON.stringify(answer);
  return refusals.includes(status)
    ? { kind: 'refused', status, says }
    : { kind: 'later', why: `answers ${status}: ${says}` };
}

/** Not `fetch`, which looks names up in a way that cannot be given up. No redirection takes the token elsewhere. */
function send({ url, token }: FoundBus, body: string, signal: AbortSignal): Promise<{ status: number; text: string }> {
  const target = new URL(`${url.replace(/\/+$/, '')}/events`);
  const headers = {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
    ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
  };
  const options = { method: 'POST', headers, signal, agent: false, lookup: lookUp(signal) };
  return new Promise((resolve, reject) => {
    const request = (target.protocol === 'https:' ? https : http)(target, options, (response) => {
      shortTextOf(response).then((text) => resolve({ status: response.statusCode ?? 0, text }), reject);
    });
    request.on('error', reject);
    request.end(body);
  });
}

/** Of an answer that is longer than any of the bus, nothing. */
async function shortTextOf(response: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of response as AsyncIterable<Buffer>) {
    parts.push(part);
    bytes += part.length;
    if (bytes > maxAnswerBytes) return '';
  }
  return Buffer.concat(parts).toString('utf8');
}

function recordOf(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined; // Judged by the caller: no JSON means that no bus answered.
  }
}

function causeOf(error: unknown): string {
  return String((error as NodeJS.ErrnoException).code ?? reasonOf(error));
}

function noteQuietly(place: Place, error: unknown): void {
  try {
    noteWhy(place, error instanceof Fault ? `${error.message} ${error.hint ?? ''}`.trim() : reasonOf(error));
  } catch {
    return; // A full or read-only disk: what waits goes on waiting.
  }
}
