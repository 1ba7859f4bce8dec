import { Fault } from '../base/fault.ts';
import { interruptedRuns, type RunState } from '../recovery/run/status.ts';
import type { Call } from './command.ts';
import { waysOut } from './targets.ts';

/** They say it themselves, as their answer. */
const sayItThemselves = new Set(['status', 'resume', 'doctor', '__run']);
/** They refuse to touch the target of an interrupted run, with the same words. */
const refuse = new Set(['backup', 'restore', 'undo']);

/** What a command says on stderr before anything else while a run waits to be finished or taken back. */
export function interruptedLines(command: string, { words, json, config }: Omit<Call, 'progress'>): string[] {
  if (sayItThemselves.has(command)) return [];
  const isRefused = ({ request }: RunState) =>
    refuse.has(command) && (words[0] === request.target.name || words[0] === 'full');
  try {
    const runs = interruptedRuns(config().place).filter((run) => !isRefused(run));
    if (json) return runs.map(({ id, request, step }) => JSON.stringify(jsonOf(id, request, step)));
    return runs.flatMap(waysOut);
  } catch (error) {
    // A damaged journal keeps nobody from listing or verifying backups.
    if (!(error instanceof Fault)) throw error;
    return [json ? JSON.stringify({ kind: 'warning', message: error.message }) : `WARNING: ${error.message}`];
  }
}

function jsonOf(run: string, { kind, target }: RunState['request'], step: string) {
  return {
    kind: 'interrupted',
    run,
    verb: kind,
    target: target.name,
    step,
    ways_out: ['gaia resume', 'gaia resume --back'],
  };
}
