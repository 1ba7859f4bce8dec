import { setTimeout as pause } from 'node:timers/promises';
import { type Clock, systemClock } from '../base/clock.ts';
import { Fault } from '../base/fault.ts';

/** How somebody waits for a bus that is away. */
export type Patience = {
  /** Ends the waiting; its reason is thrown. */
  signal?: AbortSignal | undefined;
  /** Called at each failure that will be tried again. */
  onTrouble?: ((fault: Fault, againInMs: number) => void) | undefined;
  clock?: Clock;
  sleep?: (ms: number, signal?: AbortSignal) => Promise<void>;
};

export const firstPauseMs = 200;
export const longestPauseMs = 10_000;

/**
 * Tries again while the bus is away, busy or full, with growing pauses (full jitter, and as long as the bus asks for), until
 * the patience is over. Only for what may be sent twice.
 * @throws Fault of the last attempt, what no waiting mends at once, or the signal's reason.
 */
export function patiently({ signal, onTrouble, clock = systemClock, sleep = sleepUnlessAborted }: Patience) {
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
export function isPassing({ code }: Fault): boolean {
  return code === 'unreachable' || code === 'unavailable' || code === 'queue-full' || code === 'rate-limited';
}

/** Sleeps. @throws the signal's reason when it is aborted meanwhile. */
export async function sleepUnlessAborted(ms: number, signal?: AbortSignal): Promise<void> {
  try {
    await pause(ms, undefined, signal ? { signal } : {});
  } catch (error) {
    throw signal?.aborted ? signal.reason : error;
  }
}
