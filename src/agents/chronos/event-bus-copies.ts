import { readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { decide, type RetentionPolicy } from '../../recovery/catalog/retention.ts';

/** What is kept of the copies that the schedule has made: whole databases, so fewer of them than of backups. */
const copyRetention: RetentionPolicy = { keepLast: 3, hourly: 0, daily: 7, weekly: 4, monthly: 0 };

export type Copy = { name: string; atMs: number; isScheduled: boolean };

/** `events-20260102T030405678Z.db`, as `leveredge backup` names them, and with --scheduled a word more. */
const copyName = /^events-(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)(\d{3})Z(-scheduled)?\.db$/;
const unfinished = /^\.events-\w+-scheduled\.db\.\d+\.partial/;
/** A copy that is still being made is younger. */
const abandonedMs = 24 * 3_600_000;
/** What is further ahead was made under a clock that was wrong: it stays, and takes no place of what is made now. */
const aheadMs = 3_600_000;

/** All copies in a folder, newest first; a folder that is missing has none. */
export function copiesIn(folder: string): Copy[] {
  return namesIn(folder)
    .flatMap((name): Copy[] => {
      const match = copyName.exec(name);
      if (match === null) return [];
      const [, year, month, day, hour, minute, second, ms, scheduled] = match;
      const atMs = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}.${ms}Z`);
      return Number.isNaN(atMs) ? [] : [{ name, atMs, isScheduled: scheduled !== undefined }];
    })
    .sort((a, b) => b.atMs - a.atMs);
}

/**
 * Removes what retention does not keep of the copies that the schedule has made, and what killed ones have left. Copies that
 * somebody has asked for stay. Never the newest. @returns what is gone @throws the system's error
 */
export function removeOldCopies(folder: string, nowMs: number): string[] {
  const own = copiesIn(folder).filter(({ isScheduled, atMs }) => isScheduled && atMs <= nowMs + aheadMs);
  const kept = own.map(({ name, atMs }) => ({
    name,
    atMs,
    kind: 'sound' as const,
    pinned: false,
    drilledMs: undefined,
  }));
  const old = decide(kept, copyRetention)
    .filter(({ keep }) => !keep)
    .map(({ backup }) => backup.name);
  const left = namesIn(folder).filter((name) => unfinished.test(name) && isAbandoned(join(folder, name), nowMs));
  for (const name of [...old, ...left]) rmSync(join(folder, name), { force: true });
  return old;
}

function isAbandoned(file: string, nowMs: number): boolean {
  const found = statSync(file, { throwIfNoEntry: false });
  return found !== undefined && nowMs - found.mtimeMs > abandonedMs;
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}
