import { isThere } from '../../base/files.ts';
import { type Backup, isWhole, listBackups } from '../../recovery/catalog/catalog.ts';
import type { RecoveryConfig } from '../../recovery/config/config.ts';
import { backupDetails } from './gaia-backup.ts';
import type { Found } from './plan.ts';

/** What the catalog has, for the plan. Reads folders and manifests. @throws Fault for a folder that cannot be read */
export function foundIn({ place, schedule }: Pick<RecoveryConfig, 'place' | 'schedule'>): Found[] {
  const targets = Object.entries(schedule.targets).filter(([, rules]) => Object.keys(rules).length > 0);
  return listBackups(
    place,
    targets.map(([name]) => name),
  ).map(foundOf);
}

function foundOf(backup: Backup): Found {
  const { name, target, atMs, kind, verified, manifest, bytes } = backup;
  const isMade = kind === 'sound' || kind === 'degraded';
  const time = (text: string | undefined) => (text === undefined ? undefined : Date.parse(text));
  const { totals, degraded = [] } = manifest ?? {};
  const result = {
    name,
    state: kind,
    bytes,
    degraded: [...degraded],
    files: totals?.files,
    content_bytes: totals?.bytes,
  };
  return {
    ...{ name, target, atMs, isSound: kind === 'sound', isWhole: isWhole(backup) },
    cause: isMade ? manifest?.cause : undefined,
    verifiedMs: time(verified?.at),
    drilledMs: time(verified?.drilled_at),
    details: backupDetails([{ ...result, files: totals?.files ?? null, content_bytes: totals?.bytes ?? null }]),
  };
}

/** Targets whose backups nothing on this machine can open. */
export function sealedAmong({ targets, place }: Pick<RecoveryConfig, 'targets' | 'place'>): Set<string> {
  const isOpen = place.identity !== undefined && isThere(place.identity);
  const sealed = targets.filter(
    ({ encryptTo = [], restic }) => encryptTo.length > 0 && restic?.active !== true && !isOpen,
  );
  return new Set(sealed.map(({ name }) => name));
}
