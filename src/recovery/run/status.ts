import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import type { Place } from '../place.ts';
import { type JournalLine, readJournal } from './journal.ts';
import { type Holder, holderOf } from './lock.ts';
import { journalOf, progressOf, type RunRequest, requestOf, runFolders } from './run-folder.ts';

/** How a run ended, or that it did not. */
export type RunState = {
  id: string;
  folder: string;
  request: RunRequest;
  /** `running`: its process holds the lock. `interrupted`: it began, and nobody goes on with it. */
  state: 'running' | 'interrupted' | 'ended';
  /** The last step that was written down. */
  step: string;
  /** Whether the live folders may be between two states. */
  inSwap: boolean;
  outcome: Outcome | undefined;
  lines: readonly JournalLine[];
};

export type Outcome = {
  /** `refused`: nothing was touched. `taken back`: the old state is there again. */
  kind: 'committed' | 'refused' | 'taken back';
  exit: number;
  says: string;
  /** What to do next. */
  hint?: string;
  at: string;
  health?: string;
};

export type Status = { holder: Holder | undefined; runs: RunState[] };

/** What runs, what was interrupted, how the last ones ended. Changes nothing. @throws Fault `damaged` for a journal */
export function statusOf(place: Pick<Place, 'state'>): Status {
  const holder = holderOf(place);
  const runs = runFolders(place).flatMap((folder) => {
    const run = runState(folder, holder);
    return run === undefined ? [] : [run];
  });
  return { holder, runs };
}

/** Runs that nobody goes on with; their targets may be between two states. */
export function interruptedRuns(place: Pick<Place, 'state'>): RunState[] {
  return statusOf(place).runs.filter(({ state }) => state === 'interrupted');
}

function runState(folder: string, holder: Holder | undefined): RunState | undefined {
  const request = requestOf(folder);
  if (request === undefined) return undefined;
  const lines = readJournal(journalOf(folder));
  // A request without a line: whoever asked was ended before the run began, or it is about to.
  if (lines.length === 0) return undefined;
  const last = lines.at(-1) as JournalLine;
  const id = basename(folder);
  const ended = last.step === 'end';
  const isRunning = holder?.verb.endsWith(` ${id}`) === true;
  return {
    id,
    folder,
    request,
    state: ended ? 'ended' : isRunning ? 'running' : 'interrupted',
    step: last.step,
    inSwap: !ended && lines.some(({ step, state }) => step === 'swap' && state === 'begin'),
    outcome: ended ? ({ ...last.facts, at: last.at } as Outcome) : undefined,
    lines,
  };
}

/** What the running process last said of its progress, or undefined. */
export function progressText(folder: string): Record<string, unknown> | undefined {
  try {
    return JSON.parse(readFileSync(progressOf(folder), 'utf8')) as Record<string, unknown>;
  } catch {
    return undefined; // Not yet, or just being replaced.
  }
}
