import { setTimeout as pause } from 'node:timers/promises';
import { type Clock, systemClock } from '../base/clock.ts';
import { Fault } from '../base/fault.ts';
import { uuidV7Maker } from '../base/uuid-v7.ts';
import type { Draft } from '../events/draft.ts';
import type { Event } from '../events/event.ts';
import type { Client, PublishReceipt } from './client.ts';

export type AskOptions = {
  signal?: AbortSignal | undefined;
  /** Called once, when the question is on disk. */
  onAsked?: ((receipt: PublishReceipt) => void) | undefined;
  /** Called at each failure that will be tried again. */
  onTrouble?: ((fault: Fault, againInMs: number) => void) | undefined;
  /** For how long the bus may be away before the question is stored. */
  publishPatienceMs?: number;
  /** For how long the bus may be away while the answer is waited for. */
  waitPatienceMs?: number;
  clock?: Clock;
  sleep?: (ms: number, signal?: AbortSignal) => Promise<void>;
};

/** The longest wait that the bus takes in one call. */
const waitSeconds = 50;
const firstPauseMs = 200;
const longestPauseMs = 10_000;
const defaultPublishPatienceMs = 3_000;
const defaultWaitPatienceMs = 15 * 60_000;

/**
 * Publishes a question and waits until it is resolved; `human_state` of the answer tells how. The question carries an id
 * from here (the draft's or a new one), so sending it again after a broken connection stores it once, and a restart of
 * the bus in between does no harm. Safe to repeat with the same id.
 * @throws Fault as the bus said it, `unreachable` or `unavailable` when the patience is over (the question may be open
 * then), or the signal's reason.
 */
export async function ask(client: Client, question: Draft, options: AskOptions = {}): Promise<Event> {
  const draft: Draft = {
    ...question,
    requires_human: true,
    id: question.id ?? uuidV7Maker(options.clock ?? systemClock)(),
  };
  const id = draft.id as string;
  const again = patiently(options);
  const { publishPatienceMs = defaultPublishPatienceMs, waitPatienceMs = defaultWaitPatienceMs, signal } = options;
  const receipt = await again(publishPatienceMs, () => client.publish(draft, signal));
  options.onAsked?.(receipt);
  for (;;) {
    // Unbounded on purpose: a question may stay open for ever. A bus that is stopping answers before the time is over,
    // therefore the pause.
    const event = await again(waitPatienceMs, () => client.event(id, { waitSeconds, signal }));
    if (event.human_state !== 'open') return event;
    await (options.sleep ?? sleepUnlessAborted)(firstPauseMs, signal);
  }
}

/** Tries again while the bus is away, busy or full, with growing pauses (full jitter), until the patience is over. */
function patiently({ signal, onTrouble, clock = systemClock, sleep = sleepUnlessAborted }: AskOptions) {
  return async <T>(patienceMs: number, attempt: () => Promise<T>): Promise<T> => {
    const until = clock() + patienceMs;
    for (let pauseMs = firstPauseMs; ; pauseMs = Math.min(pauseMs * 2, longestPauseMs)) {
      try {
        return await attempt();
      } catch (error) {
        if (!(error instanceof Fault) || !isPassing(error)) throw error;
        const asked = Number(error.extra.retry_after_seconds ?? 0) * 1000;
        const againInMs = Math.max(asked, firstPauseMs / 2 + Math.random() * pauseMs);
        if (clock() + againInMs > until) throw error;
        onTrouble?.(error, againInMs);
        await sleep(againInMs, signal);
      }
    }
  };
}

/** Failures of the moment. A full disk (`storage-full`) is none, a person must make room; a fault of the bus neither. */
function isPassing({ code }: Fault): boolean {
  return code === 'unreachable' || code === 'unavailable' || code === 'queue-full';
}

async function sleepUnlessAborted(ms: number, signal?: AbortSignal): Promise<void> {
  try {
    await pause(ms, undefined, signal ? { signal } : {});
  } catch (error) {
    throw signal?.aborted ? signal.reason : error;
  }
}
