import { join } from 'node:path';
import type { Agent } from '../agents/agent.ts';
import { atlas } from '../agents/atlas/atlas.ts';
import { chronos } from '../agents/chronos/chronos.ts';
import { backupWords, outcomeOf } from '../agents/chronos/gaia-backup.ts';
import type { RunGaia } from '../agents/gaia-end.ts';
import { hades } from '../agents/hades/hades.ts';
import { systemClock } from '../base/clock.ts';
import { isThere } from '../base/files.ts';
import { makeLog } from '../base/log.ts';
import { databaseFileIn } from '../bus/database-file.ts';
import type { AgentName } from '../channels/cli/door.ts';
import type { Client } from '../client/client.ts';
import { sleepUnlessAborted } from '../client/patience.ts';
import { requireAsked } from '../gaia/asked-by-agents.ts';
import type { RecoveryConfig } from '../recovery/config/config.ts';
import { readConfig } from '../recovery/config/read-config.ts';
import { deliver } from '../recovery/events/deliver.ts';
import { outboxState } from '../recovery/events/outbox.ts';
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
      schedule: scheduleOf(here, effects.gaia),
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

async function deliverHere({ place, bus }: RecoveryConfig): Promise<void> {
  if (bus === 'none' || !isThere(place.state)) return;
  tellRuns(place);
  await deliver(place, { setting: bus, clock: systemClock });
}

/** What lies in her outbox is GAIA's to take out. She sends it at the end of what she is asked for. */
function deliverByGaia(gaia: RunGaia) {
  let askedMs = Number.NEGATIVE_INFINITY;
  return async ({ place, bus }: RecoveryConfig): Promise<void> => {
    if (bus === 'none' || systemClock() - askedMs < deliverAgainMs || outboxState(place).waiting === 0) return;
    askedMs = systemClock();
    try {
      await gaia(['prune', '--dry-run', '--json', '--quiet'], AbortSignal.timeout(deliverWithinMs));
    } catch {
      return; // It waits on, and she is asked again.
    }
  };
}

/** Whoever starts a machine, or tries this out, does other things in the first minute. */
const beginsAfterMs = 60_000;

/** Between two calls of GAIA that have her send what she has left for the bus. */
const deliverAgainMs = 10 * 60_000;
const deliverWithinMs = 60_000;

function scheduleOf({ home, env }: Here, gaia: RunGaia) {
  const ofHome = { ...env, LEVEREDGE_HOME: home };
  const copies = join(home, 'shared', 'backups', 'event-bus');
  return {
    config: () => readConfig(env.GAIA_CONFIG || undefined, home),
    // As a process too: a large database is copied in one step, during which nothing else would be done.
    copyBus: (file: string, signal: AbortSignal) =>
      runLeveredge(['backup', file, '--home', home, '--json', '--quiet'], ofHome, signal),
    copies,
    // Who asks for GAIA at a socket may write nothing, nor a copy.
    busDatabase: env.GAIA_SOCKET ? undefined : databaseFileIn(home),
    deliver: env.GAIA_SOCKET ? deliverByGaia(gaia) : deliverHere,
    now: systemClock,
    offsetAt: (atMs: number) => -new Date(atMs).getTimezoneOffset() * 60_000,
    // For tests, which have no minute.
    beginsAtMs: systemClock() + Number(env.CHRONOS_BEGINS_AFTER_MS || beginsAfterMs),
    log: makeLog((line) => process.stderr.write(line), systemClock),
  };
}
