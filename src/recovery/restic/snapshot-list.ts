import { createHash } from 'node:crypto';
import { dirname, join } from 'node:path';
import { fileListParser } from '../archive/file-list.ts';
import type { Listed } from '../archive/listed.ts';
import type { Manifest, ManifestSnapshot } from '../archive/manifest.ts';
import type { Place } from '../place.ts';
import { damaged } from '../tar/damage.ts';
import { keptList } from './list-cache.ts';
import type { ResticRepository } from './repository.ts';
import { runRestic } from './run-restic.ts';
import { catalogueTag } from './take-snapshot.ts';

/** The list of files of a backup that lies in a repository: the one that is kept here, else fetched. @throws Fault `damaged`, `not-found`, those of restic */
export async function readSnapshotList(
  at: ResticRepository,
  { name, snapshot, list: promised }: Manifest,
  place?: Pick<Place, 'state'>,
): Promise<Listed[]> {
  const { set } = snapshot as ManifestSnapshot;
  const list: Listed[] = [];
  const parser = fileListParser((listed) => list.push(listed));
  const hash = createHash('sha256');
  const out = (piece: Buffer) => {
    hash.update(piece);
    parser.push(piece);
  };
  const kept = place === undefined ? undefined : keptList(place, promised.sha256);
  const file = join(dirname(set), 'list', 'FILES.ndjson');
  // Without the place it is to be proven that the repository has it, whatever restic's cache has.
  const how = place === undefined ? ['--no-cache'] : [];
  const words = ['dump', '--tag', `${catalogueTag},backup=${name}`, 'latest', file];
  if (kept !== undefined) out(kept);
  else await runRestic(at, [...how, ...words], { out, reads: true });
  parser.end();
  if (hash.digest('hex') !== promised.sha256 || list.length !== promised.entries)
    throw damaged(`The list of files of ${name} is not the one that was written.`);
  return list;
}
