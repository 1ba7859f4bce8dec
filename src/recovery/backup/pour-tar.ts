import type { Readable } from 'node:stream';
import type { ArchiveBuilder } from '../archive/archive-builder.ts';
import type { BytePath } from '../byte-path.ts';
import type { TarReport } from '../source/gnu-tar.ts';
import type { TarEntry } from '../tar/entry.ts';
import { TarReader } from '../tar/reader.ts';
import { eachPiece } from './each-piece.ts';

type Run = { output: Readable; report: Promise<TarReport>; stop(): void };

type Into = {
  builder: ArchiveBuilder;
  /** Undefined when more may come at once. */
  ready(): Promise<void> | undefined;
  /** The name in the archive. */
  rename(path: BytePath): BytePath;
  isLeftOut(path: BytePath): boolean;
  progress(): void;
};

/**
 * Pours what GNU tar reads from a disk into an archive: parsed, judged, renamed and written anew. Devices and the like are
 * passed over; whoever looked before has noted them.
 */
export async function pourTar(run: Run, into: Into): Promise<TarReport> {
  const { builder } = into;
  const seen = new Set<BytePath>();
  let isTaken = false;
  const reader = new TarReader(
    {
      entry(entry) {
        // A mounted folder is met twice: from above, and as itself.
        const again = entry.kind === 'directory' && seen.has(entry.path);
        isTaken = !again && !into.isLeftOut(entry.path);
        if (entry.kind === 'directory') seen.add(entry.path);
        if (isTaken) builder.begin(renamed(entry, into.rename));
      },
      data(chunk) {
        if (isTaken) builder.data(chunk);
      },
      end() {
        if (isTaken) builder.end();
      },
    },
    { dialect: 'gnu', onForbidden: () => undefined },
  );
  try {
    await eachPiece(run.output, (piece) => {
      reader.push(piece);
      into.progress();
      return into.ready();
    });
    const report = await run.report;
    reader.end();
    return report;
  } catch (error) {
    run.stop();
    await run.report.catch(() => undefined /* what stopped it is told */);
    throw error;
  }
}

function renamed(entry: TarEntry, rename: (path: BytePath) => BytePath): TarEntry {
  const link = entry.kind === 'hardlink' ? rename(entry.link) : entry.link;
  return { ...entry, path: rename(entry.path), link };
}
