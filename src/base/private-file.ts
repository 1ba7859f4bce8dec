import { closeSync, fstatSync, fsyncSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { Fault } from './fault.ts';
import { makeFolder } from './files.ts';
import { shellWord } from './shell-word.ts';

/** Characters of a file that holds one secret; a larger one is something else. */
const maxBytes = 64 * 1024;
/** A recovery kit, with all else that is in it. */
const maxBroughtBytes = 8 * 1024 * 1024;

/**
 * Writes a file that its owner alone may read (0600), on disk when this returns, and overwrites nothing. Missing folders
 * are made for the owner alone (0700).
 * @throws Fault `conflict` when the file exists, else the system's error
 */
export function writePrivately(path: string, text: string): void {
  makeFolder(dirname(path), 0o700);
  let fd: number;
  try {
    fd = openSync(path, 'wx', 0o600);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    throw new Fault('conflict', `${path} exists already, and nothing is overwritten.`, {
      hint: 'Choose another name, or move it away.',
    });
  }
  try {
    writeFileSync(fd, text);
    fsyncSync(fd);
  } catch (error) {
    rmSync(path, { force: true });
    throw error;
  } finally {
    closeSync(fd);
  }
}

/**
 * The text of a file that its owner alone may read; undefined when there is none. One that somebody has brought, on a stick
 * that knows no modes, may be readable by others.
 * @throws Fault `forbidden` when others may read or write it, `usage` when it is no file of a secret or cannot be read
 */
export function readPrivately(path: string, { isBrought = false } = {}): string | undefined {
  let fd: number;
  try {
    fd = openSync(path, 'r');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw new Fault('usage', `${path} cannot be read (${code}).`, {
      hint: `Look at owner and mode: ls -l ${shellWord(path)}`,
      cause: error,
    });
  }
  try {
    const { mode, size } = fstatSync(fd);
    if (size > (isBrought ? maxBroughtBytes : maxBytes))
      throw new Fault('usage', `${path} is too large to be the file of a secret.`);
    // Windows has no such modes, and reports all for everybody.
    if (process.platform !== 'win32' && !isBrought && (mode & 0o077) !== 0)
      throw new Fault('forbidden', `${path} can be read by other users, so what it holds is no secret.`, {
        hint: `Make it yours alone: chmod 600 ${shellWord(path)}. If others may have read it, revoke what it holds and make a new one.`,
      });
    return readFileSync(fd, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EISDIR')
      throw new Fault('usage', `${path} is a folder, and no file of a secret.`, { cause: error });
    throw error;
  } finally {
    closeSync(fd);
  }
}
