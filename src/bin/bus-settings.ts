import { existsSync, readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Fault } from '../base/fault.ts';
import { type BusConfig, parseBusConfig } from '../bus/config.ts';
import type { BusFlags, BusPlace } from '../channels/cli/door.ts';

export type Env = Readonly<Record<string, string | undefined>>;

/**
 * The settings of the bus on this home.
 * @throws Fault `usage` with every mistake
 */
export function busConfig(flags: BusFlags, home: string, env: Env): BusConfig {
  return configOf(flags, home, env, readSettings(home));
}

/**
 * The settings as far as the command line speaks of them.
 * @throws Fault `usage` with every mistake
 */
export function busPlace(flags: BusFlags, home: string, env: Env): BusPlace {
  const yaml = readSettings(home);
  return { ...configOf(flags, home, env, yaml), configFile: yaml?.path };
}

/**
 * Where flags, environment and settings put the bus. Settings with a mistake count for nothing here: a typo in them is no
 * reason not to read what happened.
 * @throws Fault `usage` with every mistake in flags and environment
 */
export function busAddress(flags: BusFlags, home: string, env: Env): Pick<BusConfig, 'host' | 'port'> {
  const withoutSettings = configOf(flags, home, env, undefined);
  try {
    return busConfig(flags, home, env);
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    return withoutSettings;
  }
}

type Settings = { path: string; text: string } | undefined;

function configOf({ port, host, auth }: BusFlags, home: string, env: Env, yaml: Settings): BusConfig {
  return parseBusConfig({
    flags: { port, host, auth },
    env: { port: env.LEVEREDGE_PORT, host: env.LEVEREDGE_HOST, auth: env.LEVEREDGE_AUTH },
    yaml,
    home,
  });
}

function readSettings(home: string): Settings {
  const path = settingsFile(home);
  try {
    return { path, text: readFileSync(path, 'utf8') };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return undefined;
    if (code === 'ENOTDIR') throw noFolder(path, home, error);
    throw new Fault('usage', `The settings in ${path} cannot be read: ${unreadable[code ?? ''] ?? code}.`, {
      hint: code === 'EISDIR' ? 'Put a file in its place, or remove it.' : `Look at owner and mode: ls -ld ${path}`,
      cause: error,
    });
  }
}

function settingsFile(home: string): string {
  return join(home, 'config', 'leveredge.yaml');
}

function noFolder(path: string, home: string, cause: unknown): Fault {
  let file = dirname(path);
  while (!existsSync(file)) file = dirname(file);
  if (file !== home && statSync(home, { throwIfNoEntry: false })?.isDirectory())
    return new Fault('usage', `The settings in ${path} cannot be read: ${file} is a file.`, {
      hint: 'Put a folder in its place, or remove it.',
      cause,
    });
  return new Fault('usage', `${home} can be no home: ${file === home ? 'it' : file} is a file, and no folder.`, {
    hint: 'Choose another home with --home or LEVEREDGE_HOME.',
    cause,
  });
}

const unreadable: Readonly<Record<string, string>> = {
  EISDIR: 'it is a folder',
  EACCES: 'this user may not',
  EPERM: 'this user may not',
};
