import type { Clock } from '../base/clock.ts';
import { reasonOf } from '../base/fault.ts';
import type { Log } from '../base/log.ts';
import { maxSweep, type Store } from './store/store.ts';

/** Deadlines, rungs and leases that came in meanwhile are seen at the latest after this. */
const maxPauseMs = 1000;
const minPauseMs = 5;
/** Sweeps in a row before the loop takes a breath: 200,000 deadlines. */
const maxRounds = 1000;

export type Sweeper = {
  /** Ends the loop and waits for a sweep that is under way. Safe to repeat. */
  stop(): Promise<void>;
};

type Sweepable = Pick<Store, 'sweep' | 'onCommitted'>;

/**
 * Applies deadlines, escalations and the ends of leases as they fall due: at once (what fell due while the bus was down), then at the next
 * due time and at least every second. An error is logged and tried again: a full disk must not stop all later deadlines.
 */
export function startSweeper(store: Sweepable, clock: Clock, log: Log): Sweeper {
  let stopped = false;
  let timer: NodeJS.Timeout | undefined;
  /** When the next sweep is planned; while one runs, the earliest due time heard of meanwhile. */
  let plannedAt = Number.POSITIVE_INFINITY;
  let sweeping = true;
  let failing = '';
  const plan = (at: number) => {
    plannedAt = at;
    clearTimeout(timer);
    timer = setTimeout(again, Math.min(maxPauseMs, Math.max(minPauseMs, at - clock())));
  };
  const run = async (): Promise<void> => {
    let nextDueAt: number | null = null;
    try {
      nextDueAt = await sweepAll(store, () => stopped);
      if (failing !== '') log.info('deadlines are applied again');
      failing = '';
    } catch (error) {
      const reason = reasonOf(error);
      if (reason !== failing) log.error('deadlines could not be applied; trying again every second', { reason });
      failing = reason;
      plannedAt = Number.POSITIVE_INFINITY;
    }
    sweeping = false;
    if (!stopped) plan(Math.min(nextDueAt ?? Number.POSITIVE_INFINITY, plannedAt, clock() + maxPauseMs));
  };
  const again = () => {
    plannedAt = Number.POSITIVE_INFINITY;
    sweeping = true;
    running = run();
  };
  const ignore = store.onCommitted(({ dueAt }) => {
    if (stopped || dueAt === null || dueAt >= plannedAt) return;
    if (sweeping) plannedAt = dueAt;
    else plan(dueAt);
  });
  let running = run();
  return {
    async stop() {
      stopped = true;
      ignore();
      clearTimeout(timer);
      await running;
    },
  };
}

/** Sweeps until nothing is due. Answers the next due time in milliseconds since the epoch, or null. */
async function sweepAll(store: Sweepable, stopped: () => boolean): Promise<number | null> {
  for (let round = 1; ; round++) {
    const { nextDueAt, ...counts } = await store.sweep();
    const full = Object.values(counts).some((count) => count >= maxSweep);
    if (!full || stopped() || round >= maxRounds) return nextDueAt;
  }
}
