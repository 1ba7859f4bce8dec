import { hash } from 'node:crypto';
import { readFileSync, renameSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { reasonOf } from '../base/fault.ts';
import type { Restored } from './store/store.ts';

/** What a restore left beside the database, read. */
export type RestoredNote = {
  restored: Restored;
  /** What the owner should know. */
  notice: string;
  /** Moves the note away, once the new life has begun. Returns what went wrong, if anything did. */
  settle(): string | undefined;
};

const maxNoteBytes = 64 * 1024;
const maxText = 1000;

const text = z.string().max(maxText).nullish().catch(null);
const noteSchema = z.object({ backup: text, backup_taken_at: text, restored_at: text });

/**
 * Reads `RESTORED.json` beside a database; undefined when there is none. One that cannot be read still says that the
 * database was put back, which is what counts.
 */
export function readRestored(databaseFile: string): RestoredNote | undefined {
  const file = join(dirname(databaseFile), 'RESTORED.json');
  const found = statSync(file, { throwIfNoEntry: false });
  if (!found) return undefined;
  const { note, content, mistake } = read(file, found.size);
  // The same text once more is another restore, and has another time.
  const noteId = hash('sha256', `${found.mtimeMs}\n${content}`).slice(0, 32);
  const { backup = null, backup_taken_at = null, restored_at = null } = note;
  const from = backup === null ? 'a backup' : `the backup ${backup}`;
  const seen = mistake === undefined ? '' : ` (${file} cannot be read: ${mistake})`;
  return {
    restored: { noteId, backup, backup_taken_at, restored_at },
    notice: `The database was put back from ${from}${seen}. Bookmarks of before are refused, and the event bus_restored says what is lost.`,
    settle() {
      try {
        renameSync(file, `${file}.done`);
        return undefined;
      } catch (error) {
        return `${file} cannot be renamed: ${reasonOf(error)}. It was taken into account and is so only once; remove it.`;
      }
    },
  };
}

type Read = { note: Partial<z.infer<typeof noteSchema>>; content: string; mistake?: string };

function read(file: string, size: number): Read {
  if (size > maxNoteBytes) return { note: {}, content: '', mistake: `it is larger than ${maxNoteBytes / 1024} KiB` };
  let content = '';
  try {
    content = readFileSync(file, 'utf8');
    return { note: noteSchema.parse(JSON.parse(content)), content };
  } catch (error) {
    const mistake = error instanceof z.ZodError ? 'it is no JSON object' : reasonOf(error);
    return { note: {}, content, mistake };
  }
}
