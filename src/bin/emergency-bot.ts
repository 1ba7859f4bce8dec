import { isAbsolute, join } from 'node:path';
import { Fault } from '../base/fault.ts';
import type { EmergencyBot } from '../channels/cli/init/step.ts';
import { botUser } from '../gaia/emergency/spool.ts';
import { botUnit, runnerUnit } from '../gaia/emergency/units.ts';
import { readConfig } from '../recovery/config/read-config.ts';
import { type EmergencyFiles, emergencyIn } from '../recovery/config/read-telegram.ts';

/**
 * The emergency bot of a home, as GAIA's configuration puts it, or as it would by default where there is none yet. `program`: the
 * words that start GAIA, absolute. Undefined where the configuration cannot be read.
 */
export function emergencyBot(
  home: string,
  program: readonly string[],
  named: string | undefined,
): EmergencyBot | undefined {
  const found = filesOf(home, named);
  if (found === undefined) return undefined;
  const { configFile, files } = found;
  const { tokenFile, usersFile, secretFile, spool } = files;
  const place = { program, home, configFile, tokenFile, usersFile, secretFile, spool };
  return {
    ...{ user: botUser, spool, tokenFile, usersFile, secretFile },
    texts: { runner: runnerUnit(place), bot: botUnit(place) },
  };
}

function filesOf(home: string, named: string | undefined): { configFile: string; files: EmergencyFiles } | undefined {
  try {
    const { place, emergency } = readConfig(named, home);
    return { configFile: place.configFile, files: emergency };
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    if (error.code !== 'not-found') return undefined;
    const configFile = named ?? join(home, 'gaia', 'config.yaml');
    const from = (path: string) => (isAbsolute(path) ? path : join(home, path));
    return { configFile, files: emergencyIn(undefined, { from, configFile }) };
  }
}
