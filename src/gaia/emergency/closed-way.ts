import { statSync } from 'node:fs';
import { dirname, isAbsolute } from 'node:path';

const othersMayPass = 0o001;

/** The outermost folder on the way to one of these that closes others out, as the user of the bot is; undefined when none does. */
export function closedWay(paths: readonly string[]): string | undefined {
  return paths
    .filter((path) => isAbsolute(path))
    .flatMap(foldersTo)
    .find((folder) => ((statSync(folder, { throwIfNoEntry: false })?.mode ?? othersMayPass) & othersMayPass) === 0);
}

function foldersTo(path: string): string[] {
  const folder = dirname(path);
  return folder === path ? [] : [...foldersTo(folder), folder];
}
