import { isOwnArchive } from '../archive/manifest-file.ts';
import { oldEnd } from '../archive/old-archive.ts';

/** What a file's name says. */
export type NamedBackup = {
  format: 'own' | 'old';
  /** When it was made, as far as the name says. */
  atMs: number | undefined;
};

/** `20260116`, `2026-01-16`, and behind it perhaps `103000`, `10-30-00`, `10:30`, with any of `_-T` between. */
const anyTime = /(?<!\d)(\d{4})-?(\d{2})-?(\d{2})(?:[-_T. ]?(\d{2})[-:_]?(\d{2})(?:[-:_]?(\d{2}))?)?(?!\d)/;

/** Whether a file is an archive, by its name; undefined when it is none. */
export function parseBackupName(name: string): NamedBackup | undefined {
  if (name.startsWith('.')) return undefined;
  if (isOwnArchive(name)) return { format: 'own', atMs: timeIn(name) };
  if (name.endsWith(oldEnd) || name.endsWith('.tgz')) return { format: 'old', atMs: timeIn(name) };
  return undefined;
}

function timeIn(name: string): number | undefined {
  const match = anyTime.exec(name);
  if (!match) return undefined;
  const [, year, month, day, hour = '00', minute = '00', second = '00'] = match;
  const ms = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
  return Number.isNaN(ms) ? undefined : ms;
}
