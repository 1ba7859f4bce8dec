import { realpathSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/**
 * The name alone (`leveredge`) when the PATH leads from that name to one of these files, else `npx leveredge`, which runs it in a checkout
 * and, with npm, an installed one too.
 *
 * What counts is the PATH and not how this process was started: a hint is pasted into a shell of its own. npm and npx put
 * folders called `node_modules/.bin` in front of the PATH for what they start, and no other shell has them, so those do
 * not count. Another program that goes by our name does not count either.
 */
export function programName<Name extends string = 'leveredge'>(
  path: string | undefined,
  files: readonly (string | undefined)[],
  name = 'leveredge' as Name,
): Name | `npx ${Name}` {
  const own = files.map(realPath).filter((file) => file !== undefined);
  const folders = (path ?? '').split(delimiter).filter((folder) => folder && !/[\\/]\.bin[\\/]?$/.test(folder));
  const found = folders.map((folder) => realPath(join(folder, name))).find((file) => file !== undefined);
  return found !== undefined && own.includes(found) ? name : `npx ${name}`;
}

function realPath(path: string | undefined): string | undefined {
  try {
    return path === undefined ? undefined : realpathSync(path);
  } catch {
    return undefined; // Nothing there, or a link to nothing.
  }
}
