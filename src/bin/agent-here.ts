import type { Agent } from '../agents/agent.ts';
import { atlas } from '../agents/atlas/atlas.ts';
import { chronos } from '../agents/chronos/chronos.ts';
import { backupWords, outcomeOf } from '../agents/chronos/gaia-backup.ts';
import { hades } from '../agents/hades/hades.ts';
import type { AgentName } from '../channels/cli/door.ts';
import type { Client } from '../client/client.ts';
import { sleepUnlessAborted } from '../client/patience.ts';
import { readConfig } from '../recovery/config/read-config.ts';
import type { Env } from './bus-settings.ts';
import { runGaia } from './gaia-process.ts';

type Here = { client: Client; home: string; env: Env };

/** An agent with what it touches on this machine. */
export function agentHere(name: AgentName, here: Here): Agent {
  return agents[name](here);
}

const agents: Readonly<Record<AgentName, (here: Here) => Agent>> = {
  atlas: ({ client }) => atlas(client),
  chronos(here) {
    const effects = recoveryOf(here);
    return chronos({
      ...effects,
      backUp: async (target, cause, signal) => outcomeOf(await effects.gaia(backupWords(target, cause), signal)),
    });
  },
  hades: (here) => hades({ ...recoveryOf(here), client: here.client }),
};

function recoveryOf({ home, env }: Here) {
  // GAIA as a process, and not its code: it is the one path of a backup, with its lock and its refusals, and what packs and
  // encrypts for minutes must not keep a lease from being extended.
  const ofHome = { ...env, LEVEREDGE_HOME: home };
  return {
    gaia: (words: readonly string[], signal: AbortSignal) => runGaia(words, ofHome, signal),
    targets: () => readConfig(env.GAIA_CONFIG || undefined, home).targets.map(({ name }) => name),
    sleep: sleepUnlessAborted,
  };
}
