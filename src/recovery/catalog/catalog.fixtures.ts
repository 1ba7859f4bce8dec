import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { rfc3339 } from '../../base/clock.ts';
import type { Manifest } from '../archive/manifest.ts';
import { filesBeside } from '../archive/manifest-file.ts';
import { stemOf } from '../backup/backup-name.ts';
import type { Place } from '../place.ts';

export type Laid = {
  atMs: number;
  bucket?: string;
  degraded?: string[];
  name?: string;
  bytes?: number;
  more?: Partial<Manifest>;
};

/** Lays three files where a backup of this time would lie: the archive has three bytes, and nobody has signed anything. */
export function layBackup(
  place: Place,
  target: string,
  { atMs, bucket = '', degraded = [], name, bytes = 3, more = {} }: Laid,
): string {
  const file = join(place.backups, target, bucket, name ?? `${stemOf(target, atMs)}.tar.zst`);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, 'abc');
  const none = '0'.repeat(64);
  const zero = { files: 0, directories: 0, symlinks: 0, hardlinks: 0, bytes: 0, stored_bytes: 0 };
  const manifest: Manifest = {
    format: 'leveredge-archive/1',
    name: name ?? `${stemOf(target, atMs)}.tar.zst`,
    target,
    created_at: rfc3339(atMs),
    tool: 'test',
    reason: 'manual',
    set: null,
    degraded,
    notes: [],
    archive: { bytes, sha256: none, frames: 1 },
    list: { offset: 0, bytes: 0, sha256: none, entries: 0 },
    totals: zero,
    trees: [],
    databases: [],
    host: { name: '', kernel: '', os: '' },
    previous_manifest_sha256: null,
    public_key: '',
    ...more,
  };
  writeFileSync(filesBeside(file).manifest, JSON.stringify(manifest));
  writeFileSync(filesBeside(file).signature, Buffer.alloc(64));
  return file;
}
