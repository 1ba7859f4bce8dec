import { Exit } from '../../base/exit.ts';
import { Fault, reasonOf } from '../../base/fault.ts';
import { listBackups } from '../../recovery/catalog/catalog.ts';
import { clockDoubt, readClock, writeClock } from '../../recovery/catalog/clock-guard.ts';
import {
  emptyTrash,
  expiredSnapshots,
  finishPrune,
  type PrunePlan,
  planPrune,
  prunedFor,
  prune as removeOld,
  trashed,
  trashHours,
} from '../../recovery/catalog/prune.ts';
import { forgetBackups, forgetUnfinished } from '../../recovery/restic/maintain.ts';
import { type Leftover, leftovers, removeLeftover } from '../../recovery/restore/undo.ts';
import { bootId, uptimeSeconds } from '../../recovery/run/live-process.ts';
import { takeLock } from '../../recovery/run/lock.ts';
import { interruptedRuns } from '../../recovery/run/status.ts';
import { showBytes } from '../amounts.ts';
import { causeFlag, causeOf } from '../cause.ts';
import type { Call, Command, Conclusion } from '../command.ts';
import { confirm } from '../confirm.ts';
import { repositoriesOf } from '../repositories.ts';
import { targetNamed } from '../targets.ts';

const hourMs = 3_600_000;

/** gaia prune — moves what retention no longer keeps into the trash. */
export const prune: Command = {
  name: 'prune',
  summary: 'Show what retention keeps, and move the rest into the trash',
  usage: '[--dry-run] [--target T] [--yes] [--cause EVENT]',
  words: [0, 0],
  flags: {
    'dry-run': { says: 'only show it' },
    target: { value: 'T', says: 'the backups of one target only' },
    yes: { says: 'do not ask for confirmation' },
    'clock-is-right': { says: 'go on though the clock looks wrong' },
    ...causeFlag,
  },
  details: [
    `Counted are sound backups only. Never removed are the newest, the one drilled last, pinned ones (gaia pin), and what is no sound backup of this program. What goes rests in the trash for ${trashHours} hours.`,
    'Backups in a repository of restic are forgotten there when their time in the trash is over, and the repository is pruned. Of control-plane one archive stays beside them.',
    'Also goes what restores have put aside and is older than keep_aside_hours (72).',
  ],
  example: 'gaia prune --dry-run',
  exits: ['0 shown or done', '2 not confirmed', '6 the clock looks wrong, or another run'],
  delivers: true,
  async run(call) {
    const { around, flags } = call;
    const { place, targets, retention } = call.config();
    const wanted = flags.target === undefined ? targets : [targetNamed(call.config(), String(flags.target))];
    const names = wanted.map(({ name }) => name);
    const cause = causeOf(call);
    const begun = cause === undefined ? [] : prunedFor(place, cause);
    if (begun.length > 0) return finished(call, names, begun);
    const doubt = flags['clock-is-right'] === true ? undefined : doubtOf(call);
    const plan = planPrune(place, wanted, retention);
    const aside = expiredAside(call, names);
    if (flags['dry-run'] === true) return shown(call, plan, aside, doubt);
    if (doubt !== undefined)
      throw new Fault('conflict', `Nothing is pruned, because the clock may be wrong: ${doubt}.`, {
        hint: 'Look at it (timedatectl). If it is right: gaia prune --clock-is-right',
      });
    if (!(await confirm(call, 'PRUNE', dryLines(plan, aside))))
      return { exit: Exit.usage, notes: ['Nothing was done.'] };
    const lock = takeLock(place, 'prune', around.clock);
    try {
      const now = around.clock();
      const gone = removeOld(place, planPrune(place, wanted, retention), now, cause);
      // Looked at again under the lock: what an undo was begun with meanwhile must stay.
      const shownIds = new Set(aside.map(({ run }) => run.id));
      const { removed, kept } = await removeAside(expiredAside(call, names).filter(({ run }) => shownIds.has(run.id)));
      const forgotten = await forgetExpired(call, now);
      // What a repository could not be told of is told the next time.
      const emptied = forgotten.left.length === 0 ? emptyTrash(place, now) : [];
      const unfinished = await forgetLeftovers(call, now);
      writeClock(place, { wallMs: now, bootId: bootId(), uptimeS: uptimeSeconds() });
      return {
        exit: Exit.ok,
        lines: [
          `${gone.length} backups are in the trash (${showBytes(gone.reduce((sum, { bytes }) => sum + bytes, 0))}), for ${trashHours} hours.`,
          ...(removed.length > 0 ? [`What ${removed.length} restores had put aside is removed.`] : []),
          ...(forgotten.names.length > 0
            ? [`${forgotten.names.length} backups are gone from their repositories.`]
            : []),
          ...(unfinished.names.length > 0
            ? [`What ${unfinished.names.length} unfinished backups had left in repositories is removed.`]
            : []),
          ...(emptied.length > 0 ? [`${emptied.length} folders of the trash were old enough and are removed.`] : []),
        ],
        json: {
          trashed: gone.map(({ name }) => name),
          aside_removed: removed.flatMap(({ paths }) => paths),
          trash_emptied: emptied,
          forgotten: forgotten.names,
          unfinished_forgotten: unfinished.names,
        },
        notes: [...kept, ...forgotten.left, ...unfinished.left],
      };
    } finally {
      lock.release();
    }
  },
};

/** Asked again for the same cause, as after a crash, it does what is left of that and nothing else. */
function finished({ around, config, flags }: Call, targets: readonly string[], begun: readonly string[]): Conclusion {
  const { place } = config();
  if (flags['dry-run'] !== true) {
    const lock = takeLock(place, 'prune', around.clock);
    try {
      finishPrune(place, targets, begun, around.clock());
    } finally {
      lock.release();
    }
  }
  return {
    exit: Exit.ok,
    lines: [`Done before for ${flags.cause}: ${begun.join(', ')}.`],
    json: {
      trashed: begun,
      aside_removed: [],
      trash_emptied: [],
      forgotten: [],
      unfinished_forgotten: [],
      done_before: true,
    },
  };
}

/** Backups in repositories whose time in the trash is over. */
async function forgetExpired({ config }: Call, nowMs: number): Promise<{ names: string[]; left: string[] }> {
  const { place, targets } = config();
  const expired = Map.groupBy(expiredSnapshots(place, nowMs), ({ target }) => target);
  const names: string[] = [];
  const left: string[] = [];
  for (const [target, snapshots] of expired) {
    const restic = targets.find(({ name }) => name === target)?.restic;
    // One that somebody has taken out of the trash stays.
    const here = new Set(listBackups(place, [target]).map(({ name }) => name));
    const going = [...new Set(snapshots.map(({ name }) => name))].filter((name) => !here.has(name));
    if (restic === undefined) {
      left.push(`${going.join(', ')}: still in a repository that the configuration does not name any more.`);
      continue;
    }
    try {
      await forgetBackups(restic, going);
      names.push(...going);
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      left.push(`Not removed from its repository, and left in the trash: ${going.join(', ')}. ${error.message}`);
    }
  }
  return { names, left };
}

/** What backups that were ended in the middle have left in repositories. */
async function forgetLeftovers({ config }: Call, nowMs: number): Promise<{ names: string[]; left: string[] }> {
  const { place, targets } = config();
  const names: string[] = [];
  const left: string[] = [];
  for (const { at, targets: inIt } of repositoriesOf(targets.filter(({ restic }) => restic?.active === true)))
    try {
      const known = new Set(listBackups(place, inIt).map(({ name }) => name));
      names.push(...(await forgetUnfinished(at, { targets: inIt, beforeMs: nowMs - trashHours * hourMs, known })));
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      left.push(`Not looked for what unfinished backups have left: ${error.message}`);
    }
  return { names, left };
}

/** One that cannot be removed is told, and no reason to leave all others. */
async function removeAside(aside: readonly Leftover[]): Promise<{ removed: Leftover[]; kept: string[] }> {
  const removed: Leftover[] = [];
  const kept: string[] = [];
  for (const each of aside)
    try {
      await removeLeftover(each);
      removed.push(each);
    } catch (error) {
      kept.push(`Not removed, put aside by ${each.run.id}: ${reasonOf(error)}`);
    }
  return { removed, kept };
}

function doubtOf({ around, config }: Call): string | undefined {
  const { place, targets } = config();
  const newest = listBackups(
    place,
    targets.map(({ name }) => name),
  )[0]?.atMs;
  return clockDoubt({ wallMs: around.clock(), bootId: bootId(), uptimeS: uptimeSeconds() }, readClock(place), newest);
}

/** What restores put aside long enough ago. While a run is interrupted nothing of its target goes. */
function expiredAside({ around, config }: Call, names: readonly string[]): Leftover[] {
  const { place, keepAsideHours } = config();
  const waiting = new Set(interruptedRuns(place).map(({ request }) => request.target.name));
  return leftovers(place).filter(
    ({ run, sinceMs }) =>
      names.includes(run.request.target.name) &&
      !waiting.has(run.request.target.name) &&
      around.clock() - sinceMs > keepAsideHours * hourMs,
  );
}

function shown(call: Call, plan: PrunePlan, aside: readonly Leftover[], doubt: string | undefined): Conclusion {
  const { place } = call.config();
  const rows = plan.flatMap(({ decisions }) =>
    decisions.map(({ backup, keep, reasons }) => [backup.name, keep ? 'stays' : 'GOES', shortly(reasons)]),
  );
  const trash = trashed(place, call.around.clock());
  const going = plan.flatMap(({ decisions }) => decisions.filter(({ keep }) => !keep));
  return {
    exit: Exit.ok,
    table: { columns: [{ head: 'BACKUP' }, { head: '' }, { head: 'WHY', least: 20 }], rows },
    notes: [
      ...aside.map(({ paths, run }) => `Goes too, put aside by ${run.id}: ${paths.join(', ')}`),
      ...trash
        .filter(({ expired }) => expired)
        .map(({ folder }) => `Goes for good, long enough in the trash: ${folder}`),
      ...(doubt === undefined ? [] : [`Nothing would be pruned now, because the clock may be wrong: ${doubt}.`]),
      `${going.length} of ${rows.length} backups would go. Nothing was changed.`,
    ],
    json: {
      decisions: plan.flatMap(({ target, decisions }) =>
        decisions.map(({ backup, keep, reasons }) => ({ name: backup.name, target, keep, reasons })),
      ),
      aside: aside.flatMap(({ paths }) => paths),
      clock_doubt: doubt ?? null,
    },
  };
}

/** `the newest; the last of its hour, day, week` */
function shortly(reasons: readonly string[]): string {
  const lastOfIts = 'the last of its ';
  const periods = reasons
    .filter((reason) => reason.startsWith(lastOfIts))
    .map((reason) => reason.slice(lastOfIts.length));
  const others = reasons.filter((reason) => !reason.startsWith(lastOfIts));
  return [...others, ...(periods.length > 0 ? [lastOfIts + periods.join(', ')] : [])].join('; ');
}

function dryLines(plan: PrunePlan, aside: readonly Leftover[]): string[] {
  const going = plan.flatMap(({ decisions }) =>
    decisions.filter(({ keep }) => !keep).map(({ backup }) => `  Goes: ${backup.name}`),
  );
  return [
    ...(going.length > 0 ? going : ['  No backup goes.']),
    ...aside.flatMap(({ paths }) => paths.map((path) => `  Goes: ${path}`)),
  ];
}
