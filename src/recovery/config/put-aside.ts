import { readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { Place } from '../place.ts';
import { ownStamp } from '../run/run-folder.ts';
import { statusOf } from '../run/status.ts';

const asideForm = /^\.pre-restore\.(\d{8}T\d{6}Z(?:-\d+)?)$/;

/** The text of a configuration that is not in its place, and the restore that has put it aside. */
export type PutAside = { text: string; stamp: string };

/** A configuration that lies beside its folder, of the newest restore that has put one there; undefined when there is none. */
export function putAside(file: string): PutAside | undefined {
  const folder = dirname(file);
  try {
    const stamps = readdirSync(dirname(folder))
      .filter((name) => name.startsWith(basename(folder)))
      .flatMap((name) => asideForm.exec(name.slice(basename(folder).length))?.[1] ?? []);
    const stamp = stamps.sort().at(-1);
    if (stamp === undefined) return undefined;
    return { text: readFileSync(join(`${folder}.pre-restore.${stamp}`, basename(file)), 'utf8'), stamp };
  } catch {
    return undefined; // Nothing there, or not to be read: it is missing, as was said already.
  }
}

/** Whether the restore that put it aside is in the middle of its swap, as one that was killed there: else it was taken away on purpose. */
export function isMidSwap({ stamp }: PutAside, place: Pick<Place, 'state'>): boolean {
  return statusOf(place).runs.some(({ inSwap, request }) => inSwap && ownStamp(place, request) === stamp);
}
