import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Exit, type ExitCode, exitCodeOf } from '../base/exit.ts';
import { Fault, reasonOf } from '../base/fault.ts';
import { writeWhole } from '../recovery/archive/manifest-file.ts';
import { knownKey } from '../recovery/archive/sign.ts';
import type { Progress } from '../recovery/progress.ts';
import { beginRun, resumeRun } from '../recovery/restore/engine.ts';
import { runOfCause } from '../recovery/run/cause.ts';
import { identityOf } from '../recovery/run/live-process.ts';
import { type Lock, takeLock } from '../recovery/run/lock.ts';
import { progressOf, type RunRequest, requireRequest } from '../recovery/run/run-folder.ts';
import { statusOf } from '../recovery/run/status.ts';
import type { Around } from './command.ts';
import { type RunTeller, tellerOf } from './tell-bus.ts';

const progressMs = 250;

/**
 * The process that restores: takes the lock, does the run, and writes down how it ended. It answers to nobody, so that
 * neither a lost connection nor a closed terminal stops it.
 */
export async function runHere(around: Around, folder: string, how: 'begin' | 'forward' | 'back'): Promise<ExitCode> {
  writeJson(join(folder, 'runner.json'), identityOf(process.pid));
  rmSync(join(folder, 'failure.json'), { force: true });
  let lock: Lock | undefined;
  let teller: RunTeller | undefined;
  try {
    const request = requireRequest(folder);
    const { place, kind, target, id } = request;
    lock = takeLock(place, `${kind} ${target.name} ${id}`, around.clock);
    if (how === 'begin') requireFirst(request);
    removeHalfWritten(folder);
    teller = tellerOf(folder, request, around);
    const deps = {
      place,
      clock: around.clock,
      known: knownKey(place.publicKey),
      uid: around.uid,
      ownPids: around.ownPids,
      pause: around.pause,
      noted: teller.noted,
      progress: progressFile(folder, around),
    };
    const outcome = how === 'begin' ? await beginRun(folder, deps) : await resumeRun(folder, how, deps);
    return outcome.exit as ExitCode;
  } catch (error) {
    const fault =
      error instanceof Fault
        ? error
        : new Fault('internal', `this is a fault of ours: ${reasonOf(error)}`, { cause: error });
    around.say(
      `gaia: ${fault.message}\n${error instanceof Error && !(error instanceof Fault) ? error.stack : (fault.hint ?? '')}`,
    );
    writeJson(join(folder, 'failure.json'), { code: fault.code, message: fault.message, hint: fault.hint });
    return error instanceof Fault ? exitCodeOf(fault.code) : Exit.failed;
  } finally {
    lock?.release();
    await teller?.end();
  }
}

/** Of several that were asked for by one cause at once the first one is done. The lock is held. */
function requireFirst({ place, cause }: RunRequest): void {
  const first = cause === undefined ? undefined : runOfCause(statusOf(place).runs, cause);
  if (first === undefined) return;
  throw new Fault('conflict', `What is to be done for ${cause} was begun already (${first.id}).`, {
    hint: 'What became of it says the same command with the same cause.',
  });
}

/** What a process before this one was writing when it was killed. */
function removeHalfWritten(folder: string): void {
  for (const name of readdirSync(folder))
    if (name.startsWith('.') && name.endsWith('.partial')) rmSync(join(folder, name), { force: true });
}

/** Replaced as a whole, so that whoever reads it never sees half of it. */
function progressFile(folder: string, { clock }: Around): Progress {
  let toldMs = 0;
  let phase = '';
  return (step) => {
    const now = clock();
    if (now - toldMs < progressMs && step.phase === phase) return;
    toldMs = now;
    phase = step.phase;
    try {
      writeJson(progressOf(folder), step);
    } catch {
      return; // A full disk: what matters fails by itself.
    }
  };
}

function writeJson(file: string, value: unknown): void {
  writeWhole(file, Buffer.from(`${JSON.stringify(value)}\n`));
}
