import { createHash, randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { rfc3339 } from '../base/clock.ts';
import { exitCodeOf } from '../base/exit.ts';
import { Fault, reasonOf } from '../base/fault.ts';
import type { RecoveryConfig } from '../recovery/config/config.ts';
import { deliver } from '../recovery/events/deliver.ts';
import { type OutboxEvent, sentence } from '../recovery/events/event.ts';
import { putIntoOutbox } from '../recovery/events/outbox.ts';
import { beginTelling, tellRun, tellRuns } from '../recovery/events/run-events.ts';
import type { JournalLine } from '../recovery/run/journal.ts';
import { newRunId, type RunRequest } from '../recovery/run/run-folder.ts';
import { causeOf } from './cause.ts';
import type { Around, Call } from './command.ts';

/**
 * What a command tells of itself; the rest of the event is added. `id`: where it names nothing it comes from the cause, so that
 * what is asked again for the same one is told once, and is random without one.
 */
type Told = Pick<OutboxEvent, 'action' | 'target'> & { id?: string; details: Record<string, unknown> };

/** Writes an event of this command down for the bus. Never throws: what was done counts, and not who hears of it. */
export function tell(call: Call, { id, action, target, details }: Told): void {
  const { place, bus } = call.config();
  // Where the disk for backups is not mounted, nothing is made in its place.
  if (bus === 'none' || !existsSync(place.backups)) return;
  const now = call.around.clock();
  const cause = causeOf(call);
  const own =
    cause === undefined ? `${newRunId(now)}${randomBytes(3).toString('hex')}` : digestOf(cause, action, target);
  quietly(() =>
    putIntoOutbox(place, {
      id: id ?? `gaia-${own}`,
      source_agent: 'GAIA',
      action,
      target,
      ...(cause === undefined ? {} : { causation_id: cause }),
      details: { happened_at: rfc3339(now), ...details },
    }),
  );
}

const digestOf = (...words: string[]) => createHash('sha256').update(JSON.stringify(words)).digest('hex').slice(0, 40);

/** A failure as the details of an event. */
export function failureDetails(error: unknown): Record<string, unknown> {
  if (error instanceof Fault) return { exit: exitCodeOf(error.code), code: error.code, says: sentence(error.message) };
  return { exit: 1, code: 'internal', says: sentence(reasonOf(error)) };
}

/** Sends what waits, also of runs that were killed before they could tell how they ended. Never throws. */
export async function deliverWaiting({ place, bus }: RecoveryConfig, { clock }: Around): Promise<void> {
  if (bus === 'none') return;
  quietly(() => tellRuns(place));
  await deliver(place, { setting: bus, clock });
}

/** How a run tells of itself while it works. Nothing of it throws. */
export type RunTeller = { noted(line: JournalLine): void; end(): Promise<void> };

/** Makes a run tell that it began, as soon as it is sure that it can, and how it ended. */
export function tellerOf(folder: string, { place, bus = 'home' }: RunRequest, { clock }: Around): RunTeller {
  if (bus === 'none') return { noted: () => undefined, end: async () => undefined };
  const stop = new AbortController();
  let delivering = Promise.resolve();
  quietly(() => beginTelling(folder));
  return {
    noted({ step, state }) {
      if (step !== 'preflight' || state !== 'done') return;
      quietly(() => tellRun(folder));
      // Nobody waits for it: the work goes on meanwhile.
      delivering = deliver(place, { setting: bus, clock, signal: stop.signal });
    },
    async end() {
      // If it is not through by now, it goes along with what comes.
      stop.abort();
      await delivering;
      quietly(() => tellRuns(place));
      await deliver(place, { setting: bus, clock });
    },
  };
}

function quietly(work: () => void): void {
  try {
    work();
  } catch {
    return; // A full or read-only disk: what matters fails by itself, and says so.
  }
}
