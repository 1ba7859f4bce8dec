import { existsSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';

export type HomeClues = {
  /** `--home` */
  flag?: string | undefined;
  /** `LEVEREDGE_HOME` */
  env?: string | undefined;
  cwd: string;
  /** The folder of the program's own package.json. */
  program: string;
};

/** A home and how it was found, for a person to read. */
export type Home = { dir: string; because: string };

const systemHome = '/opt/leveredge';

/**
 * Finds the home: `--home`, `LEVEREDGE_HOME`, the nearest `.leveredge` folder upwards from the working directory, the
 * program's own installation (a checkout keeps it in `.leveredge`, an installed program lies inside its home), and last
 * `/opt/leveredge`. Creates nothing.
 */
export function findHome({ flag, env, cwd, program }: HomeClues): Home {
  if (flag) return { dir: resolve(cwd, flag), because: '--home' };
  if (env) return { dir: resolve(cwd, env), because: 'LEVEREDGE_HOME' };
  for (let dir = resolve(cwd); ; dir = dirname(dir)) {
    const candidate = join(dir, '.leveredge');
    if (isFolder(candidate)) return { dir: candidate, because: `found from the working directory` };
    if (dirname(dir) === dir) break;
  }
  if (existsSync(join(program, 'src', 'bin'))) return { dir: join(program, '.leveredge'), because: 'this checkout' };
  for (let dir = resolve(program); dirname(dir) !== dir; dir = dirname(dir))
    if (isFolder(join(dir, 'control-plane'))) return { dir, because: 'where the program is installed' };
  return { dir: systemHome, because: 'the default' };
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}
