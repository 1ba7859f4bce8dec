import { Fault } from '../base/fault.ts';
import { nearest } from '../base/nearest.ts';
import type { RecoveryConfig } from '../recovery/config/config.ts';
import type { Place } from '../recovery/place.ts';
import { realOr } from '../recovery/restore/placement.ts';
import { interruptedRuns, type RunState } from '../recovery/run/status.ts';
import type { Target } from '../recovery/target.ts';

/** The target of this name. @throws Fault `not-found` naming those there are */
export function targetNamed({ targets }: Pick<RecoveryConfig, 'targets'>, name: string): Target {
  const found = targets.find((target) => target.name === name);
  if (found !== undefined) return found;
  const names = targets.map((target) => target.name);
  const guess = nearest(name, names);
  throw new Fault('not-found', `There is no target ${name} in the configuration.`, {
    hint: guess ? `Did you mean ${guess}?` : `There are: ${names.join(', ') || 'none'}`,
  });
}

/** One target, or for `full` all of them in their order. */
export function targetsNamed(config: Pick<RecoveryConfig, 'targets'>, name: string): readonly Target[] {
  return name === 'full' ? config.targets : [targetNamed(config, name)];
}

/**
 * A key, or a kit with one, belongs where no backup takes it along.
 * @param what is written, into that folder
 * @throws Fault `usage` for a folder of a target, and for that of the backups
 */
export function requireOutsideBackups(what: string, folder: string, { targets, place }: RecoveryConfig): void {
  const real = realOr(folder);
  const taken = [...targets.flatMap(({ trees }) => trees.map(({ root }) => root)), place.backups];
  const within = taken.find((each) => `${real}/`.startsWith(`${realOr(each)}/`));
  if (within === undefined) return;
  throw new Fault('usage', `${what} lies in ${within}: it would lie beside what it opens, or in a backup of it.`, {
    hint: 'Name a place on a disk that you take away.',
  });
}

/** The two ways out of an interrupted run, in words. */
export function waysOut({ id, request, step }: Pick<RunState, 'id' | 'request' | 'step'>): string[] {
  return [
    `The ${request.kind} of ${request.target.name} (${id}) was interrupted at the step ${step}.`,
    '  To finish it:       gaia resume',
    '  To take it back:    gaia resume --back',
  ];
}

/** @throws Fault `conflict` while a run of this target waits to be finished or taken back */
export function requireNoInterrupted(place: Pick<Place, 'state'>, target: string): void {
  const run = interruptedRuns(place).find(({ request }) => request.target.name === target);
  if (run === undefined) return;
  const [says = '', ...hint] = waysOut(run);
  throw new Fault('conflict', says, { hint: hint.map((line) => line.trim()).join('\n') });
}
