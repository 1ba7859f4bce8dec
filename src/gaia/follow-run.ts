import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { Exit, type ExitCode } from '../base/exit.ts';
import { Fault, type FaultCode } from '../base/fault.ts';
import type { ProgressStep } from '../recovery/progress.ts';
import { type JournalLine, readJournal } from '../recovery/run/journal.ts';
import { isAlive, type ProcessIdentity } from '../recovery/run/live-process.ts';
import { journalOf, logOf, requestOf } from '../recovery/run/run-folder.ts';
import { type Outcome, progressText } from '../recovery/run/status.ts';
import type { Call, Conclusion } from './command.ts';

const pollMs = 100;
/** A runner that has not said who it is by then was never started. */
const startLimitMs = 20_000;
const letGoPollMs = 10;
const letGoLimitMs = 5_000;

/** Watches a run until it ends. Ctrl-C ends the watching, not the run. */
export async function followRun(call: Call, folder: string, from = 0): Promise<Conclusion> {
  const { around, progress } = call;
  const beganMs = around.clock();
  let seen = from;
  for (;;) {
    const lines = readJournal(journalOf(folder));
    for (const line of lines.slice(seen)) tell(call, line);
    seen = lines.length;
    const last = lines.at(-1);
    if (last?.step === 'end') {
      around.sketch('');
      await letGo(folder);
      return concludeRun({ ...last.facts, at: last.at } as Outcome, folder, lines);
    }
    const step = progressText(folder) as ProgressStep | undefined;
    if (step !== undefined) progress(step);
    if (around.signal.aborted) {
      around.sketch('');
      return {
        exit: Exit.interrupted,
        notes: ['The run goes on without you. Watch it again: gaia status --follow'],
      };
    }
    requireAlive(folder, around.clock() - beganMs);
    await pause(pollMs);
  }
}

/** Its process holds the lock for a moment longer, and whoever waited for it may want that next. */
async function letGo(folder: string): Promise<void> {
  const runner = runnerOf(folder);
  if (runner === undefined || runner.pid === process.pid) return;
  for (let waitedMs = 0; waitedMs < letGoLimitMs && isAlive(runner); waitedMs += letGoPollMs) await pause(letGoPollMs);
}

function requireAlive(folder: string, waitedMs: number): void {
  const runner = runnerOf(folder);
  // What was done in this very process has ended, or nobody would be here.
  const isWorking = runner !== undefined && runner.pid !== process.pid && isAlive(runner);
  if (runner === undefined ? waitedMs < startLimitMs : isWorking) return;
  // It may have written its last line just now.
  if (readJournal(journalOf(folder)).at(-1)?.step === 'end') return;
  const failure = failureOf(folder);
  if (failure !== undefined) throw new Fault(failure.code, failure.message, { hint: failure.hint });
  throw new Fault('internal', 'The process that restores has ended without saying why.', {
    hint: `What it printed is in ${logOf(folder)}. Finish it with gaia resume, or take it back with gaia resume --back`,
  });
}

/** The process that does, or did, a run; undefined while none has said that it does. */
export function runnerOf(folder: string): ProcessIdentity | undefined {
  try {
    return JSON.parse(readFileSync(join(folder, 'runner.json'), 'utf8')) as ProcessIdentity;
  } catch {
    return undefined; // Not started yet, or just being written.
  }
}

type Failure = { code: FaultCode; message: string; hint?: string };

function failureOf(folder: string): Failure | undefined {
  const file = join(folder, 'failure.json');
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as Failure) : undefined;
}

const steps: Readonly<Record<string, string>> = {
  preflight: 'Looking whether it can begin',
  stage: 'Staging beside what is there',
  compare: 'Comparing what was staged',
  load: 'Loading databases beside the live ones',
  quiesce: 'Stopping what works on it',
  swap: 'Swapping',
  health: 'Asking whether it is well',
  'take back': 'Taking it back',
};

function tell({ around, json, flags }: Call, { step, state, facts, at }: JournalLine): void {
  if (flags.quiet === true) return;
  if (json) around.say(JSON.stringify({ kind: 'step', step, state, at }));
  else if (state === 'begin' && steps[step] !== undefined) {
    around.sketch('');
    around.say(`${steps[step]} …`);
  } else if (state === 'failed') {
    around.sketch('');
    around.say(`It failed: ${facts.reason}`);
    const logs = (facts.logs as string[] | undefined) ?? [];
    if (logs.length > 0) around.say('The last lines of its services:');
    for (const line of logs) around.say(`  ${line}`);
  }
}

/** What a run's outcome means to whoever asked for it. */
function concludeRun(outcome: Outcome, folder: string, lines: readonly JournalLine[]): Conclusion {
  const { kind, exit, says, health } = outcome;
  const id = folder.slice(folder.lastIndexOf('/') + 1);
  const aside =
    (lines.find(({ step, state }) => step === 'commit' && state === 'begin')?.facts.aside as string[] | undefined) ??
    [];
  const cause = requestOf(folder)?.cause;
  const once = cause === undefined ? {} : { cause, done_before: false };
  const json = { run: id, outcome: kind, exit, says, health: health ?? null, aside, ...once };
  const { hint } = outcome;
  if (kind === 'refused')
    return {
      exit: exit as ExitCode,
      json,
      wrong: [`gaia: ${says}`, ...(hint ? hint.split('\n').map((line) => `  ${line}`) : []), '  Nothing was changed.'],
    };
  const unproven =
    health === 'unproven'
      ? [
          'Whether it is healthy was not asked: no endpoint is configured (exit code 9). Say health: none in the configuration if there is nothing to ask.',
        ]
      : [];
  const shown = aside.slice(0, 5);
  const more = aside.length > shown.length ? [`  and ${aside.length - shown.length} more paths`] : [];
  return {
    exit: exit as ExitCode,
    json,
    lines: [
      says,
      ...(shown.length > 0 ? ['What was there before lies at:', ...shown.map((path) => `  ${path}`), ...more] : []),
    ],
    notes: kind === 'committed' ? [...unproven, 'To go back: gaia undo'] : [],
  };
}
