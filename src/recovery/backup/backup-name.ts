import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { rfc3339 } from '../../base/clock.ts';
import { Fault } from '../../base/fault.ts';
import { filesBeside } from '../archive/manifest-file.ts';

const maxInOneSecond = 1000;

/** `dev-2026-01-16-103000`: the target and the time in UTC. */
export function stemOf(target: string, atMs: number): string {
  const text = rfc3339(atMs);
  return `${target}-${text.slice(0, 10)}-${text.slice(11, 19).replaceAll(':', '')}`;
}

/** A name for a backup made now that nothing in these folders has; a second one in the same second gets `-2`. */
export function freeName(target: string, atMs: number, folders: readonly string[], end: string): string {
  const stem = stemOf(target, atMs);
  for (let n = 1; n <= maxInOneSecond; n++) {
    const name = `${n === 1 ? stem : `${stem}-${n}`}${end}`;
    const { manifest } = filesBeside(name);
    if (!folders.some((folder) => existsSync(join(folder, name)) || existsSync(join(folder, manifest)))) return name;
  }
  throw new Fault('conflict', `There are ${maxInOneSecond} backups of ${target} from this second.`);
}
