import { realpathSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import type { ProgramName } from '../channels/cli/as-typed.ts';

/**
 * `leveredge` when the PATH leads from that name to one of these files, else `npx leveredge`, which runs it in a checkout
 * and, with npm, an installed one too.
 *
 * What counts is the PATH and not how this process was started: a hint is pasted into a shell of its own. npm and npx put
 * folders called `node_modules/.bin` in front of the PATH for what they start, and no other shell has them, so those do
 * not count. Another program that goes by our name does not count either.
 */
export function programName(path: string | undefined, files: readonly (string | undefined)[]): ProgramName {
  const own = files.map(realPath).filter((file) => file !== undefined);
  const folders = (path ?? '').split(delimiter).filter((folder) => folder && !/[\\/]\.bin[\\/]?$/.test(folder));
  const found = folders.map((folder) => realPath(join(folder, 'leveredge'))).find((file) => file !== undefined);
  return found !== undefined && own.includes(found) ? 'leveredge' : 'npx leveredge';
}

function realPath(path: string | undefined): string | undefined {
  try {
    return path === undefined ? undefined : realpathSync(path);
  } catch {
    return undefined; // Nothing there, or a link to nothing.
  }
}
