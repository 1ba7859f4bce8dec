import { join } from 'node:path';
import { shellWord } from '../../../base/shell-word.ts';
import { agentScopes } from '../../../capabilities/agent-scopes.ts';
import type { AgentName } from '../door.ts';
import { agentTokenFile, agentUnit, agentUnitName, agentUser } from './agent-unit.ts';
import { busUnit, busUnitName } from './bus-unit.ts';
import { codesServiceName, codesServiceUnit, codesSocketName, codesSocketUnit } from './code-units.ts';
import { gaiaRunnerName, gaiaRunnerUnit, gaiaSocketName, gaiaSocketUnit } from './gaia-units.ts';
import type { Server, Step, Systemd } from './step.ts';
import { telegramFiles, telegramUnit, telegramUnitName, telegramUser } from './telegram-unit.ts';

/** The units of a home. */
export type UnitsWanted = {
  home: string;
  manager: Systemd;
  /** Whose process the bus is, with the system's manager. */
  user: string;
  agents: readonly AgentName[];
  /** The control bot, too. */
  bots: boolean;
  url: string;
};

type Placed = Pick<Server, 'units' | 'node' | 'programs'>;

/** Each user that the units run as, that of the bus first. */
export function usersOf({ manager, user, agents, bots }: UnitsWanted): string[] {
  if (manager !== 'system') return [];
  return [...new Set([user, ...agents.map((name) => agentUser(user, name)), ...(bots ? [telegramUser(user)] : [])])];
}

/** The files of all units, as this version writes them. */
export function unitFiles(
  { home, manager, user, agents, bots }: UnitsWanted,
  { units, node, programs }: Placed,
): Step[] {
  const program = programs.leveredge;
  const file = (name: string, text: string): Step => ({
    ...{ kind: 'file', path: join(units[manager], name), mode: 0o644, text, mustMatch: true },
  });
  // A user's agents start GAIA themselves: she has no more rights than they.
  const needsGaia = manager === 'system' && agents.some((name) => name !== 'atlas');
  return [
    file(busUnitName, busUnit(manager, { home, node, program, user })),
    ...(needsGaia
      ? [
          file(gaiaSocketName, gaiaSocketUnit(agentUser(user, 'hades'))),
          file(gaiaRunnerName, gaiaRunnerUnit({ home, node, gaia: programs.gaia })),
        ]
      : []),
    ...agents.map((name) => {
      const place = { home, node, program, user: agentUser(user, name) };
      return file(agentUnitName(name), agentUnit(manager, name, place));
    }),
    ...(bots && manager === 'system'
      ? [
          file(codesSocketName, codesSocketUnit(telegramUser(user))),
          file(codesServiceName, codesServiceUnit({ home, node, gaia: programs.gaia })),
        ]
      : []),
    ...(bots ? [file(telegramUnitName, telegramUnit(manager, { home, node, program, user: telegramUser(user) }))] : []),
  ];
}

/** Their tokens, which count where the bus asks for tokens, and say who speaks where it does not. */
export function tokenSteps({ home, manager, user, agents }: UnitsWanted): Step[] {
  return agents.map((name) => ({
    ...{ kind: 'token', name: name.toUpperCase(), scopes: agentScopes[name], path: agentTokenFile(home, name), home },
    ...(manager === 'system' ? { owner: agentUser(user, name), maker: user } : {}),
  }));
}

/** What is enabled and started, in the order in which one needs the other. */
export function serviceSteps({ home, manager, agents, bots, url }: UnitsWanted): Extract<Step, { kind: 'service' }>[] {
  const needsGaia = manager === 'system' && agents.some((name) => name !== 'atlas');
  return [
    { kind: 'service', unit: busUnitName, manager, url, heard: 'health' },
    ...(needsGaia ? [{ kind: 'service', unit: gaiaSocketName, manager, url, heard: 'socket' } as const] : []),
    ...agents.map((name) => ({
      ...({ kind: 'service', unit: agentUnitName(name), manager, url } as const),
      heard: { agent: name.toUpperCase() },
    })),
    ...(bots && manager === 'system'
      ? [{ kind: 'service', unit: codesSocketName, manager, url, heard: 'socket' } as const]
      : []),
    ...(bots ? [{ ...telegramService(home), manager, url }] : []),
  ];
}

function telegramService(home: string) {
  const todo = `leveredge telegram setup --home ${shellWord(home)}`;
  const needs = telegramFiles(home).map((path) => ({ path, todo }));
  return { kind: 'service', unit: telegramUnitName, heard: 'process', needs } as const;
}
