import { Fault } from '../../base/fault.ts';
import { type Backup, isWhole } from './catalog.ts';

/** Archives that one `gaia backup full` made together. */
export type BackupSet = {
  id: string;
  /** Newest first, at most one of a target is usual. */
  backups: readonly Backup[];
  /** Targets of the configuration that it has no sound backup of. */
  missing: readonly string[];
  atMs: number;
};

/** The sets among these backups, newest first. */
export function setsOf(all: readonly Backup[], targets: readonly string[]): BackupSet[] {
  const byId = Map.groupBy(
    all.filter((backup) => typeof backup.manifest?.set === 'string' && isWhole(backup)),
    ({ manifest }) => manifest?.set as string,
  );
  return [...byId]
    .map(([id, backups]) => ({
      id,
      backups,
      missing: targets.filter((name) => !backups.some(({ target, kind }) => target === name && kind === 'sound')),
      atMs: Math.max(...backups.map(({ atMs }) => atMs)),
    }))
    .sort((a, b) => b.atMs - a.atMs);
}

/**
 * The set of this id; `latest` is the newest that has a sound backup of every target.
 * @throws Fault `not-found`
 */
export function findSet(all: readonly Backup[], targets: readonly string[], wanted: string): BackupSet {
  const sets = setsOf(all, targets);
  const found =
    wanted === 'latest' ? sets.find(({ missing }) => missing.length === 0) : sets.find(({ id }) => id === wanted);
  if (found !== undefined) return found;
  const [newest] = sets;
  throw new Fault(
    'not-found',
    wanted === 'latest'
      ? 'There is no set with a sound backup of every target.'
      : `No set of backups is called ${wanted}.`,
    {
      hint:
        newest === undefined
          ? 'Make one: gaia backup full'
          : `The newest is ${newest.id}${newest.missing.length > 0 ? `, without ${newest.missing.join(', ')}` : ''}. See: gaia list`,
    },
  );
}
