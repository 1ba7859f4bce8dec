import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { rfc3339 } from '../../base/clock.ts';
import { makeFolder } from '../../base/files.ts';
import { writeWhole } from '../archive/manifest-file.ts';
import type { Place } from '../place.ts';

/** What the clocks were when something was last done here. */
export type ClockRecord = { wall_ms: number; boot_id: string; uptime_s: number | null };

export type ClockNow = { wallMs: number; bootId: string; uptimeS: number | undefined };

/** The shortest bucket: a clock that is off by more files backups into wrong ones. */
const maxDriftMs = 3_600_000;
/** A machine may be off for days; for longer, somebody should look at its clock before anything is thrown away. */
const maxAbsenceMs = 7 * 86_400_000;

const fileOf = (place: Pick<Place, 'state'>) => join(place.state, 'clock.json');

/**
 * Why nothing may be removed by age or count now, because the clock cannot be right; undefined when nothing speaks against
 * it. Within one boot the clock must have gone as far as the machine was up. `mayHaveBeenOff`: another clock agrees that much
 * time has gone.
 */
export function clockDoubt(
  now: ClockNow,
  before: ClockRecord | undefined,
  newestBackupMs: number | undefined,
  { mayHaveBeenOff = false } = {},
): string | undefined {
  if (newestBackupMs !== undefined && newestBackupMs - now.wallMs > maxDriftMs)
    return `the newest backup is from ${rfc3339(newestBackupMs)}, and the clock says ${rfc3339(now.wallMs)}: it was set back, or was ahead`;
  if (before === undefined) return undefined;
  const went = now.wallMs - before.wall_ms;
  const sameBoot =
    before.boot_id !== '' && before.boot_id === now.bootId && before.uptime_s !== null && now.uptimeS !== undefined;
  if (sameBoot) {
    const drift = went - ((now.uptimeS as number) - (before.uptime_s as number)) * 1000;
    if (Math.abs(drift) > maxDriftMs)
      return `the clock was set ${drift > 0 ? 'forward' : 'back'} by ${hours(Math.abs(drift))} since ${rfc3339(before.wall_ms)}`;
  }
  if (went < -maxDriftMs)
    return `the clock says ${rfc3339(now.wallMs)}, and said ${rfc3339(before.wall_ms)} before: it was set back`;
  if (!mayHaveBeenOff && !sameBoot && went > maxAbsenceMs)
    return `nothing was done here for ${hours(went)}, or the clock was set forward: it says ${rfc3339(now.wallMs)}`;
  return undefined;
}

function hours(ms: number): string {
  const count = ms / 3_600_000;
  return count < 48 ? `${count.toFixed(1)} hours` : `${(count / 24).toFixed(1)} days`;
}

/** What the clocks were, as far as it is written down. */
export function readClock(place: Pick<Place, 'state'>): ClockRecord | undefined {
  try {
    const record = JSON.parse(readFileSync(fileOf(place), 'utf8')) as ClockRecord;
    return typeof record.wall_ms === 'number' ? record : undefined;
  } catch {
    return undefined; // Never written, or damaged.
  }
}

/** Takes the clock as right from now on. The caller holds the lock. */
export function writeClock(place: Pick<Place, 'state'>, { wallMs, bootId, uptimeS }: ClockNow): void {
  makeFolder(place.state, 0o700);
  const record: ClockRecord = { wall_ms: wallMs, boot_id: bootId, uptime_s: uptimeS ?? null };
  writeWhole(fileOf(place), Buffer.from(`${JSON.stringify(record)}\n`));
}
