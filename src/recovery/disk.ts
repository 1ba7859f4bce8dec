import { closeSync, fsyncSync, openSync } from 'node:fs';
import { Fault, reasonOf } from '../base/fault.ts';

/** What was renamed in a folder is on disk when this returns. */
export function syncFolder(folder: string): void {
  const fd = openSync(folder, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** The system's errors about disks as sentences; anything else as it is. */
export function diskFault(error: unknown, where: string): unknown {
  if (error instanceof Fault) return error;
  const { code } = error as NodeJS.ErrnoException;
  if (code === 'ENOSPC' || code === 'EDQUOT')
    return new Fault('storage-full', `There is no room left at ${where}.`, {
      hint: 'Free some space, or see what may go: gaia prune --dry-run',
      cause: error,
    });
  if (code === 'EROFS')
    return new Fault('storage-full', `The file system of ${where} is read-only.`, {
      hint: 'If it became so by itself, the disk may be failing: see dmesg. Copy your backups elsewhere first.',
      cause: error,
    });
  if (code === 'EACCES' || code === 'EPERM')
    return new Fault('usage', `This user may not do that: ${reasonOf(error)}.`, {
      hint: 'Run it as root.',
      cause: error,
    });
  return error;
}
