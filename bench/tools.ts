import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** A sentence when a program is not on the PATH, else undefined. */
export function missingTool(name: string): string | undefined {
  const found = (process.env.PATH ?? '').split(delimiter).some((folder) => existsSync(join(folder, name)));
  return found ? undefined : `no ${name} on the PATH (apt-get install ${name})`;
}
