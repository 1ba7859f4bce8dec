import { existsSync, statfsSync } from 'node:fs';
import { dirname } from 'node:path';

/** What a folder's file system has left, and what a restore needs there. */
export type Space = {
  folder: string;
  neededBytes: number;
  freeBytes: number;
  neededInodes: number;
  freeInodes: number | null;
};

/** Kept free beside what is staged: a disk filled to the last byte stops everything else on the machine. */
const reserveBytes = 1024 * 1024;
const blockBytes = 4096;

/** Of the nearest folder that exists. Some file systems (btrfs, xfs on demand) have no number of inodes: null. */
export function spaceAt(folder: string, bytes: number, entries: number): Space {
  const at = nearest(folder);
  const { bavail, bsize, files, ffree } = statfsSync(at);
  return {
    folder: at,
    // Each file fills its last block on average by half, and folders take one.
    neededBytes: bytes + Math.ceil((entries * blockBytes) / 2) + reserveBytes,
    freeBytes: bavail * bsize,
    neededInodes: entries + 16,
    freeInodes: files === 0 ? null : ffree,
  };
}

/** The path, or the nearest folder above it that exists. */
export function nearest(path: string): string {
  let at = path;
  while (!existsSync(at) && dirname(at) !== at) at = dirname(at);
  return at;
}
