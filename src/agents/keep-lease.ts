import { setTimeout as pause } from 'node:timers/promises';
import { Fault, reasonOf } from '../base/fault.ts';
import { isPassing } from '../client/patience.ts';

/** Of a lease passes this part before it is extended: two extensions may fail. */
const part = 1 / 3;

type Keeping = {
  leaseSeconds: number;
  extend(): Promise<unknown>;
  /** Called once, when somebody else may have what was held. */
  onLost(fault: unknown): void;
  onTrouble(because: string): void;
};

/** Extends a lease again and again until it is stopped or lost. A bus that is away is asked again. */
export function keepLease({ leaseSeconds, extend, onLost, onTrouble }: Keeping): { stop(): Promise<void> } {
  const stopping = new AbortController();
  const { signal } = stopping;
  const keep = async () => {
    for (;;) {
      await pause(leaseSeconds * 1000 * part, undefined, { signal });
      try {
        await extend();
      } catch (error) {
        if (!(error instanceof Fault) || !isPassing(error)) return onLost(error);
        onTrouble(reasonOf(error));
      }
    }
  };
  const ended = keep().catch((error: unknown) => {
    if (!signal.aborted) onLost(error);
  });
  return {
    async stop() {
      stopping.abort();
      await ended;
    },
  };
}
