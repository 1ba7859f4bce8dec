import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { rfc3339 } from '../base/clock.ts';
import { Exit } from '../base/exit.ts';
import { Fault } from '../base/fault.ts';
import { diskFault } from '../recovery/disk.ts';
import { readJournal } from '../recovery/run/journal.ts';
import { holderOf } from '../recovery/run/lock.ts';
import { journalOf, logOf, makeRun, progressOf, type RunRequest } from '../recovery/run/run-folder.ts';
import { causeOf } from './cause.ts';
import type { Call, Conclusion } from './command.ts';
import { followRun } from './follow-run.ts';
import { runHere } from './runner.ts';

type Wanted = Omit<RunRequest, 'place' | 'bus' | 'cause' | 'created_at' | 'tool'> & { atMs: number };

/** Writes the request down, starts its process and watches it; with `--here` it is this process. */
export async function startRun(call: Call, { atMs, ...wanted }: Wanted): Promise<Conclusion> {
  const { place, bus } = call.config();
  const cause = causeOf(call);
  requireFree(call);
  if (call.around.signal.aborted) return { exit: Exit.interrupted, notes: ['Nothing was done: interrupted.'] };
  let folder: string;
  try {
    const tool = `LeverEdge ${call.around.version}`;
    folder = makeRun(place, {
      ...wanted,
      ...(cause === undefined ? {} : { cause }),
      ...{ place, bus, created_at: rfc3339(atMs), tool },
    });
  } catch (error) {
    throw diskFault(error, place.state);
  }
  return carryOut(call, folder, 'begin');
}

/** Starts, or goes on with, a run that is written down. */
export async function carryOut(call: Call, folder: string, how: 'begin' | 'forward' | 'back'): Promise<Conclusion> {
  const { around } = call;
  // What a run said before it was interrupted is known already.
  const from = how === 'begin' ? 0 : readJournal(journalOf(folder)).length;
  if (call.flags.here === true) await runHere(around, folder, how);
  else {
    // What a process that was killed has left would be taken for the new one's.
    for (const file of [join(folder, 'runner.json'), join(folder, 'failure.json'), progressOf(folder)])
      rmSync(file, { force: true });
    const id = folder.slice(folder.lastIndexOf('/') + 1);
    await around.startDetached(['__run', folder, '--how', how], logOf(folder), `gaia-${id}`);
  }
  // The run's own process has delivered, or tried to, what waits.
  return { ...(await followRun(call, folder, from)), delivered: true };
}

/** @throws Fault `locked` while somebody else works on the backups */
export function requireFree(call: Call): void {
  const holder = holderOf(call.config().place);
  if (holder !== undefined)
    throw new Fault(
      'locked',
      `Another run works on these backups (${holder.verb}, process ${holder.pid}, since ${holder.since}).`,
      {
        hint: 'Watch it: gaia status --follow',
      },
    );
}
