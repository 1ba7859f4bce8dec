import { Fault } from '../base/fault.ts';
import type { Commit } from './store/store.ts';
import { settled } from './waiters.ts';

/** Callers that wait for deliveries at the same time, over all agents. */
export const maxTurns = 1000;

/**
 * Lets those who wait for deliveries of an agent try again one after the other, oldest first: a delivery that becomes
 * ready wakes one of them, not all. Whoever finds as much as it can take wakes two more, so that many deliveries are
 * soon shared among many.
 */
export type Turns = {
  /**
   * Begins to wait for something ready; call it before looking, or it may come between. When too many wait already, the
   * oldest that seems to have gone away (`left`) stops waiting for it. @throws Fault `queue-full` when there is none.
   */
  take(agent: string, left: () => boolean): Turn;
  /** There may be more than this caller took. */
  wake(agent: string, howMany: number): void;
  readonly count: number;
  /** The bus is stopping: nobody waits any more, and nobody should claim. */
  readonly isReleased: boolean;
  /** Ends every wait. Safe to repeat. */
  release(): void;
};

export type Turn = {
  /** Settles when something became ready, after this time, when the caller goes away, or when the bus stops. Never throws. */
  comes(withinMs: number, gone: AbortSignal): Promise<void>;
  /** Ends it. `looks`: this caller looks again at once; else a wake that it was given goes on to the next. Safe to repeat. */
  end(looks: boolean): void;
};

type Waiter = { left(): boolean; wake(): void; isWoken: boolean };

/** `onCommitted` is the store's; it is listened to until `release`. */
export function makeTurns(onCommitted: (listener: (commit: Commit) => void) => () => void): Turns {
  const byAgent = new Map<string, Set<Waiter>>();
  let count = 0;
  let isReleased = false;

  function wake(agent: string, howMany: number): void {
    let left = howMany;
    for (const waiter of byAgent.get(agent) ?? []) {
      if (left === 0) return;
      if (waiter.isWoken) continue;
      waiter.isWoken = true;
      waiter.wake();
      // One that has gone away leases nothing; somebody else should look.
      if (!waiter.left()) left -= 1;
    }
  }
  function someoneLeaves(): boolean {
    for (const [agent, own] of byAgent)
      for (const waiter of own)
        if (waiter.left()) {
          remove(agent, waiter);
          waiter.wake();
          return true;
        }
    return false;
  }
  function remove(agent: string, waiter: Waiter): boolean {
    const own = byAgent.get(agent);
    if (!own?.delete(waiter)) return false;
    count--;
    if (own.size === 0) byAgent.delete(agent);
    return true;
  }
  const ignore = onCommitted(({ readyFor }) => {
    if (count > 0) for (const agent of readyFor) wake(agent, 1);
  });

  return {
    wake,
    get count() {
      return count;
    },
    get isReleased() {
      return isReleased;
    },
    take(agent, left) {
      if (count >= maxTurns && !someoneLeaves())
        throw new Fault('queue-full', `${maxTurns} callers wait for deliveries already, which is the limit.`, {
          hint: 'Claim again without wait_seconds, or a little later.',
        });
      const end = Promise.withResolvers<void>();
      const waiter: Waiter = { left, wake: end.resolve, isWoken: false };
      const own = byAgent.get(agent) ?? new Set();
      byAgent.set(agent, own.add(waiter));
      count++;
      if (isReleased) end.resolve();
      return {
        comes: (withinMs, gone) => settled(end, withinMs, gone),
        end(looks) {
          if (remove(agent, waiter) && waiter.isWoken && !looks) wake(agent, 1);
        },
      };
    },
    release() {
      isReleased = true;
      ignore();
      for (const own of byAgent.values()) for (const waiter of own) waiter.wake();
    },
  };
}
