import { closeSync, constants, openSync, renameSync, writeSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

const { O_WRONLY, O_CREAT, O_TRUNC, O_SYNC } = constants;

/**
 * A file that is there whole or not at all, mode 0600. Its contents are on disk when this returns; its name may go with a loss of
 * power in the next seconds, since a process under Node's permission model may not call fsync.
 */
export function writeSynced(file: string, text: string): void {
  const partial = join(dirname(file), `.${basename(file)}.partial`);
  const fd = openSync(partial, O_WRONLY | O_CREAT | O_TRUNC | O_SYNC, 0o600);
  try {
    const bytes = Buffer.from(text);
    for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at);
  } finally {
    closeSync(fd);
  }
  renameSync(partial, file);
}
