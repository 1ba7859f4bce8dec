import type { KeyObject } from 'node:crypto';
import { rmSync } from 'node:fs';
import { type Clock, rfc3339 } from '../../base/clock.ts';
import { Exit, exitCodeOf } from '../../base/exit.ts';
import { Fault, reasonOf } from '../../base/fault.ts';
import { shownPath } from '../byte-path.ts';
import { diskFault } from '../disk.ts';
import type { Place } from '../place.ts';
import type { Progress } from '../progress.ts';
import { type Journal, openJournal, type Step } from '../run/journal.ts';
import { bootId } from '../run/live-process.ts';
import { journalOf, ownStamp, type RunRequest, requestOf } from '../run/run-folder.ts';
import type { Outcome } from '../run/status.ts';
import { openFilesBelow, requireNoWriter } from './open-files.ts';
import { noServices, type Services } from './services.ts';
import { stageNew } from './stage-new.ts';
import { swapIn, takeBack } from './swap.ts';
import type { SwapRecord } from './swap-record.ts';
import { applyStaying, stagesOf, swapRecordOf } from './swap-record.ts';
import { recordUndo } from './undo.ts';

export type EngineDeps = {
  place: Place;
  clock: Clock;
  /** The key this machine trusts. */
  known: KeyObject | undefined;
  uid: number;
  ownPids: ReadonlySet<number>;
  services?: Services;
  /**
   * Called before and after each line of the journal and around each rename. In a test the process stops itself at one of
   * these points and is killed there; in earnest it does nothing.
   */
  pause(point: string): void;
  progress: Progress;
};

type Run = { folder: string; request: RunRequest; journal: Journal; deps: EngineDeps; services: Services };

/**
 * Does what the request in a run's folder says, from the beginning. The caller holds the lock. Each step is written down before
 * and after; when something fails, what was begun is taken back, and the outcome says so.
 */
export async function beginRun(folder: string, deps: EngineDeps): Promise<Outcome> {
  return withRun(folder, deps, async (run) => {
    note(run, 'lock', 'done', { boot_id: bootId() });
    return forward(run);
  });
}

/**
 * Goes on with a run that was interrupted: `forward` to the new state, `back` to the old one. It may itself be interrupted
 * and repeated. What is on its way back goes back, and what is committed stays, whichever was asked for.
 */
export async function resumeRun(folder: string, direction: 'forward' | 'back', deps: EngineDeps): Promise<Outcome> {
  return withRun(folder, deps, async (run) => {
    // Once the way back was begun it is gone to its end, because the staged tree may be removed in part already.
    const isGoingBack = run.journal.lines.some(({ step }) => step === 'take back');
    if ((direction === 'back' || isGoingBack) && !isCommitting(run)) return back(run, 'as asked for', Exit.ok);
    return forward(run);
  });
}

/** From here on the new state stays; what is left is tidying up. */
function isCommitting({ journal }: Run): boolean {
  return journal.lines.some(({ step, state }) => step === 'commit' && state === 'begin');
}

async function withRun(folder: string, deps: EngineDeps, act: (run: Run) => Promise<Outcome>): Promise<Outcome> {
  const request = requestOf(folder);
  if (request === undefined) throw new Fault('not-found', `There is no run in ${folder}.`);
  const journal = openJournal(journalOf(folder), deps.clock);
  try {
    return await act({ folder, request, journal, deps, services: deps.services ?? noServices });
  } finally {
    journal.close();
  }
}

function note(
  { journal, deps }: Run,
  step: Step,
  state: 'begin' | 'done' | 'failed',
  facts: Record<string, unknown> = {},
): void {
  deps.pause(`before ${step} ${state}`);
  journal.append(step, state, facts);
  deps.pause(`after ${step} ${state}`);
}

async function forward(run: Run): Promise<Outcome> {
  let record = swapRecordOf(run.journal.lines);
  try {
    if (record === undefined) {
      record = await prepare(run);
      note(run, 'quiesce', 'begin');
      note(run, 'quiesce', 'done', { says: await run.services.stop() });
      note(run, 'swap', 'begin', record);
    }
    if (!isCommitting(run)) await swap(run, record);
  } catch (error) {
    return failed(run, error);
  }
  return commit(run, record);
}

/** Stages the new state. Nothing that is live is touched. */
async function prepare(run: Run): Promise<SwapRecord> {
  const { request, folder, deps } = run;
  const stamp = ownStamp(deps.place, request);
  cleanStages(run);
  if (request.kind === 'undo') {
    note(run, 'preflight', 'done', { undoes: request.undoes });
    const record = await recordUndo(folder, request, deps.place, stamp);
    const paths = record.units.map(({ live }) => shownPath(live));
    if (!request.ignore_open) requireNoWriter(openFilesBelow(paths, deps.ownPids));
    return record;
  }
  return stageNew({ folder, request, stamp, deps, note: (step, state, facts) => note(run, step, state, facts) });
}

async function swap(run: Run, record: SwapRecord): Promise<void> {
  const intruders: string[] = [];
  const { longestGapMs } = swapIn(record.units, {
    ...swapOptions(run, record),
    onIntruder: (at, moved) => intruders.push(`${shownPath(at)} was made meanwhile and lies at ${shownPath(moved)}`),
  });
  await applyStaying(run.folder, record, 'after');
  note(run, 'swap', 'done', { units: record.units.length, longest_gap_ms: Number(longestGapMs.toFixed(3)), intruders });
}

function swapOptions(run: Run, record: SwapRecord) {
  return { id: run.request.id, sameBoot: record.boot_id === bootId(), pause: run.deps.pause };
}

async function commit(run: Run, record: SwapRecord): Promise<Outcome> {
  const { request, services } = run;
  note(run, 'start', 'done', { says: await services.start() });
  const { health } = request.target;
  const says =
    health === 'none' ? 'the configuration says that there is nothing to ask' : 'no endpoint is configured to ask';
  note(run, 'health', 'done', { health: health === 'none' ? 'none' : 'unproven', says });
  const aside = record.units.filter(({ old }) => old !== null).map(({ aside: at }) => shownPath(at));
  note(run, 'commit', 'begin', { aside });
  cleanStages(run);
  // Where the stage lay within a folder that stays, its end was a change of that folder.
  await applyStaying(run.folder, record, 'after');
  const proven = health === 'none';
  const outcome = {
    kind: 'committed' as const,
    exit: proven ? Exit.ok : Exit.partial,
    says: request.kind === 'undo' ? 'The state of before is back.' : 'The backup is in its place.',
    health: proven ? 'none' : 'unproven',
  };
  return ended(run, outcome);
}

function ended(run: Run, outcome: Omit<Outcome, 'at'>): Outcome {
  note(run, 'end', 'done', { ...outcome });
  return { ...outcome, at: rfc3339(run.deps.clock()) };
}

/** A failure before the swap leaves all as it is; in the swap the old state is put back. */
async function failed(run: Run, error: unknown): Promise<Outcome> {
  const fault = diskFault(error, run.deps.place.backups);
  const reason = reasonOf(fault);
  const exit = fault instanceof Fault ? exitCodeOf(fault.code) : Exit.failed;
  const hint = fault instanceof Fault ? fault.hint : undefined;
  const facts = {
    reason,
    ...(hint === undefined ? {} : { hint }),
    ...(fault instanceof Fault ? { code: fault.code, ...fault.extra } : {}),
  };
  if (swapRecordOf(run.journal.lines) !== undefined) {
    note(run, 'swap', 'failed', facts);
    return back(run, reason, Exit.rolledBack);
  }
  note(run, 'stage', 'failed', facts);
  await startAgain(run);
  cleanStages(run);
  return ended(run, { kind: 'refused', exit, says: reason, ...(hint === undefined ? {} : { hint }) });
}

async function back(run: Run, reason: string, exit: number): Promise<Outcome> {
  const record = swapRecordOf(run.journal.lines);
  if (record !== undefined) {
    note(run, 'take back', 'begin', { reason });
    const intruders: string[] = [];
    takeBack(record.units, {
      ...swapOptions(run, record),
      onIntruder: (at, moved) => intruders.push(`${shownPath(at)} was made meanwhile and lies at ${shownPath(moved)}`),
    });
    await applyStaying(run.folder, record, 'before');
    note(run, 'take back', 'done', { intruders, says: await run.services.start() });
  } else await startAgain(run);
  // What an undo would have put in place is the old state of another run, and is no stage of this one.
  cleanStages(run);
  if (record !== undefined) await applyStaying(run.folder, record, 'before');
  const says =
    exit === Exit.rolledBack ? `It failed, and the old state is back: ${reason}` : 'The old state is as it was.';
  return ended(run, { kind: 'taken back', exit, says });
}

/** What was stopped for a swap that did not begin runs again; nothing is said where nothing was stopped. */
async function startAgain(run: Run): Promise<void> {
  if (run.journal.lines.some(({ step }) => step === 'quiesce'))
    note(run, 'start', 'done', { says: await run.services.start() });
}

function cleanStages(run: Run): void {
  for (const folder of stagesOf(run.journal.lines)) rmSync(folder, { recursive: true, force: true });
}
