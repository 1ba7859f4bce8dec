import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Agent } from '../agents/agent.ts';
import { atlas } from '../agents/atlas/atlas.ts';
import { chronos } from '../agents/chronos/chronos.ts';
import { backupWords, outcomeOf } from '../agents/chronos/gaia-backup.ts';
import { hades } from '../agents/hades/hades.ts';
import { systemClock } from '../base/clock.ts';
import { makeLog } from '../base/log.ts';
import { databaseFileIn } from '../bus/database-file.ts';
import type { AgentName } from '../channels/cli/door.ts';
import type { Client } from '../client/client.ts';
import { sleepUnlessAborted } from '../client/patience.ts';
import { requireAsked } from '../gaia/asked-by-agents.ts';
import type { RecoveryConfig } from '../recovery/config/config.ts';
import { readConfig } from '../recovery/config/read-config.ts';
import { deliver } from '../recovery/events/deliver.ts';
import { tellRuns } from '../recovery/events/run-events.ts';
import type { Env } from './bus-settings.ts';
import { runGaia, runLeveredge } from './gaia-process.ts';
import { askGaia } from './gaia-socket.ts';

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
      schedule: scheduleOf(here),
    });
  },
  hades: (here) => hades({ ...recoveryOf(here), client: here.client }),
};

function recoveryOf({ home, env }: Here) {
  // GAIA as a process, and not its code: it is the one path of a backup, with its lock and its refusals, and what packs and
  // encrypts for minutes must not keep a lease from being extended.
  const ofHome = { ...env, LEVEREDGE_HOME: home };
  return {
    gaia: async (words: readonly string[], signal: AbortSignal) =>
      // Judged on both ways, so that what the list lacks is seen wherever agents are tried.
      env.GAIA_SOCKET
        ? askGaia(env.GAIA_SOCKET, requireAsked(words), signal)
        : runGaia(requireAsked(words), ofHome, signal),
    targets: () => readConfig(env.GAIA_CONFIG || undefined, home).targets.map(({ name }) => name),
    sleep: sleepUnlessAborted,
  };
}

/** Whoever starts a machine, or tries this out, does other things in the first minute. */
const beginsAfterMs = 60_000;

function scheduleOf({ home, env }: Here) {
  const ofHome = { ...env, LEVEREDGE_HOME: home };
  const copies = join(home, 'shared', 'backups', 'event-bus');
  return {
    config: () => readConfig(env.GAIA_CONFIG || undefined, home),
    // As a process too: a large database is copied in one step, during which nothing else would be done.
    copyBus: (file: string, signal: AbortSignal) =>
      runLeveredge(['backup', file, '--home', home, '--json', '--quiet'], ofHome, signal),
    copies,
    busDatabase: databaseFileIn(home),
    async deliver({ place, bus }: RecoveryConfig) {
      if (bus === 'none' || !existsSync(place.state)) return;
      tellRuns(place);
      await deliver(place, { setting: bus, clock: systemClock });
    },
    now: systemClock,
    offsetAt: (atMs: number) => -new Date(atMs).getTimezoneOffset() * 60_000,
    // For tests, which have no minute.
    beginsAtMs: systemClock() + Number(env.CHRONOS_BEGINS_AFTER_MS || beginsAfterMs),
    log: makeLog((line) => process.stderr.write(line), systemClock),
  };
}
