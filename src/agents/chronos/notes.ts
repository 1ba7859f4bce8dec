import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { isThere } from '../../base/files.ts';
import { writeWhole } from '../../recovery/archive/manifest-file.ts';
import type { Place } from '../../recovery/place.ts';
import type { Job } from '../../recovery/schedule.ts';

/** What is done by itself: jobs of a target, and a copy of the bus' own database. */
export type What = Job | 'copy';

const failing = z.object({
  count: z.number(),
  /** When it was tried last. */
  atMs: z.number(),
  /** What the first of these failures was of: they are told once. */
  of: z.string(),
  code: z.string(),
  says: z.string(),
  isTold: z.boolean(),
});
export type Failing = z.infer<typeof failing>;

const note = z.object({
  /** Of what leaves no trace in the catalog: when it was done. */
  doneMs: z.number().optional(),
  /** The name of the newest one that the bus has heard of. */
  told: z.string().optional(),
  /** Which missing one it has heard of. */
  missing: z.string().optional(),
  /** Since when there is none at all. */
  firstSeenMs: z.number().optional(),
  failing: failing.optional(),
});

/**
 * What cannot be seen in the backups. When it is lost, things are tried again at once and told again under the ids that they
 * had, and nothing is made twice.
 */
export type Note = z.infer<typeof note>;
export type Notes = Readonly<Record<string, Note>>;
const file = z.object({ format: z.literal(1), notes: z.record(z.string(), note) });

export const noteKey = (target: string, what: What) => `${target} ${what}`;

export type NoteBook = {
  read(place: Pick<Place, 'state'>): Notes;
  /** Changes one; members that become undefined go. Answers all of them. */
  write(
    place: Pick<Place, 'state'>,
    target: string,
    what: What,
    change: { [K in keyof Note]?: Note[K] | undefined },
  ): Notes;
};

/**
 * Notes on disk, in this folder or beside the journal of GAIA. Where they cannot be written, as on a full disk, they are kept in
 * memory.
 */
export function makeNoteBook(folder?: string): NoteBook {
  /** What the disk does not have. */
  let kept: Notes | undefined;
  const read: NoteBook['read'] = ({ state }) => kept ?? onDisk(folder ?? state);
  return {
    read,
    write(place, target, what, change) {
      const before = read(place);
      const key = noteKey(target, what);
      const changed = Object.entries({ ...before[key], ...change }).filter(([, value]) => value !== undefined);
      const notes = { ...before, [key]: Object.fromEntries(changed) as Note };
      kept = save(folder ?? place.state, notes) ? undefined : notes;
      return notes;
    },
  };
}

const fileIn = (state: string) => join(state, 'schedule.json');

function onDisk(state: string): Notes {
  try {
    return file.parse(JSON.parse(readFileSync(fileIn(state), 'utf8'))).notes;
  } catch {
    return {}; // Never written, or damaged.
  }
}

/** Where the disk for backups is not mounted, nothing is made in its place. */
function save(state: string, notes: Notes): boolean {
  if (!isThere(state)) return false;
  try {
    writeWhole(fileIn(state), Buffer.from(`${JSON.stringify({ format: 1, notes })}\n`));
    return true;
  } catch {
    return false; // A full or read-only disk: memory has to do.
  }
}
