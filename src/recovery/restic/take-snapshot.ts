import { rmSync, writeFileSync } from 'node:fs';
import type { Progress } from '../progress.ts';
import { lineSplitter } from './lines.ts';
import type { ResticRepository } from './repository.ts';
import { resticJson, runRestic } from './run-restic.ts';

/** Every snapshot of ours has it. */
export const ownTag = 'leveredge';
/** Those that hold all of a target, those that hold its databases alone, and those that hold lists and manifests. */
export const wholeTag = 'leveredge-whole';
export const databasesTag = 'leveredge-databases';
export const catalogueTag = 'leveredge-catalogue';

/** A snapshot that was made. `id` is as short as restic says it. */
export type Taken = { id: string; files: number; addedBytes: number; unreadable: string[] };

export type Take = {
  paths: readonly string[];
  /** Patterns of restic's. */
  exclude?: readonly string[];
  /** Where the patterns lie while it runs. */
  excludeFile?: string;
  tags: readonly string[];
  host: string;
  progress?: Progress | undefined;
  /** `excludeFile` holds restic until then; see hold-snapshot.ts. */
  heldUntil?: Promise<void>;
  /** Has it end, so that it takes none. */
  signal?: AbortSignal;
};

/** What was not all readable, and a snapshot was made all the same. */
const incomplete = 3;

/** Has restic back some folders up. @throws Fault */
export async function takeSnapshot(at: ResticRepository, take: Take): Promise<Taken> {
  const { paths, exclude = [], excludeFile, tags, host, progress, heldUntil, signal } = take;
  const excludes: string[] = [];
  if (excludeFile !== undefined && exclude.length > 0)
    writeFileSync(excludeFile, `${exclude.join('\n')}\n`, { mode: 0o600 });
  if (excludeFile !== undefined && (exclude.length > 0 || heldUntil !== undefined))
    excludes.push('--exclude-file', excludeFile);
  let taken: Taken | undefined;
  const lines = lineSplitter((line) => {
    const said = resticJson(at, line) as Record<string, unknown>;
    if (said.message_type === 'summary')
      taken = {
        id: String(said.snapshot_id),
        files: Number(said.total_files_processed),
        addedBytes: Number(said.data_added),
        unreadable: [],
      };
    if (said.message_type === 'status')
      progress?.({
        phase: 'write',
        doneBytes: Number(said.bytes_done ?? 0),
        totalBytes: said.total_bytes === undefined ? undefined : Number(said.total_bytes),
        doneFiles: Number(said.files_done ?? 0),
      });
  });
  try {
    const flags = ['--json', '--host', host, '--tag', tags.join(','), ...excludes];
    const { stderr } = await runRestic(at, ['backup', ...flags, '--', ...paths], {
      out: (piece) => lines.push(piece),
      fine: [incomplete],
      ...(heldUntil && { heldUntil }),
      ...(signal && { signal }),
    });
    lines.end();
    if (taken === undefined) resticJson(at, '');
    return { ...(taken as unknown as Taken), unreadable: unreadableIn(stderr) };
  } finally {
    if (excludeFile !== undefined) rmSync(excludeFile, { force: true });
  }
}

/** Paths that restic complains of. */
function unreadableIn(stderr: string): string[] {
  return stderr.split('\n').flatMap((line) => {
    if (!line.startsWith('{')) return [];
    try {
      const { message_type, item } = JSON.parse(line) as { message_type?: string; item?: string };
      return message_type === 'error' ? [item ?? 'something that restic does not name'] : [];
    } catch {
      return []; // A line that was cut off.
    }
  });
}

/** Removes snapshots; what was only in them goes with the next prune of the repository. @throws Fault */
export async function forgetSnapshots(at: ResticRepository, ids: readonly string[]): Promise<void> {
  if (ids.length > 0) await runRestic(at, ['forget', '--quiet', ...ids]);
}
