import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeFolder } from '../../base/files.ts';
import { writeWhole } from '../archive/manifest-file.ts';
import type { Place } from '../place.ts';

/** What was found out about an archive after it was made. Lost with the catalog, and found out again. */
export type Verified = {
  /** Of the archive's file: another size or time of change voids the record. */
  bytes: number;
  mtimeMs: number;
  at: string;
  verdict: 'sound' | 'sealed' | 'damaged' | 'unverified-format';
  reason?: string;
  drilled_at?: string;
};

/** Catalog, by the archive's path below the folder of backups. */
export type Records = Record<string, Verified>;

const fileOf = (place: Pick<Place, 'state'>) => join(place.state, 'catalog.json');

/** What is recorded; nothing when the catalog is lost or damaged, since all of it can be found out again. */
export function readRecords(place: Pick<Place, 'state'>): Records {
  try {
    const value: unknown = JSON.parse(readFileSync(fileOf(place), 'utf8'));
    const { backups } = value as { backups?: unknown };
    return typeof backups === 'object' && backups !== null ? (backups as Records) : {};
  } catch {
    return {}; // Never written, or damaged.
  }
}

/** Records a verdict, whole or not at all. The caller holds the lock. @throws the system's error */
export function record(place: Pick<Place, 'state'>, path: string, verified: Verified): void {
  makeFolder(place.state, 0o700);
  writeWhole(
    fileOf(place),
    Buffer.from(`${JSON.stringify({ format: 1, backups: { ...readRecords(place), [path]: verified } })}\n`),
  );
}
