import { mkdirSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';

/**
 * Makes a folder and those above it that are missing, step by step: Node's own `recursive` never returns where a file
 * system pretends that a folder could be made and then has none (`/proc`). Safe to repeat.
 * @throws the system's error (EACCES, EROFS, ENOTDIR, ENOENT …) naming the folder that could not be made.
 */
export function makeFolder(path: string, mode: number): void {
  const folder = resolve(path);
  if (statSync(folder, { throwIfNoEntry: false })?.isDirectory()) return;
  if (dirname(folder) !== folder) makeFolder(dirname(folder), mode);
  try {
    mkdirSync(folder, { mode });
  } catch (error) {
    // Somebody else may have made it just now.
    if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory()) throw error;
  }
}

/**
 * Whether something lies there that this process can see. Unlike `existsSync`, which asks for the user alone (access(2)), it
 * counts what the process may beyond that, as an agent that is let read what is root's.
 */
export function isThere(path: string): boolean {
  try {
    return statSync(path, { throwIfNoEntry: false }) !== undefined;
  } catch {
    return false; // It cannot be looked at.
  }
}
