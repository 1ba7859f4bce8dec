import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Fault } from '../../base/fault.ts';
import { damaged } from '../tar/damage.ts';
import { lineSplitter } from './lines.ts';
import { localFolder, type ResticRepository } from './repository.ts';
import { resticJson, runRestic } from './run-restic.ts';
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
 * @throws Fault `damaged`
 */
export async function readSnapshot(
  at: ResticRepository,
  id: string,
  progress?: (bytes: number) => void,
): Promise<void> {
  const cache = mkdtempSync(join(tmpdir(), 'gaia-restic-cache-'));
  try {
    // A folder that cannot be read is passed over by dump, in silence; by ls it is not.
    const promised = await bytesIn(at, id, cache);
    const bytes = await dump({ at, id, cache, format: 'tar', progress }).catch((error: unknown) => {
      // An attribute whose name tar cannot hold, as one with a `=`; zip holds none, and the contents are the same.
      if (!(error instanceof Fault) || !error.message.includes('cannot encode header')) throw error;
      return dump({ at, id, cache, format: 'zip', progress });
    });
    if (bytes < promised) throw damaged(`Only ${bytes} of ${promised} bytes of the backup came out of the repository.`);
  } finally {
    rmSync(cache, { recursive: true, force: true });
  }
}

/** Reads what files a snapshot has, and none of their contents. */
async function bytesIn(at: ResticRepository, id: string, cache: string): Promise<number> {
  let bytes = 0;
  const lines = lineSplitter((line) => {
    const { type, size } = resticJson(at, line) as { type?: string; size?: number };
    if (type === 'file') bytes += size ?? 0;
  });
  const out = (piece: Buffer) => lines.push(piece);
  await runRestic(at, ['--cache-dir', cache, 'ls', '--json', id], { out, reads: true });
  lines.end();
  return bytes;
}

type Dump = {
  at: ResticRepository;
  id: string;
  cache: string;
  format: 'tar' | 'zip';
  progress: ((bytes: number) => void) | undefined;
};

async function dump({ at, id, cache, format, progress }: Dump): Promise<number> {
  let bytes = 0;
  const out = (piece: Buffer) => {
    bytes += piece.length;
    progress?.(bytes);
  };
  await runRestic(at, ['--cache-dir', cache, 'dump', '--archive', format, id, '/'], { out, reads: true });
  return bytes;
}
