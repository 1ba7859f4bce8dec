import { dirname, join } from 'node:path';
import { shellWord } from '../../../base/shell-word.ts';
import type { EmergencyBot, Needs, Server, Step } from './step.ts';

/** The names that existing installations have for them. */
export const emergencyUnits = { runner: 'gaia-runner.service', bot: 'gaia-emergency.service' } as const;

/** The files of both, as GAIA prints them. */
export function emergencyFiles({ texts }: EmergencyBot, { units }: Pick<Server, 'units'>): Step[] {
  return Object.entries(emergencyUnits).map(([name, unit]) => ({
    ...{ kind: 'file', path: join(units.system, unit), mode: 0o644, mustMatch: true },
    text: texts[name as keyof typeof emergencyUnits],
  }));
}

/** That the user of the bot comes to its program, and to the folders where it meets the runner. */
export function emergencyReach({ user, spool }: EmergencyBot, { node, programs }: Pick<Server, 'node' | 'programs'>) {
  return { kind: 'reach', user, paths: [node, programs.gaia, dirname(spool)] } as const;
}

/** Both run once there is a token, a list of people, and a second factor. */
export function emergencyServices(bot: EmergencyBot, url: string): Extract<Step, { kind: 'service' }>[] {
  const needs = whatItNeeds(bot);
  const service = { kind: 'service', manager: 'system', url, heard: 'process' } as const;
  return [
    { ...service, unit: emergencyUnits.runner, needs: needs.map(({ path }) => ({ path })) },
    { ...service, unit: emergencyUnits.bot, needs },
  ];
}

/** Enrolling says how both are started then. */
function whatItNeeds({ tokenFile, usersFile, secretFile }: EmergencyBot): Needs {
  return [
    { path: tokenFile, todo: `(umask 077; cat >${shellWord(tokenFile)})   # the token of a bot of its own` },
    { path: usersFile, todo: `(umask 077; echo YOUR_TELEGRAM_ID >${shellWord(usersFile)})` },
    { path: secretFile, todo: 'gaia 2fa enroll' },
  ];
}
