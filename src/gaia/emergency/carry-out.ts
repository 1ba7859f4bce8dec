import { Exit } from '../../base/exit.ts';
import { Fault } from '../../base/fault.ts';
import type { ProgressStep } from '../../recovery/progress.ts';
import { runOfCause } from '../../recovery/run/cause.ts';
import { type RunState, statusOf } from '../../recovery/run/status.ts';
import type { Call, Conclusion } from '../command.ts';
import { backup } from '../commands/backup.ts';
import { drill } from '../commands/drill.ts';
import { restore } from '../commands/restore.ts';
import { followRun } from '../follow-run.ts';
import { goOn } from '../go-on.ts';
import { deliverWaiting } from '../tell-bus.ts';
import { causeOf, type Operation, type OutcomeKind, type Part, type PartDone } from './operation.ts';
import { requireSame } from './resolve-restore.ts';

/** Makes the call of a command as somebody at the terminal would type it. The configuration is read anew by each. */
export type CallMaker = (words: readonly string[], flags: Call['flags'], watch?: Watch) => Call;
export type Watch = {
  /** A line for people. */
  say(line: string): void;
  progress(step: ProgressStep): void;
  signal: AbortSignal;
};

export type Work = {
  callFor: CallMaker;
  watch(target: string): Watch;
  /** The operation as it is now: somebody may want it stopped meanwhile. */
  current(): Operation;
  put(operation: Operation): void;
  /** From here on it goes back to the old state. */
  goesBack(): void;
};

export type Result = { kind: OutcomeKind; says: string };

const isDone = (exit: number) => exit === Exit.ok || exit === Exit.partial;

/**
 * Does what was asked, each part once, whatever was done of it before this process. Undefined when this process was asked to end,
 * and what it watches goes on without it.
 */
export async function carryOut(work: Work): Promise<Result | undefined> {
  const { verb } = work.current();
  return verb === 'restore' ? restoreParts(work) : other(work, verb);
}

async function restoreParts(work: Work): Promise<Result | undefined> {
  const { parts, done } = work.current();
  for (const part of parts) {
    if (done.some(({ target }) => target === part.target)) continue;
    const call = callOf(work, part);
    const isBegun = runOf(call, part, work) !== undefined;
    // What was begun is finished or taken back, and never left between two states.
    if (work.current().stopping && !isBegun) break;
    const ended = await restorePart(work, call, part, isBegun);
    if (ended === undefined) return undefined;
    work.put({ ...work.current(), done: [...work.current().done, ended] });
    if (!isDone(ended.exit)) break;
  }
  return resultOf(work.current());
}

function callOf({ callFor, watch, current }: Work, { target, file }: Part): Call {
  const flags = { yes: true, backup: file, cause: causeOf(current(), target) };
  return callFor([target], flags, watch(target));
}

function runOf(call: Call, { target }: Part, { current }: Work): RunState | undefined {
  return runOfCause(statusOf(call.config().place).runs, causeOf(current(), target));
}

async function restorePart(work: Work, call: Call, part: Part, isBegun: boolean): Promise<PartDone | undefined> {
  try {
    if (isBegun && work.current().stopping) return await takeBack(work, call, part);
    if (!isBegun) requireSame(call, part);
    return partDone(part, await restoreOrWatch(work, call, part), call);
  } catch (error) {
    const begun = runOf(call, part, work);
    if (work.current().stopping && begun?.state === 'interrupted') return takeBack(work, call, part);
    if (error instanceof Fault) return { target: part.target, exit: Exit.failed, says: sentenceOf(error) };
    throw error;
  }
}

/** A run of an earlier runner may still go on: then it is watched to its end. */
function restoreOrWatch(work: Work, call: Call, part: Part): Promise<Conclusion> {
  const run = runOf(call, part, work);
  return run?.state === 'running' ? followRun(call, run.folder, run.lines.length) : restore.run(call);
}

/** A run that was ended for it goes back; one that had ended before stays as it is. */
async function takeBack(work: Work, call: Call, part: Part): Promise<PartDone | undefined> {
  const run = runOf(call, part, work);
  if (run?.state !== 'interrupted') return partDone(part, await restore.run(call), call);
  work.goesBack();
  const conclusion = await goOn(call, run, 'back');
  const { outcome } = conclusion.json as { outcome?: string };
  const ended = partDone(part, conclusion, call);
  // As asked for, but not as it was asked in the beginning.
  return ended === undefined || outcome !== 'taken back' ? ended : { ...ended, exit: Exit.rolledBack };
}

function partDone({ target }: Part, conclusion: Conclusion, { around }: Call): PartDone | undefined {
  const { exit, lines = [], wrong = [] } = conclusion;
  if (exit === Exit.interrupted && around.signal.aborted) return undefined;
  return { target, exit, says: [...lines, ...wrong].join('\n') };
}

function resultOf({ parts, done, stopping }: Operation): Result {
  const failed = done.find(({ exit }) => !isDone(exit));
  const missing = parts.filter(({ target }) => !done.some((each) => each.target === target));
  const says = [
    ...done.map((each) => `${each.target}: ${each.says}`),
    ...(missing.length > 0 ? [`Not begun: ${missing.map(({ target }) => target).join(', ')}.`] : []),
  ].join('\n');
  if (failed === undefined && missing.length === 0) return { kind: 'done', says };
  return { kind: stopping ? 'cancelled' : 'failed', says };
}

/** A backup is made once for its operation; a drill leaves nothing behind, whatever becomes of it. */
async function other({ callFor, watch, current }: Work, verb: 'drill' | 'backup'): Promise<Result | undefined> {
  const operation = current();
  const { target } = operation;
  const flags = verb === 'backup' ? { cause: causeOf(operation, target) } : {};
  const call = callFor([target], flags, watch(target));
  try {
    const { exit, lines = [], notes = [], wrong = [] } = await (verb === 'backup' ? backup : drill).run(call);
    const says = [...lines, ...wrong, ...notes].join('\n');
    if (current().stopping) return { kind: 'cancelled', says };
    if (exit === Exit.interrupted && call.around.signal.aborted) return undefined;
    return { kind: isDone(exit) ? 'done' : 'failed', says };
  } catch (error) {
    if (error instanceof Fault) return { kind: 'failed', says: sentenceOf(error) };
    throw error;
  } finally {
    await deliverWaiting(call.config(), call.around);
  }
}

/** A failure as people read it. */
export function sentenceOf({ message, hint }: Fault): string {
  return hint === undefined ? message : `${message}\n${hint}`;
}
