import { Fault } from '../base/fault.ts';
import type { Commit } from './store/store.ts';

/** Callers that wait for questions at the same time, over all questions. */
export const maxWaiters = 1000;

/** Wakes those who wait for a question's end, without asking the store again and again. */
export type Waiters = {
  /**
   * Begins to listen for the end of this question; call it before looking whether the question is still open, or its
   * end may fall between. When too many wait already, the oldest that seems to have gone away (`left`) stops waiting for
   * it. @throws Fault `queue-full` when there is none.
   */
  listen(id: string, left: () => boolean): Waiting;
  readonly count: number;
  /** Wakes everybody, and from now on nobody waits: the bus is stopping. Safe to repeat. */
  release(): void;
};

export type Waiting = {
  /** Settles at the question's end, after this time, when the caller goes away, or when the bus stops. Never throws. */
  ended(withinMs: number, gone: AbortSignal): Promise<void>;
  /** Stops listening. Safe to repeat. */
  stop(): void;
};

/** `onCommitted` is the store's; it is listened to until `release`. */
export function makeWaiters(onCommitted: (listener: (commit: Commit) => void) => () => void): Waiters {
  const waking = new Map<string, Set<() => void>>();
  let count = 0;
  let released = false;
  /** Everybody who waits, oldest first. */
  const all = new Set<{ left(): boolean; leave(): void }>();
  const someoneLeaves = (): boolean => {
    for (const waiter of all)
      if (waiter.left()) {
        waiter.leave();
        return true;
      }
    return false;
  };
  const ignore = onCommitted(({ resolved }) => {
    if (count > 0) for (const id of resolved) for (const wake of waking.get(id) ?? []) wake();
  });
  return {
    get count() {
      return count;
    },
    listen(id, left) {
      if (count >= maxWaiters && !someoneLeaves())
        throw new Fault('queue-full', `${maxWaiters} callers wait for answers already, which is the limit.`, {
          hint: 'Ask again without wait, or a little later.',
        });
      const end = Promise.withResolvers<void>();
      const own = waking.get(id) ?? new Set();
      waking.set(id, own.add(end.resolve));
      count++;
      if (released) end.resolve();
      const stop = () => {
        if (!own.delete(end.resolve)) return;
        count--;
        all.delete(waiter);
        if (own.size === 0 && waking.get(id) === own) waking.delete(id);
      };
      const waiter = {
        left,
        leave() {
          stop();
          end.resolve();
        },
      };
      all.add(waiter);
      return { stop, ended: (withinMs, gone) => settled(end, withinMs, gone) };
    },
    release() {
      released = true;
      ignore();
      for (const own of waking.values()) for (const wake of own) wake();
    },
  };
}

/** Settles with `end`, after this time, or when the caller goes away. Never throws. */
export async function settled(end: PromiseWithResolvers<void>, withinMs: number, gone: AbortSignal): Promise<void> {
  if (gone.aborted) return;
  const timer = setTimeout(end.resolve, withinMs);
  gone.addEventListener('abort', () => end.resolve(), { once: true });
  await end.promise;
  clearTimeout(timer);
}
