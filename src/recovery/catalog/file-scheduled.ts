import { reasonOf } from '../../base/fault.ts';
import type { Place } from '../place.ts';
import { type Backup, isWhole, listBackups } from './catalog.ts';
import { fileIntoBuckets } from './prune.ts';
import { bucketsFor } from './retention.ts';

/**
 * Files a scheduled backup, which lies in `hourly`, into each further bucket whose day, week or month it is the first of. Only
 * sound and whole ones are filed: databases alone, in the place of all, would be found missing the rest. Archives and what lies
 * in a repository are counted apart. Safe to repeat. The caller holds the lock.
 * @returns why it could not be filed, as on a file system without hard links: it is a backup all the same
 */
export function fileScheduled(place: Place, target: string, file: string): string | undefined {
  const all = listBackups(place, [target]);
  const own = all.find(({ files }) => files.includes(file));
  if (own === undefined || !isFiled(own)) return undefined;
  const before = all.filter(
    (each) =>
      each !== own &&
      each.bucket !== null &&
      isFiled(each) &&
      isPointer(each) === isPointer(own) &&
      each.atMs <= own.atMs,
  );
  const into = bucketsFor(
    own.atMs,
    before.map(({ atMs }) => atMs),
  );
  try {
    fileIntoBuckets(place, target, file, into);
    return undefined;
  } catch (error) {
    return `It lies in hourly/ alone, since it could not be linked: ${reasonOf(error)}`;
  }
}

const isFiled = (backup: Backup) => backup.kind === 'sound' && isWhole(backup);
const isPointer = ({ manifest }: Backup) => manifest?.snapshot !== undefined;
