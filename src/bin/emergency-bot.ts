import { isAbsolute, join } from 'node:path';
import { Fault } from '../base/fault.ts';
import type { EmergencyBot } from '../channels/cli/init/step.ts';
import { botUser } from '../gaia/emergency/spool.ts';
import { botUnit, runnerUnit, unitPlace } from '../gaia/emergency/units.ts';
import { readConfig } from '../recovery/config/read-config.ts';
import { emergencyIn } from '../recovery/config/read-telegram.ts';

/**
 * The emergency bot of a home, as GAIA's configuration puts it, or as it would by default where there is none yet. `program`: the
 * words that start GAIA, absolute. Undefined where the configuration cannot be read.
 */
export function emergencyBot(
  home: string,
  program: readonly string[],
  named: string | undefined,
): EmergencyBot | undefined {
  const config = configOf(home, named);
  if (config === undefined) return undefined;
  const { tokenFile, usersFile, secretFile, spool } = config.emergency;
  const place = unitPlace(program, home, config);
  return {
    ...{ user: botUser, spool, tokenFile, usersFile, secretFile },
    texts: { runner: runnerUnit(place), bot: botUnit(place) },
  };
}

function configOf(home: string, named: string | undefined): Parameters<typeof unitPlace>[2] | undefined {
  try {
    return readConfig(named, home);
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    if (error.code !== 'not-found') return undefined;
    const configFile = named ?? join(home, 'gaia', 'config.yaml');
    const from = (path: string) => (isAbsolute(path) ? path : join(home, path));
    const place = { configFile, backups: from('shared/backups') };
    return { place, emergency: emergencyIn(undefined, { from, configFile }) };
  }
}
