import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { makeFolder } from '../../base/files.ts';
import { writeWhole } from '../archive/manifest-file.ts';
import type { Place } from '../place.ts';

/** As many as a restore on a bad day may want; any other is fetched. */
const kept = 12;
const maxListBytes = 1024 * 1024 * 1024;
const folderOf = ({ state }: Pick<Place, 'state'>) => join(state, 'lists');
const fileOf = (place: Pick<Place, 'state'>, sha256: string) => join(folderOf(place), `${sha256}.ndjson.zst`);

/** Keeps the list of files of a backup in a repository here as well, so that it need not be fetched. @throws the system's error */
export function keepList(place: Pick<Place, 'state'>, sha256: string, list: Buffer): void {
  makeFolder(folderOf(place), 0o700);
  writeWhole(fileOf(place, sha256), zstdCompressSync(list));
  const newestFirst = readdirSync(folderOf(place))
    .filter((name) => name.endsWith('.ndjson.zst'))
    .map((name) => ({ file: join(folderOf(place), name), at: statSync(join(folderOf(place), name)).mtimeMs }))
    .sort((a, b) => b.at - a.at);
  for (const { file } of newestFirst.slice(kept)) rmSync(file, { force: true });
}

/** A list that is kept here and is the one of this digest; undefined where it must be fetched. */
export function keptList(place: Pick<Place, 'state'>, sha256: string): Buffer | undefined {
  try {
    const list = zstdDecompressSync(readFileSync(fileOf(place, sha256)), { maxOutputLength: maxListBytes });
    return createHash('sha256').update(list).digest('hex') === sha256 ? list : undefined;
  } catch {
    return undefined; // Not kept, or damaged: it is fetched.
  }
}
