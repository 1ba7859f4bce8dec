import { failureOf, type RunGaia } from '../agents/gaia-end.ts';
import { systemClock } from '../base/clock.ts';
import { reasonOf } from '../base/fault.ts';
import { isThere } from '../base/files.ts';
import type { Log } from '../base/log.ts';
import type { RecoveryConfig } from '../recovery/config/config.ts';
import { deliver } from '../recovery/events/deliver.ts';
import { outboxState } from '../recovery/events/outbox.ts';
import { haveRunsToTell, tellRuns } from '../recovery/events/run-events.ts';

type Waiting = Pick<RecoveryConfig, 'place' | 'bus'>;
/** Sends what GAIA has left for the bus, as a round of CHRONOS begins. Never throws. */
export type DeliverWaiting = (config: Waiting, signal: AbortSignal) => Promise<void>;

/** Delivered by this process, which may write what GAIA may. */
export const deliverHere: DeliverWaiting = async ({ place, bus }) => {
  if (bus === 'none' || !isThere(place.state)) return;
  tellRuns(place);
  await deliver(place, { setting: bus, clock: systemClock });
};

/** GAIA delivered, or some of it waits: for the bus, which is away, and GAIA notes why. */
const tried: readonly (number | null)[] = [0, 9];

/**
 * Where the outbox can only be looked at GAIA is asked, and only when there is something in it or to be put there: a process
 * each minute would be much for nothing. Why it did not go is in the log once for each reason.
 */
export function askToDeliver(gaia: RunGaia, log: Pick<Log, 'warn'>): DeliverWaiting {
  let told: string | undefined;
  return async ({ place, bus }, signal) => {
    try {
      if (bus === 'none' || !(outboxState(place).waiting > 0 || haveRunsToTell(place))) return;
      const end = await gaia(['deliver', '--json', '--quiet'], signal);
      const because = tried.includes(end.exit) ? undefined : failureOf(end).says;
      if (because !== undefined && because !== told) log.warn('what GAIA left for the bus waits on', { because });
      told = because;
    } catch (error) {
      if (signal.aborted || reasonOf(error) === told) return;
      told = reasonOf(error);
      log.warn('what GAIA left for the bus waits on', { because: told });
    }
  };
}
