import { accessSync, constants, existsSync, readdirSync, statfsSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { RecoveryConfig } from '../recovery/config/config.ts';
import { nearest } from '../recovery/restore/space.ts';
import { holderOf } from '../recovery/run/lock.ts';
import { showBytes } from './amounts.ts';

/** One thing that a doctor looked at. `todo`: how to mend it. */
export type Finding = { what: string; level: 'ok' | 'note' | 'WRONG'; says: string; todo?: string };

const lowBytes = 512 * 1024 * 1024;
const partial = /^\..+\.(partial|work)$/;
const stage = /^\.gaia-stage-(.+)$/;
const intruder = /\.gaia-intruder-/;

/** Whether there is room for backups, whether they can be written, and whether they would survive the targets' disk. */
export function folderFindings({ place, targets }: RecoveryConfig): Finding[] {
  const { backups } = place;
  if (!existsSync(backups))
    return [
      {
        what: 'backups',
        level: 'note',
        says: `${backups} is not there yet, and is made by the first backup`,
        todo: 'If it should be on another disk, mount that first.',
      },
    ];
  const { bavail, bsize } = statfsSync(nearest(backups));
  const free = bavail * bsize;
  const room: Finding = { what: 'backups', level: 'ok', says: `${showBytes(free)} free at ${backups}` };
  return [
    free < lowBytes ? { ...room, level: 'WRONG', todo: 'gaia prune --dry-run' } : room,
    ...writableFindings(backups),
    ...sameDiskFindings(backups, targets),
  ];
}

function writableFindings(backups: string): Finding[] {
  try {
    accessSync(backups, constants.W_OK);
    return [];
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const todo = code === 'EROFS' ? `Mount it for writing: findmnt -T ${backups}` : `Look at it: ls -ld ${backups}`;
    return [{ what: 'backups', level: 'WRONG', says: `${backups} cannot be written (${code})`, todo }];
  }
}

function sameDiskFindings(backups: string, targets: RecoveryConfig['targets']): Finding[] {
  const device = statSync(backups).dev;
  const together = targets.filter(({ trees }) =>
    trees.some(({ root }) => statSync(root, { throwIfNoEntry: false })?.dev === device),
  );
  if (together.length === 0) return [];
  return [
    {
      what: 'backups',
      level: 'note',
      says: `on the same file system as ${together.map(({ name }) => name).join(', ')}: what destroys one destroys both`,
      todo: 'Keep a copy on another disk or machine.',
    },
  ];
}

/** What backups and restores that were ended in the middle have left, but for runs that still can go on. */
export function leftoverFindings({ place, targets }: RecoveryConfig, waiting: ReadonlySet<string>): Finding[] {
  if (holderOf(place) !== undefined) return [];
  const findings: Finding[] = [];
  for (const { name, trees } of targets) {
    const halves = namesIn(join(place.backups, name)).filter((each) => partial.test(each));
    if (halves.length > 0)
      findings.push({
        what: name,
        level: 'note',
        says: `${halves.length} unfinished files of a backup that was ended`,
        todo: `the next one clears them away: gaia backup ${name}`,
      });
    const folders = new Set(trees.flatMap(({ root }) => [root, dirname(root)]));
    for (const folder of folders)
      for (const each of namesIn(folder)) {
        const at = join(folder, each);
        const run = stage.exec(each)?.[1];
        if (run !== undefined && !waiting.has(run))
          findings.push({ what: name, level: 'note', says: `${at} is of a restore that is over`, todo: `rm -r ${at}` });
        if (intruder.test(each))
          findings.push({
            what: name,
            level: 'note',
            says: `${at} was made by somebody during a restore, and moved aside`,
            todo: 'Look what it is; remove it if nobody needs it.',
          });
      }
  }
  return findings;
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return []; // Not there, or not ours to read: said elsewhere.
  }
}
