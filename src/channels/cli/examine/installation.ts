import { basename, join } from 'node:path';
import { shellWord } from '../../../base/shell-word.ts';
import { commandLine } from '../../../base/systemd-unit.ts';
import { type AgentName, agentNames, type Door } from '../door.ts';
import { agentUnitName } from '../init/agent-unit.ts';
import { busUnitName } from '../init/bus-unit.ts';
import { isOurs } from '../init/judge.ts';
import type { Units } from '../init/plan.ts';
import type { Server } from '../init/step.ts';
import { telegramUnitName } from '../init/telegram-unit.ts';

/** What init was asked for when it made this home, as far as it can be told from what is there. */
export type Installation = {
  home: string;
  units: Units;
  /** The user of the bus, where a unit of the system runs it. */
  user: string | undefined;
  agents: readonly AgentName[];
  /** It has a unit of the control bot. */
  bots: boolean;
  linked: boolean;
};

const usualUser = 'leveredge';

/** The installation on this home; undefined where init was never run for it. */
export function installationOf(home: string, server: Server): Installation | undefined {
  const linked = Object.entries(server.programs).some(([name, to]) => {
    const [link, own] = [server.look(join(server.links, name)), server.look(to)];
    return link.kind === 'file' && own.kind === 'file' && link.real === own.real;
  });
  for (const units of ['system', 'user'] as const) {
    const found = unitsOf(home, server.units[units], server);
    if (found.size === 0) continue;
    const agents = agentNames.some((name) => found.has(agentUnitName(name))) ? agentNames : [];
    const bots = found.has(telegramUnitName);
    return { home, units, user: units === 'system' ? userIn(found) : undefined, agents, bots, linked };
  }
  const page = server.look(join(home, 'control-plane', 'docs', 'ARCHITECTURE.md'));
  if (page.kind !== 'file' || page.text?.startsWith('# How this server is made') !== true) return undefined;
  return { home, units: 'none', user: undefined, agents: [], bots: false, linked };
}

/** The units that init wrote for this home, by their names. */
function unitsOf(home: string, folder: string, server: Server): Map<string, string> {
  const ofHome = ` ${commandLine(['--home', home])}`;
  const all = [busUnitName, ...agentNames.map(agentUnitName), telegramUnitName].map((name) => {
    const found = server.look(join(folder, name));
    return [name, found.kind === 'file' ? (found.text ?? '') : ''] as const;
  });
  return new Map(
    all.filter(([, text]) => isOurs(text) && [`${ofHome}\n`, `${ofHome} `].some((words) => text.includes(words))),
  );
}

function userIn(units: ReadonlyMap<string, string>): string {
  for (const [name, text] of units) {
    const user = /^User=(.+)$/m.exec(text)?.[1];
    if (user === undefined) continue;
    return name === busUnitName ? user : user.replace(/-[a-z]+$/, '');
  }
  return usualUser;
}

/** Whether whoever looks here is neither root nor the user whose all of it is. */
export function isStranger(door: Door, installation: Installation | undefined): boolean {
  return installation?.units === 'system' && ![installation.user, 'root'].includes(door.user);
}

/** What stands before a command that only root may give. */
function sudo({ user }: Door): string {
  return user === 'root' ? '' : 'sudo ';
}

/** `systemctl`, as it reaches the units of this installation. */
export function systemctl(door: Door, { units }: Installation): string {
  return units === 'user' ? 'systemctl --user' : `${sudo(door)}systemctl`;
}

/** The lines of a unit in the journal. */
export function journalctl(door: Door, { units }: Installation, unit: string): string {
  return `${units === 'user' ? 'journalctl --user' : `${sudo(door)}journalctl`} -u ${unit} -n 50 --no-pager`;
}

/** The call of init that makes what this installation lacks. */
export function initCommand(door: Door, { home, units, user, agents, bots, linked }: Installation, more = ''): string {
  const words = [
    ...(units === 'system' ? [] : [`--units ${units}`]),
    ...(user === undefined || user === usualUser ? [] : [`--user ${user}`]),
    ...(units !== 'none' && agents.length === 0 ? ['--no-agents'] : []),
    ...(units !== 'none' && !bots ? ['--no-bots'] : []),
    ...(linked ? [] : ['--no-links']),
    ...(more === '' || units === 'none' ? [] : [more]),
  ];
  const as = units === 'system' ? sudo(door) : '';
  return [`${as}${door.program} init --home ${shellWord(home)}`, ...words].join(' ');
}

/** The command that sets the control bot of this installation up. */
export function telegramSetup(door: Door, { home, units }: Installation): string {
  return `${units === 'system' ? sudo(door) : ''}${door.program} telegram setup --home ${shellWord(home)}`;
}

/** The agent whose token lies in this file. */
export function agentOfToken(path: string): AgentName | undefined {
  return agentNames.find((name) => basename(path) === `${name.toUpperCase()}.token`);
}
