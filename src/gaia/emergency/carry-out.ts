import { basename } from 'node:path';
import { Exit } from '../../base/exit.ts';
import { Fault } from '../../base/fault.ts';
import type { ProgressStep } from '../../recovery/progress.ts';
import { isMadeFor, runOfCause } from '../../recovery/run/cause.ts';
import { type RunState, statusOf } from '../../recovery/run/status.ts';
import type { Call, Conclusion } from '../command.ts';
import { backup } from '../commands/backup.ts';
import { drill } from '../commands/drill.ts';
import { restore } from '../commands/restore.ts';
import { followRun } from '../follow-run.ts';
import { goOn } from '../go-on.ts';
import { deliverWaiting } from '../tell-bus.ts';
import { causeOf, type Operation, type OutcomeKind, type Part, type PartDone } from './operation.ts';
import { sentenceOf } from './phone-fault.ts';
import { requireSame } from './resolve-restore.ts';
import { lostByRestore } from './still-by-phone.ts';

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
  clock(): number;
};

export type Result = { kind: OutcomeKind; says: string };

/** What was confirmed longer ago was meant for the state of then. */
export const maxStaleMs = 15 * 60_000;

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
    const ended = await onePart(work, part);
    if (ended === 'not begun') break;
    if (ended === undefined) return undefined;
    work.put({ ...work.current(), done: [...work.current().done, ended] });
    if (!isDone(ended.exit)) break;
  }
  const result = resultOf(work.current(), work.clock());
  const isOther = work.current().done.some(({ target }) => target === 'control-plane');
  const lost = isOther ? lostByRestore(work.callFor([], {})) : [];
  return { ...result, says: [result.says, ...lost].join('\n') };
}

async function onePart(work: Work, part: Part): Promise<Ended> {
  try {
    const call = callOf(work, part);
    const isBegun = runOf(call, part, work) !== undefined;
    // What was begun is finished or taken back, and never left between two states.
    if (!isBegun && isCalledOff(work)) return 'not begun';
    return await restorePart(work, call, part, isBegun);
  } catch (error) {
    // As of a configuration that came back with control-plane, and that this version does not take.
    if (error instanceof Fault) return { target: part.target, exit: Exit.failed, says: sentenceOf(error, part.target) };
    throw error;
  }
}

/** What was confirmed was meant for the state of then, and somebody may have wanted to stop it since. */
const isCalledOff = ({ current, clock }: Work) => current().stopping || awayMs(current(), clock()) > 0;

/** For how long nobody looked after it, so that nobody could stop it; 0 where that was not long, or not so long that it matters. */
export function awayMs({ aliveMs, startMs, createdMs }: Operation, nowMs: number): number {
  const gapMs = Math.abs(nowMs - (aliveMs ?? startMs ?? createdMs));
  return gapMs > maxStaleMs ? gapMs : 0;
}

function callOf({ callFor, watch, current }: Work, { target, file }: Part): Call {
  const flags = { yes: true, backup: file, cause: causeOf(current(), target) };
  return callFor([target], flags, watch(target));
}

function runOf(call: Call, { target }: Part, { current }: Work): RunState | undefined {
  return runOfCause(statusOf(call.config().place).runs, causeOf(current(), target));
}

type Ended = PartDone | 'not begun' | undefined;

async function restorePart(work: Work, call: Call, part: Part, isBegun: boolean, isAgain = false): Promise<Ended> {
  // Only what was not begun may be left as it is.
  const isLeft = () => work.current().stopping && !isMadeFor(call.config().place, causeOf(work.current(), part.target));
  try {
    if (isBegun && work.current().stopping) return await takeBack(work, call, part);
    if (!isBegun) requireSame(call, part);
    const conclusion = await untilAborted(restoreOrWatch(work, call, part), call.around.signal);
    return isLeft() ? 'not begun' : partDone(part, conclusion, call);
  } catch (error) {
    if (isLeft()) return 'not begun';
    const begun = runOf(call, part, work);
    if (work.current().stopping && begun?.state === 'interrupted') return takeBack(work, call, part);
    // Its process was killed, and whoever has only a phone can type no gaia resume: it is finished, if that goes at the second try.
    if (error instanceof Fault && begun?.state === 'interrupted' && !isAgain)
      return restorePart(work, call, part, true, true);
    throw error;
  }
}

/** Not waited for any more when it is stopped: where it looks at its backup, perhaps nobody answers. It begins nothing then. */
async function untilAborted(conclusion: Promise<Conclusion>, signal: AbortSignal): Promise<Conclusion> {
  const stopped = Promise.withResolvers<Conclusion>();
  const stop = () => stopped.resolve({ exit: Exit.interrupted });
  signal.addEventListener('abort', stop, { once: true });
  if (signal.aborted) stop();
  try {
    return await Promise.race([conclusion, stopped.promise]);
  } finally {
    conclusion.catch(() => undefined /* told above, or nobody's any more */);
    signal.removeEventListener('abort', stop);
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
  // Where the old state lies is of no use on a phone.
  const { says } = (conclusion.json ?? {}) as { says?: string };
  const told = isDone(exit) && says !== undefined ? [says] : [...lines, ...wrong];
  if (exit === Exit.partial) told.push('Nobody was asked whether it is healthy.');
  return { target, exit, says: told.join('\n') };
}

function resultOf(operation: Operation, nowMs: number): Result {
  const { parts, done, stopping } = operation;
  const failed = done.find(({ exit }) => !isDone(exit));
  const missing = parts.map(({ target }) => target).filter((each) => !done.some(({ target }) => target === each));
  const isAway = awayMs(operation, nowMs) > 0 && !stopping && failed === undefined;
  const why = isAway
    ? `, since the server was away for more than a quarter of an hour: ${missing.join(', ')}. Ask for it again: /restore ${missing[0]}`
    : `: ${missing.join(', ')}.`;
  const says = [
    ...done.map((each) => `${each.target}: ${each.says}`),
    ...(missing.length > 0 ? [`Not begun${why}`] : []),
    ...(done.some(({ exit }) => isDone(exit)) ? ['What was there before is kept: gaia undo on the server.'] : []),
  ].join('\n');
  return { kind: kindOf(operation, failed !== undefined, missing.length > 0), says };
}

function kindOf({ done, stopping }: Operation, isFailed: boolean, isMissing: boolean): OutcomeKind {
  if (!isFailed && !isMissing) return 'done';
  if (!isFailed && done.length > 0) return 'partly';
  if (stopping) return 'cancelled';
  return isFailed ? 'failed' : 'expired';
}

/** A backup is made once for its operation; a drill leaves nothing behind, whatever becomes of it. */
async function other({ callFor, watch, current }: Work, verb: 'drill' | 'backup'): Promise<Result | undefined> {
  const operation = current();
  const { target } = operation;
  const flags = verb === 'backup' ? { cause: causeOf(operation, target) } : {};
  const call = callFor([target], flags, watch(target));
  try {
    const { exit, lines = [], notes = [], wrong = [] } = await (verb === 'backup' ? backup : drill).run(call);
    // Where a backup lies is of no use on a phone; how it is called is.
    const shown = lines.map((line) => (line.startsWith('/') ? basename(line) : line));
    const says = [...shown, ...wrong, ...notes].join('\n');
    if (current().stopping) return { kind: 'cancelled', says };
    if (exit === Exit.interrupted && call.around.signal.aborted) return undefined;
    return { kind: isDone(exit) ? 'done' : 'failed', says };
  } catch (error) {
    if (error instanceof Fault) return { kind: 'failed', says: sentenceOf(error, target) };
    throw error;
  } finally {
    await deliverWaiting(call.config(), call.around);
  }
}
