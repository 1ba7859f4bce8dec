import type { KeyObject } from 'node:crypto';
import { rmSync } from 'node:fs';
import { type Clock, rfc3339 } from '../../base/clock.ts';
import { Exit, exitCodeOf } from '../../base/exit.ts';
import { Fault, reasonOf } from '../../base/fault.ts';
import { type BytePath, shownPath } from '../byte-path.ts';
import { diskFault } from '../disk.ts';
import type { GateResult, HealthCheck } from '../health/gate.ts';
import type { Place } from '../place.ts';
import { dropDatabases, swapDatabases } from '../postgres/database-units.ts';
import type { Progress } from '../progress.ts';
import { type Journal, type JournalLine, openJournal, type Step } from '../run/journal.ts';
import { bootId } from '../run/live-process.ts';
import { journalOf, ownStamp, type RunRequest, requireRequest } from '../run/run-folder.ts';
import type { Outcome } from '../run/status.ts';
import { askHealth } from './ask-health.ts';
import { lateUnits, loadLate } from './load-late.ts';
import { openFilesBelow, requireNoWriter } from './open-files.ts';
import type { Running, Services } from './services.ts';
import { stageNew } from './stage-new.ts';
import { swapIn, takeBack } from './swap.ts';
import { withNames } from './swap-names.ts';
import type { SwapRecord } from './swap-record.ts';
import { applyStaying, loadedBy, stagesOf, swapRecordOf } from './swap-record.ts';
import { alsoRunning, targetServices } from './target-services.ts';
import { recordUndo } from './undo.ts';

export type EngineDeps = {
  place: Place;
  clock: Clock;
  /** The key this machine trusts. */
  known: KeyObject | undefined;
  uid: number;
  ownPids: ReadonlySet<number>;
  /** Those of the target's configuration unless told. */
  services?: Services;
  /** Asks whether the target is well; over HTTP unless told. */
  gate?(check: HealthCheck, tell: (passes: number) => void): Promise<GateResult>;
  /**
   * Called before and after each line of the journal and around each rename. In a test the process stops itself at one of
   * these points and is killed there; in earnest it does nothing.
   */
  pause(point: string): void;
  /** Called with each line of the journal, once it is on disk. */
  noted?(line: JournalLine): void;
  progress: Progress;
};

type Run = { folder: string; request: RunRequest; journal: Journal; deps: EngineDeps; services: Services };

/**
 * Does what the request in a run's folder says, from the beginning. The caller holds the lock. Each step is written down before
 * and after; when something fails, what was begun is taken back, and the outcome says so.
 */
export async function beginRun(folder: string, deps: EngineDeps): Promise<Outcome> {
  return withRun(folder, deps, async (run) => {
    const { cause } = run.request;
    note(run, 'lock', 'done', { boot_id: bootId(), ...(cause === undefined ? {} : { cause }) });
    return forward(run);
  });
}

/**
 * Goes on with a run that was interrupted: `forward` to the new state, `back` to the old one. It may itself be interrupted
 * and repeated. What is on its way back goes back, and what is committed stays, whichever was asked for; of a run that has
 * ended meanwhile it answers how.
 */
export async function resumeRun(folder: string, direction: 'forward' | 'back', deps: EngineDeps): Promise<Outcome> {
  return withRun(folder, deps, async (run) => {
    const last = run.journal.lines.at(-1);
    if (last?.step === 'end') return { ...last.facts, at: last.at } as Outcome;
    // Once the way back was begun it is gone to its end, because the staged tree may be removed in part already.
    const goingBack = run.journal.lines.find(({ step }) => step === 'take back');
    if (isCommitting(run) || (direction === 'forward' && goingBack === undefined)) return forward(run);
    const { reason, exit } = goingBack?.facts ?? {};
    // What failed has failed also when it was killed on its way back.
    if (direction === 'forward' && exit === Exit.rolledBack) return back(run, String(reason), exit);
    return back(run, 'as asked for', Exit.ok);
  });
}

/** From here on the new state stays; what is left is tidying up. */
function isCommitting({ journal }: Run): boolean {
  return journal.lines.some(({ step, state }) => step === 'commit' && state === 'begin');
}

async function withRun(folder: string, deps: EngineDeps, act: (run: Run) => Promise<Outcome>): Promise<Outcome> {
  // Read here, where the lock is held: until then it may have been withdrawn.
  const request = requireRequest(folder);
  const journal = openJournal(journalOf(folder), deps.clock);
  try {
    return await act({
      folder,
      request,
      journal,
      deps,
      services: deps.services ?? targetServices(request.target, deps.uid),
    });
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
  const line = journal.append(step, state, facts);
  deps.noted?.(line);
  deps.pause(`after ${step} ${state}`);
}

async function forward(run: Run): Promise<Outcome> {
  let record = swapRecordOf(run.journal.lines);
  const isFresh = record === undefined;
  try {
    if (record === undefined) {
      record = await prepare(run);
      await quiesce(run, record);
      note(run, 'swap', 'begin', record);
    }
    if (!isCommitting(run)) {
      // After an interruption somebody may have started them on what is between two states.
      if (!isFresh) await stopAgain(run);
      await swap(run, record);
      if (hasFresh(record) && run.request.kind === 'restore') await loadLate(lateOf(run, record));
      tellInWords(run, 'start', run.request.target.name);
      note(run, 'start', 'done', { says: await run.services.start(runningOf(run)) });
      const unhealthy = await health(run);
      if (unhealthy !== undefined) return back(run, unhealthy, Exit.rolledBack);
    }
  } catch (error) {
    return failed(run, error);
  }
  return commit(run, record);
}

/** Stops what works on the target, and sees that it let go of it. */
async function quiesce(run: Run, record: SwapRecord): Promise<void> {
  const { services, request, deps } = run;
  note(run, 'quiesce', 'begin', { running: stoppedBefore(run) ?? (await services.look()) });
  tellInWords(run, 'stop', request.target.name);
  note(run, 'quiesce', 'done', { says: await services.stop(runningOf(run), freshServices(record)) });
  // Before they were stopped they might well have held it.
  if (services.isEmpty || request.ignore_open) return;
  requireNoWriter(
    openFilesBelow(
      record.units.map(({ live }) => shownPath(live)),
      deps.ownPids,
    ),
  );
}

/** What an interrupted attempt has stopped, or begun to, and nobody has started since: how it looks now is its work. */
function stoppedBefore({ journal }: Run): Running | undefined {
  const started = journal.lines.findLastIndex(({ step, state }) => step === 'start' && state === 'done');
  const begun = journal.lines.slice(started + 1).find(({ state, facts }) => state === 'begin' && 'running' in facts);
  return begun?.facts.running as Running | undefined;
}

/** Servers that are put on new data folders are stopped with all others. */
const freshServices = (record: SwapRecord | undefined) => (record?.fresh ?? []).map(({ service }) => service);
const hasFresh = (record: SwapRecord) => (record.fresh ?? []).length > 0;

function lateOf(run: Run, record: SwapRecord) {
  const { request, services, deps, journal } = run;
  const { known, progress, pause } = deps;
  const stamp = ownStamp(deps.place, request);
  const { lines } = journal;
  return { request, record, stamp, services, lines, known, progress, pause, note: note.bind(undefined, run) };
}

/** A new server goes with its folder; one that had its data elsewhere has to give the names back, if it still answers. */
async function takeLateBack({ journal, request }: Run): Promise<string> {
  const units = lateUnits(journal.lines);
  if (units === undefined) return 'nothing was loaded into new servers';
  try {
    await swapDatabases(units, request.target, 'back');
    return 'names given back';
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    return error.message;
  }
}

/** What ran before it was stopped, as the journal has it. */
function runningOf({ journal }: Run): Running {
  const begun = journal.lines.findLast(({ step, state }) => step === 'quiesce' && state === 'begin');
  return (begun?.facts.running as Running | undefined) ?? { projects: [] };
}

function health(run: Run): Promise<string | undefined> {
  const { request, services, deps } = run;
  const tell = (says: string) => tellInWords(run, 'health', says);
  const asks = { request, services, running: runningOf(run), gate: deps.gate, note: note.bind(undefined, run), tell };
  return askHealth(asks);
}

function tellInWords({ deps }: Run, phase: string, says: string): void {
  deps.progress({ phase, doneBytes: 0, totalBytes: undefined, doneFiles: 0, says });
}

/** Stages the new state. Nothing that is live is touched. */
async function prepare(run: Run): Promise<SwapRecord> {
  const { request, folder, deps } = run;
  const stamp = ownStamp(deps.place, request);
  // What cannot be stopped and started later is found out before anything is staged.
  await run.services.look();
  await cleanStages(run);
  if (request.kind === 'undo') {
    note(run, 'preflight', 'done', { undoes: request.undoes });
    const record = await recordUndo(folder, request, deps.place, stamp);
    const paths = record.units.map(({ live }) => shownPath(live));
    if (!request.ignore_open && run.services.isEmpty) requireNoWriter(openFilesBelow(paths, deps.ownPids));
    return record;
  }
  return stageNew({
    folder,
    request,
    stamp,
    deps,
    services: run.services,
    note: (step, state, facts) => note(run, step, state, facts),
  });
}

async function swap(run: Run, record: SwapRecord): Promise<void> {
  const intruders: string[] = [];
  const { databases = [] } = record;
  const began = performance.now();
  let longestGapMs = 0;
  await withNames(namesOf(run, record, 'in'), () => {
    const onIntruder = intruderNote(intruders);
    longestGapMs = swapIn(record.units, { ...swapOptions(run, record), onIntruder }).longestGapMs;
  });
  await applyStaying(run.folder, record, 'after');
  note(run, 'swap', 'done', {
    units: record.units.length,
    longest_gap_ms: Number(longestGapMs.toFixed(3)),
    databases: databases.map(({ live, aside, old }) => ({ live, aside: old === null ? null : aside })),
    took_ms: Math.round(performance.now() - began),
    intruders,
  });
}

function namesOf({ request, services, deps }: Run, { databases = [] }: SwapRecord, direction: 'in' | 'back') {
  return { units: databases, direction, target: request.target, services, pause: deps.pause };
}

const intruderNote = (intruders: string[]) => (at: BytePath, moved: BytePath) =>
  void intruders.push(`${shownPath(at)} was made meanwhile and lies at ${shownPath(moved)}`);

function swapOptions(run: Run, record: SwapRecord) {
  return { id: run.request.id, sameBoot: record.boot_id === bootId(), pause: run.deps.pause };
}

async function commit(run: Run, record: SwapRecord): Promise<Outcome> {
  const { request } = run;
  const asked = run.journal.lines.findLast(({ step, state }) => step === 'health' && state === 'done');
  const health = String(asked?.facts.health ?? 'unproven');
  const aside = [
    ...record.units.filter(({ old }) => old !== null).map(({ aside: at }) => shownPath(at)),
    ...(record.databases ?? []).filter(({ old }) => old !== null).map(({ aside: at }) => `database ${at}`),
  ];
  note(run, 'commit', 'begin', { aside });
  await cleanStages(run);
  // Where the stage lay within a folder that stays, its end was a change of that folder.
  await applyStaying(run.folder, record, 'after');
  const outcome = {
    kind: 'committed' as const,
    exit: health === 'unproven' ? Exit.partial : Exit.ok,
    says: request.kind === 'undo' ? 'The state of before is back.' : 'The backup is in its place.',
    health,
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
  const unwell = await startAgain(run, false);
  await cleanStages(run);
  if (unwell !== undefined)
    return ended(run, { kind: 'refused', exit, says: reason, hint: `The services do not run: ${unwell}` });
  return ended(run, { kind: 'refused', exit, says: reason, ...(hint === undefined ? {} : { hint }) });
}

async function back(run: Run, reason: string, exit: number): Promise<Outcome> {
  const record = swapRecordOf(run.journal.lines);
  if (record !== undefined) {
    note(run, 'take back', 'begin', { reason, exit });
    const late = await takeLateBack(run);
    const stopped = await stopToGoBack(run);
    const intruders: string[] = [];
    await withNames(namesOf(run, record, 'back'), () =>
      takeBack(record.units, { ...swapOptions(run, record), onIntruder: intruderNote(intruders) }),
    );
    await applyStaying(run.folder, record, 'before');
    note(run, 'take back', 'done', { intruders, stopped, late });
  }
  const unwell = await startAgain(run, exit === Exit.rolledBack);
  // What an undo would have put in place is the old state of another run, and is no stage of this one.
  await cleanStages(run);
  if (record !== undefined) await applyStaying(run.folder, record, 'before');
  const says =
    exit === Exit.rolledBack ? `It failed, and the old state is back: ${reason}` : 'The old state is as it was.';
  if (unwell === undefined) return ended(run, { kind: 'taken back', exit, says });
  return ended(run, { kind: 'taken back', exit: Exit.failed, says: `${says} But that is not well either. ${unwell}` });
}

/** Some may have been made anew meanwhile, by us or by somebody; how they were is written down before they are stopped. */
async function stopAgain(run: Run): Promise<string> {
  const { services } = run;
  const known = runningOf(run);
  if (!services.isEmpty) note(run, 'quiesce', 'begin', { running: alsoRunning(known, await services.look(known)) });
  return services.stop(runningOf(run), freshServices(swapRecordOf(run.journal.lines)));
}

/** The old state comes back even if they do not stop: what they go on writing is part of neither. */
async function stopToGoBack(run: Run): Promise<string> {
  try {
    return await stopAgain(run);
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    return error.message;
  }
}

/**
 * What was stopped runs again, on the old state; nothing is said where nothing was stopped. Answers why it does not, or is not
 * well: of that nothing can be taken back, but the files are in their place.
 */
async function startAgain(run: Run, isAsked: boolean): Promise<string | undefined> {
  if (!run.journal.lines.some(({ step }) => step === 'quiesce')) return undefined;
  try {
    note(run, 'start', 'done', { says: await run.services.start(runningOf(run)) });
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    note(run, 'start', 'failed', { reason: error.message });
    return `${error.message}${error.hint === undefined ? '' : ` ${error.hint}`}`;
  }
  return isAsked ? health(run) : undefined;
}

async function cleanStages(run: Run): Promise<string | undefined> {
  for (const folder of stagesOf(run.journal.lines)) rmSync(folder, { recursive: true, force: true });
  const loaded = loadedBy(run.journal.lines);
  try {
    await dropDatabases(loaded, run.request.target);
    return undefined;
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    const names = loaded.map(({ database }) => database).join(', ');
    return `What was loaded may still be on the server, and can be dropped: ${names}.`;
  }
}
