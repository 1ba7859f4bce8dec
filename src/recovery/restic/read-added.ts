import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Fault } from '../../base/fault.ts';
import { damaged } from '../tar/damage.ts';
import { localFolder, type ResticRepository } from './repository.ts';
import { runRestic } from './run-restic.ts';
import { digestOfFile } from './set-folder.ts';

/** Clocks of a file system may be a little behind. */
const slackMs = 5_000;

/**
 * Reads back what a snapshot has brought. In a repository on this machine those are the files that are new in it, each of which
 * is called by its digest; from one elsewhere the whole snapshot is fetched, and restic compares it.
 * @throws Fault `damaged`
 */
export async function readAdded(at: ResticRepository, id: string, sinceMs: number): Promise<void> {
  const folder = localFolder(at);
  if (folder === undefined) return readSnapshot(at, id);
  for (const part of ['data', 'index', 'snapshots'])
    for (const file of newFiles(join(folder, part), sinceMs - slackMs))
      if ((await digestOfFile(file)) !== file.slice(file.lastIndexOf('/') + 1))
        throw damaged(`What was written to the repository reads back as something else: ${file}.`);
}

function newFiles(folder: string, sinceMs: number): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const file = join(folder, entry.name);
    if (entry.isDirectory()) return newFiles(file, sinceMs);
    return /^[0-9a-f]{64}$/.test(entry.name) && statSync(file).mtimeMs >= sinceMs ? [file] : [];
  });
}

/**
 * Fetches all contents of a snapshot, which restic compares with their digests. Its cache is a new one: what it keeps of earlier
 * runs proves nothing of what the repository has.
 * @throws Fault
 */
export async function readSnapshot(
  at: ResticRepository,
  id: string,
  progress?: (bytes: number) => void,
): Promise<void> {
  const cache = mkdtempSync(join(tmpdir(), 'gaia-restic-cache-'));
  let bytes = 0;
  const read = (format: 'tar' | 'zip') => {
    bytes = 0;
    return runRestic(at, ['--cache-dir', cache, 'dump', '--archive', format, id, '/'], {
      out(piece) {
        bytes += piece.length;
        progress?.(bytes);
      },
      reads: true,
    });
  };
  try {
    await read('tar').catch((error: unknown) => {
      // An attribute whose name tar cannot hold, as one with a `=`; zip holds none, and the contents are the same.
      if (!(error instanceof Fault) || !error.message.includes('cannot encode header')) throw error;
      return read('zip');
    });
  } finally {
    rmSync(cache, { recursive: true, force: true });
  }
}
