import { lstatSync } from 'node:fs';
import { type BytePath, bytesOf } from '../byte-path.ts';

/** What tells one folder or file from another whatever it is called: `device:inode`. */
export type Identity = string;

/** What lies at an absolute path, symlinks not followed; null when nothing does. */
export function identityAt(path: BytePath): Identity | null {
  const found = lstatSync(bytesOf(path), { bigint: true, throwIfNoEntry: false });
  return found === undefined ? null : `${found.dev}:${found.ino}`;
}

/**
 * Whether two identities are one. Numbers of devices may change with a reboot, those of inodes do not, so across boots the
 * inode alone counts; what is compared are only ever the few things that a run itself put there.
 */
export function isSame(a: Identity | null, b: Identity | null, sameBoot: boolean): boolean {
  if (a === null || b === null) return false;
  return sameBoot ? a === b : a.slice(a.indexOf(':')) === b.slice(b.indexOf(':'));
}
