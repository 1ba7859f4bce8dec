import { Exit } from '../base/exit.ts';
import { Fault } from '../base/fault.ts';
import { type Asked, isOfRequest, runOfCause, unbegunOf, withdrawUnbegun } from '../recovery/run/cause.ts';
import { takeLock } from '../recovery/run/lock.ts';
import type { RunRequest } from '../recovery/run/run-folder.ts';
import { type RunState, statusOf } from '../recovery/run/status.ts';
import { causeOf } from './cause.ts';
import type { Call, Conclusion } from './command.ts';
import { followRun } from './follow-run.ts';
import { goOn } from './go-on.ts';
import { requireFree } from './start-run.ts';

/**
 * What became of a run that was begun for the same cause: whoever asked may have been killed before it heard so, and asks
 * again. One that was interrupted is finished first. Undefined when nothing was begun for it, or no cause is named: then the
 * caller begins.
 * @throws Fault `usage` when the cause has a run of something else, `locked` while somebody works on the backups
 */
export async function doneFor(call: Call, asked: Asked): Promise<Conclusion | undefined> {
  const cause = causeOf(call);
  if (cause === undefined) return undefined;
  const { place } = call.config();
  const run = runOfCause(statusOf(place).runs, cause);
  if (run !== undefined && !isOfRequest(asked, run.request)) throw another(cause, run);
  if (run?.state === 'ended') return doneBefore(call, cause, run);
  requireFree(call);
  if (run !== undefined) return takeUp(call, cause, run);
  if (unbegunOf(place, cause).length > 0) {
    const lock = takeLock(place, asked.kind, call.around.clock);
    try {
      withdrawUnbegun(place, cause);
    } finally {
      lock.release();
    }
  }
  return undefined;
}

function another(cause: string, { id, request }: RunState): Fault {
  return new Fault('usage', `For ${cause} there is ${textOf(request)} (${id}), and now something else is asked.`, {
    hint: 'One cause is for one restore or undo. Ask for the same again, or name another cause.',
  });
}

function textOf({ kind, target, backup, only }: RunRequest): string {
  const of = kind === 'restore' && backup !== null ? ` from ${backup.name}` : '';
  return `the ${kind} of ${target.name}${of}${only === null ? '' : `, only ${only}`}`;
}

async function doneBefore(call: Call, cause: string, { folder, id, lines }: RunState): Promise<Conclusion> {
  const answer = asAnswer(await followRun(call, folder, lines.length));
  return {
    ...answer,
    lines: [`Done before for ${cause} (${id}); nothing was done now.`, ...(answer.lines ?? [])],
    json: { ...(answer.json as object), done_before: true },
  };
}

async function takeUp(call: Call, cause: string, run: RunState): Promise<Conclusion> {
  const { kind, target } = run.request;
  if (call.flags.quiet !== true)
    call.around.say(`The ${kind} of ${target.name} for ${cause} (${run.id}) was interrupted, and is finished now.`);
  return asAnswer(await goOn(call, run, 'forward'));
}

/** Taken back as somebody asked for is 0 for that one, and not for who wanted it done. */
function asAnswer(conclusion: Conclusion): Conclusion {
  const json = conclusion.json as { outcome?: string } | undefined;
  if (json?.outcome !== 'taken back' || conclusion.exit !== Exit.ok) return conclusion;
  return { ...conclusion, exit: Exit.rolledBack, json: { ...json, exit: Exit.rolledBack } };
}
