/** How many backups are kept, counted over sound ones alone: the last ones, and one for each of the last so many hours, days, weeks, months. */
export type RetentionPolicy = { keepLast: number; hourly: number; daily: number; weekly: number; monthly: number };

export const usualRetention: RetentionPolicy = { keepLast: 3, hourly: 24, daily: 7, weekly: 4, monthly: 12 };

/** What retention has to know of a backup. */
export type Kept = {
  name: string;
  /** When it was made. */
  atMs: number;
  /** `sound`: read back whole after it was written. All else retention leaves alone. */
  kind: 'sound' | 'other';
  pinned: boolean;
  /** When a drill proved it last. */
  drilledMs: number | undefined;
};

/** What becomes of one backup, and why. */
export type Decision<T extends Kept> = { backup: T; keep: boolean; reasons: string[] };

type Period = { key: 'hourly' | 'daily' | 'weekly' | 'monthly'; of(atMs: number): string; says: string };

const dayMs = 86_400_000;
/** The first Monday after the epoch began, which was a Thursday. */
const firstMondayMs = 4 * dayMs;

const periods: readonly Period[] = [
  { key: 'hourly', of: (at) => new Date(at).toISOString().slice(0, 13), says: 'the last of its hour' },
  { key: 'daily', of: (at) => new Date(at).toISOString().slice(0, 10), says: 'the last of its day' },
  { key: 'weekly', of: (at) => String(Math.floor((at - firstMondayMs) / (7 * dayMs))), says: 'the last of its week' },
  { key: 'monthly', of: (at) => new Date(at).toISOString().slice(0, 7), says: 'the last of its month' },
];

/**
 * Decides about the backups of one target, newest first. Pure: the same backups and policy give the same answer, at any
 * time. Never removed are the newest sound one, the one drilled last, whatever is pinned, and what is no sound backup of
 * ours, since nobody knows what else it may be the last copy of.
 */
export function decide<T extends Kept>(backups: readonly T[], policy: RetentionPolicy): Decision<T>[] {
  const newestFirst = [...backups].sort((a, b) => b.atMs - a.atMs || (a.name < b.name ? 1 : -1));
  const decisions = new Map(newestFirst.map((backup) => [backup, [] as string[]]));
  const sound = newestFirst.filter(({ kind }) => kind === 'sound');
  const because = (backup: T | undefined, reason: string) => backup && decisions.get(backup)?.push(reason);
  because(sound[0], 'the newest');
  because(drilledLast(newestFirst), 'the one a drill proved last');
  for (const backup of newestFirst) {
    if (backup.pinned) because(backup, 'pinned');
    if (backup.kind !== 'sound') because(backup, 'left alone: no verified backup of this program');
  }
  for (const [n, backup] of sound.slice(0, policy.keepLast).entries())
    if (n > 0) because(backup, `one of the last ${policy.keepLast}`);
  for (const period of periods) keepOnePer(sound, period, policy[period.key], because);
  return [...decisions].map(([backup, reasons]) => ({
    backup,
    keep: reasons.length > 0,
    reasons: reasons.length > 0 ? reasons : [needless(policy)],
  }));
}

function drilledLast<T extends Kept>(backups: readonly T[]): T | undefined {
  const drilled = backups.filter(({ drilledMs }) => drilledMs !== undefined);
  return drilled.sort((a, b) => (b.drilledMs as number) - (a.drilledMs as number))[0];
}

function keepOnePer<T extends Kept>(
  sound: readonly T[],
  { of, says }: Period,
  count: number,
  because: (backup: T, reason: string) => void,
): void {
  const seen = new Set<string>();
  for (const backup of sound) {
    const period = of(backup.atMs);
    if (seen.has(period)) continue;
    if (seen.size >= count) return;
    seen.add(period);
    because(backup, says);
  }
}

function needless({ keepLast, hourly, daily, weekly, monthly }: RetentionPolicy): string {
  return `not among the last ${keepLast}, nor the last of ${hourly} hours, ${daily} days, ${weekly} weeks or ${monthly} months`;
}

/** The buckets a scheduled backup belongs to, given the sound ones before it: each period it is the first of. */
export function bucketsFor(atMs: number, before: readonly number[]): Period['key'][] {
  return periods
    .filter(({ key, of }) => key === 'hourly' || !before.some((at) => of(at) === of(atMs)))
    .map(({ key }) => key);
}
