import { Exit } from '../../base/exit.ts';
import { Fault } from '../../base/fault.ts';
import { shownPath } from '../../recovery/byte-path.ts';
import { openFilesBelow } from '../../recovery/restore/open-files.ts';
import { swapRecordOf } from '../../recovery/restore/swap-record.ts';
import { leftovers, undoable } from '../../recovery/restore/undo.ts';
import { newRunId } from '../../recovery/run/run-folder.ts';
import { stopsOf } from '../../recovery/target.ts';
import { showSpan } from '../amounts.ts';
import { causeFlag } from '../cause.ts';
import type { Call, Command } from '../command.ts';
import { confirm } from '../confirm.ts';
import { doneFor } from '../once.ts';
import { requireFree, startRun } from '../start-run.ts';
import { requireNoInterrupted, targetNamed } from '../targets.ts';
import { stopsAndAsks } from './plan.ts';

const maxShown = 10;

/** gaia undo — back to the state of before the last restore, which can itself be undone. */
export const undo: Command = {
  name: 'undo',
  summary: 'Bring back what was there before the last restore',
  usage: '[TARGET] [--run RUN] [--yes] [--cause EVENT]',
  words: [0, 1],
  flags: {
    run: { value: 'RUN', says: 'only if this is still the run that would be undone; gaia status lists them' },
    yes: { says: 'do not ask for confirmation' },
    ...causeFlag,
    'ignore-open': { says: 'go on though files are open for writing; what is written then is put aside' },
    here: { says: 'in this process instead of one that outlives a lost connection' },
  },
  details: [
    'What the restore put aside is swapped back by renames, and what is there now is put aside in turn: an undo can be undone.',
    'With --cause the same asked again does nothing again: what was interrupted is finished, and what was done is told.',
  ],
  example: 'gaia undo dev',
  exits: ['0 or 9 done', '2 not confirmed', '5 nothing to undo', '6 in the way', '10 failed, all is as before'],
  delivers: true,
  async run(call) {
    const { around, flags } = call;
    const { place } = call.config();
    const done = await doneFor(call, { kind: 'undo', target: call.words[0] });
    if (done !== undefined) return done;
    const name = targetOf(call);
    requireFree(call);
    requireNoInterrupted(place, name);
    const run = undoable(place, name);
    if (flags.run !== undefined && flags.run !== run.id)
      throw new Fault('conflict', `The last run of ${name} is ${run.id}, and not ${flags.run}. Nothing was done.`, {
        hint: 'See: gaia status',
      });
    const { units = [], databases = [] } = swapRecordOf(run.lines) ?? {};
    const paths = units.map(({ live }) => shownPath(live));
    const writer = openFilesBelow(paths, around.ownPids).find(({ writes }) => writes);
    const { health } = run.request.target;
    const stops = stopsOf(run.request.target);
    // Those that are stopped first may hold it until then.
    if (writer !== undefined && flags['ignore-open'] !== true && stops.length === 0)
      throw new Fault('conflict', `Process ${writer.pid} (${writer.command}) has ${writer.path} open for writing.`, {
        hint: 'Stop it and try again, or accept that what it writes is put aside: --ignore-open',
      });
    const phrase = `UNDO ${name.toUpperCase()}`;
    const ago = showSpan(around.clock() - Date.parse(run.outcome?.at ?? ''));
    const shown = [
      `Undo the ${run.request.kind} of ${name} of ${ago} ago (${run.id}).`,
      ...databases.map(({ live }) => `  Back comes: database ${live}`),
      ...paths.slice(0, maxShown).map((path) => `  Back comes: ${path}`),
      ...(paths.length > maxShown ? [`  Back come:  ${paths.length - maxShown} more paths`] : []),
      ...stopsAndAsks(stops, health),
      '  What is there now is put aside, and gaia undo brings it back.',
    ];
    if (!(await confirm(call, phrase, shown)))
      return { exit: around.signal.aborted ? Exit.interrupted : Exit.usage, notes: ['Nothing was done.'] };
    const atMs = around.clock();
    return startRun(call, {
      id: newRunId(atMs),
      kind: 'undo',
      target: run.request.target,
      backup: null,
      only: run.request.only,
      undoes: run.id,
      plan_hash: '',
      ignore_open: flags['ignore-open'] === true,
      atMs,
    });
  },
};

/** Without a name the one target there is something to undo of. */
function targetOf(call: Call): string {
  const [name] = call.words;
  if (name !== undefined) return targetNamed(call.config(), name).name;
  const names = [...new Set(leftovers(call.config().place).map(({ run }) => run.request.target.name))];
  if (names.length === 1) return names[0] as string;
  if (names.length === 0)
    throw new Fault('not-found', 'Nothing was restored that could be undone.', { hint: 'See: gaia status' });
  throw new Fault('usage', `Which one? There is something to undo of ${names.join(', ')}.`, {
    hint: `gaia undo ${names[0]}`,
  });
}
