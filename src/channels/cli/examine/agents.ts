import { Fault } from '../../../base/fault.ts';
import { shellWord } from '../../../base/shell-word.ts';
import { defaultSubscriptions } from '../../../events/defaults.ts';
import type { WireAgent } from '../../../events/heartbeat.ts';
import { type AgentName, agentNames, type Door } from '../door.ts';
import { agentUnitName } from '../init/agent-unit.ts';
import type { Server } from '../init/step.ts';
import { showDuration } from '../show-time.ts';
import type { Finding } from './finding.ts';
import { type Installation, journalctl, systemctl } from './installation.ts';

/** Whether the agents that should be there are, and can do what waits for them. Nothing where no agent was ever heard of. */
export async function checkAgents(
  door: Door,
  url: string,
  installation: Installation | undefined,
  server: Server,
): Promise<Finding[]> {
  const bus = door.connect(url);
  const check = 'agents';
  try {
    const all = await bus.agents();
    const own = installation?.agents ?? [];
    const findings = [
      ...all.flatMap((agent) => judged(agent, door, installation)),
      ...own.flatMap((name) => unheard(name, all, door, installation as Installation, server)),
      ...(own.length > 0 ? deaf(own, await bus.subscriptions(), door) : []),
    ];
    const alive = all.filter(({ state }) => state === 'alive').map(({ agent }) => agent);
    if (findings.some(({ state }) => state === 'wrong') || alive.length === 0) return findings;
    return [
      { check, state: 'fine', says: `${alive.join(', ')} ${alive.length === 1 ? 'is' : 'are'} alive` },
      ...findings,
    ];
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    return [{ check, state: 'note', says: `the bus does not tell ${door.user} of them: ${error.message}` }];
  }
}

function judged(
  { agent, state, last_heartbeat_at, says, deliveries }: WireAgent,
  door: Door,
  installation?: Installation,
): Finding[] {
  const findings: Finding[] = [];
  if (state === 'lost') {
    const since =
      last_heartbeat_at === null
        ? ''
        : `, last heard ${showDuration(door.clock() - Date.parse(last_heartbeat_at))} ago`;
    const work = says?.working_on ? `, working on ${says.working_on}` : '';
    findings.push({
      check: 'agents',
      state: 'wrong',
      says: `${agent} is lost${since}${work}`,
      todo: startOf(agent, door, installation),
    });
  }
  // Of one that never came nobody expects that it takes what waits for it.
  if (deliveries.dead > 0 && state !== 'never_heard_of') {
    const of = shellWord(agent);
    findings.push({
      check: 'agents',
      state: 'wrong',
      says: `${deliveries.dead} deliveries to ${agent} were given up; why, and once that is mended, again:`,
      todo: `${door.program} dead-letters --agent ${of}\n${door.program} dead-letters redrive --all --agent ${of}`,
    });
  }
  return findings;
}

function startOf(agent: string, door: Door, installation?: Installation): string {
  const name = agentNames.find((each) => each === agent.toLowerCase());
  if (name === undefined) return 'Start it again.';
  if (installation?.agents.includes(name)) return `${systemctl(door, installation)} restart ${agentUnitName(name)}`;
  return `Start it again: ${door.program} agent ${name}`;
}

/** One whose unit runs, while the bus hears nothing. That a unit does not run is told of the unit. */
function unheard(
  name: AgentName,
  all: readonly WireAgent[],
  door: Door,
  installation: Installation,
  server: Server,
): Finding[] {
  const state = all.find(({ agent }) => agent === name.toUpperCase())?.state ?? 'never_heard_of';
  const unit = agentUnitName(name);
  if (state === 'alive' || state === 'lost' || installation.units === 'none' || !server.hasSystemd) return [];
  if (!server.unitState(unit, installation.units).runs) return [];
  const says = state === 'stopped' ? 'said goodbye to the bus' : 'was never heard of by the bus';
  return [
    {
      ...{ check: 'agents', state: 'wrong', says: `${name.toUpperCase()} ${says}, and ${unit} runs` },
      todo: `${journalctl(door, installation, unit)}\n${systemctl(door, installation)} restart ${unit}`,
    },
  ];
}

type Heard = { agent_name: string; action_pattern: string; enabled: boolean; deleted_at: string | null };

/** What they should hear by default, and somebody has taken from them; that may be as it is meant. */
function deaf(own: readonly AgentName[], subscriptions: readonly Heard[], { program }: Door): Finding[] {
  return defaultSubscriptions
    .filter(({ agent }) => own.some((name) => name.toUpperCase() === agent))
    .flatMap(({ agent, pattern, priority }) => {
      const found = subscriptions.find((each) => each.agent_name === agent && each.action_pattern === pattern);
      if (found?.enabled && found.deleted_at === null) return [];
      const words = `${agent} ${shellWord(pattern)}`;
      const todo = found ? `subscriptions enable ${words}` : `subscriptions add ${words} --priority ${priority}`;
      const says = `${agent} does not hear ${pattern}: that was ${found ? 'disabled' : 'deleted'}; if it should:`;
      return [{ check: 'agents', state: 'note', says, todo: `${program} ${todo}` } as const];
    });
}
