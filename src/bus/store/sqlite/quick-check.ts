import type { DatabaseSync } from 'node:sqlite';

/** SQLite's own check up to the first thing it finds: that on one line, or undefined when all is well. */
export function quickCheck(db: DatabaseSync): string | undefined {
  const found = String(db.prepare('PRAGMA quick_check(1)').get()?.quick_check);
  // SQLite begins with a headline: "*** in database main ***", and what it found stands below.
  return found === 'ok'
    ? undefined
    : found
        .replace(/^\*\*\*.*\*\*\*\n/, '')
        .trim()
        .replaceAll(/\s*\n\s*/g, '; ');
}
