import { createHash } from 'node:crypto';
import { dirname, join } from 'node:path';
import { Fault } from '../../base/fault.ts';
import { fileListParser } from '../archive/file-list.ts';
import type { Listed } from '../archive/listed.ts';
import type { Manifest, ManifestSnapshot } from '../archive/manifest.ts';
import type { Place } from '../place.ts';
import { damaged } from '../tar/damage.ts';
import { keptList } from './list-cache.ts';
import { ownSnapshots } from './maintain.ts';
import { type ResticRepository, shownRepository } from './repository.ts';
import { runRestic } from './run-restic.ts';

/** The list of files of a backup that lies in a repository: the one that is kept here, else fetched. @throws Fault `damaged`, `not-found`, those of restic */
export async function readSnapshotList(
  at: ResticRepository,
  { name, snapshot, list: promised }: Manifest,
  place?: Pick<Place, 'state'>,
  signal?: AbortSignal,
): Promise<Listed[]> {
  const kept = place === undefined ? undefined : keptList(place, promised.sha256);
  if (kept !== undefined) return parsed([kept], promised) ?? [];
  const file = join(dirname((snapshot as ManifestSnapshot).set), 'list', 'FILES.ndjson');
  // By restic's own search for the latest, one damaged snapshot of whatever backup would be in the way.
  const found = (await ownSnapshots(at, signal)).filter(({ isCatalogue, backup }) => isCatalogue && backup === name);
  if (found.length === 0)
    throw new Fault(
      'not-found',
      `${shownRepository(at)} does not have that backup any more, or not its list of files: ${name}.`,
      {
        hint: 'See what it has: gaia repository list',
        extra: { gone: true },
      },
    );
  // Without the place it is to be proven that the repository has it, whatever restic's cache has.
  const how = place === undefined ? ['--no-cache'] : [];
  for (const { id } of found.reverse()) {
    const pieces: Buffer[] = [];
    const out = (piece: Buffer) => void pieces.push(piece);
    try {
      await runRestic(at, [...how, 'dump', id, file], {
        out,
        reads: true,
        ...(signal === undefined ? {} : { signal }),
      });
    } catch (error) {
      // Another one that says the same of itself may be it.
      if (!(error instanceof Fault) || error.code !== 'damaged' || found.length === 1) throw error;
    }
    const list = parsed(pieces, promised);
    if (list !== undefined) return list;
  }
  throw damaged(`The list of files of ${name} is not the one that was written.`);
}

/** Undefined for another list than was promised. */
function parsed(pieces: readonly Buffer[], promised: Manifest['list']): Listed[] | undefined {
  const hash = createHash('sha256');
  for (const piece of pieces) hash.update(piece);
  if (hash.digest('hex') !== promised.sha256) return undefined;
  const list: Listed[] = [];
  const parser = fileListParser((listed) => list.push(listed));
  for (const piece of pieces) parser.push(piece);
  parser.end();
  return list.length === promised.entries ? list : undefined;
}
