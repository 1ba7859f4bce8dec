import { join } from 'node:path';
import type { Agent } from '../agents/agent.ts';
import { atlas } from '../agents/atlas/atlas.ts';
import { chronos } from '../agents/chronos/chronos.ts';
import { backupWords, outcomeOf } from '../agents/chronos/gaia-backup.ts';
import type { RunGaia } from '../agents/gaia-end.ts';
import { hades } from '../agents/hades/hades.ts';
import { systemClock } from '../base/clock.ts';
import { Fault } from '../base/fault.ts';
import { makeLog } from '../base/log.ts';
import { databaseFileIn } from '../bus/database-file.ts';
import type { AgentName } from '../channels/cli/door.ts';
import type { Client } from '../client/client.ts';
import { sleepUnlessAborted } from '../client/patience.ts';
import { copyBusWord, requireAsked } from '../gaia/asked-by-agents.ts';
import { readConfig } from '../recovery/config/read-config.ts';
import type { Env } from './bus-settings.ts';
import { askToDeliver, deliverHere } from './deliver-waiting.ts';
import { copyBus, runGaia } from './gaia-process.ts';
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

/** Whoever starts a machine, or tries this out, does other things in the first minute. */
const beginsAfterMs = 60_000;
const longestBeginsAfterMs = 24 * 3_600_000;

/** @throws Fault `usage`: what is no number would keep the schedule from ever beginning */
function beginsAfter(text: string | undefined): number {
  if (!text) return beginsAfterMs;
  const ms = Number(text);
  if (/^\d+$/.test(text) && ms <= longestBeginsAfterMs) return ms;
  throw new Fault(
    'usage',
    `CHRONOS_BEGINS_AFTER_MS is ${JSON.stringify(text)}, and no number of milliseconds up to a day.`,
    {
      hint: `Leave it out for the usual ${beginsAfterMs}.`,
    },
  );
}

function scheduleOf({ home, env }: Here, gaia: RunGaia) {
  const log = makeLog((line) => process.stderr.write(line), systemClock);
  return {
    config: () => readConfig(env.GAIA_CONFIG || undefined, home),
    // As a process too: a large database is copied in one step, during which nothing else would be done. In the unit of an
    // agent, who may not read the database, the side that is root has it done.
    copyBus: (signal: AbortSignal) =>
      env.GAIA_SOCKET ? gaia([copyBusWord], signal) : copyBus(home, { ...env, LEVEREDGE_HOME: home }, signal),
    copies: join(home, 'shared', 'backups', 'event-bus'),
    busDatabase: databaseFileIn(home),
    // Said by the unit, which lets this agent write nowhere else.
    notesIn: env.CHRONOS_NOTES || undefined,
    deliver: env.GAIA_SOCKET ? askToDeliver(gaia, log) : deliverHere,
    now: systemClock,
    offsetAt: (atMs: number) => -new Date(atMs).getTimezoneOffset() * 60_000,
    beginsAtMs: systemClock() + beginsAfter(env.CHRONOS_BEGINS_AFTER_MS),
    log,
  };
}
