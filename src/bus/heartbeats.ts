import type { Clock } from '../base/clock.ts';
import { rfc3339 } from '../base/clock.ts';
import { Fault, reasonOf } from '../base/fault.ts';
import type { Log } from '../base/log.ts';
import { lostAfterSeconds } from '../events/heartbeat.ts';
import type { Heartbeat, KeptHeartbeat } from './store/heartbeats.ts';
import type { Store } from './store/store.ts';

const lookEveryMs = 1000;
/**
 * What lies between two looks counts as silence up to this. A bus that was suspended, held or whose clock was set has heard
 * nobody meanwhile, and this is less than any agent's patience minus one beat.
 */
const maxSilencePerLookMs = 5000;
/** How exactly it is known after a crash of the bus when an agent was last heard. More would be a write for each beat. */
const notedEveryMs = 60_000;

export type Heartbeats = {
  /**
   * Takes note of a heartbeat. What changes nothing is only remembered; a change of state is on disk when this settles.
   * @throws Fault `conflict` when too many agents are alive
   */
  beat(heartbeat: Heartbeat): Promise<void>;
  /** The last heartbeat of each agent. */
  all(): KeptHeartbeat[];
  /** How many are lost now. */
  lost(): number;
  /** Ends the watch and keeps when each agent was last heard. Safe to repeat. */
  stop(): Promise<void>;
};

/** `heardAt`: on the clock of `makeAwake`. `notedAt`: the `at` that is on disk. `losing`: while a loss is being written. */
type Entry = KeptHeartbeat & { heardAt: number; notedAt: number; losing: Promise<void> | undefined };

type Kept = Pick<Store, 'heartbeats' | 'noteHeartbeat' | 'noteAgentLost'>;

/**
 * Knows which agents are alive, and says once when one falls silent (`agent_lost`) and when it is heard again (`agent_back`).
 * Who was alive when the bus stopped, or broke down, has its whole time from the start on to be heard.
 */
export async function startHeartbeats(store: Kept, clock: Clock, log: Log): Promise<Heartbeats> {
  const awake = makeAwake(clock);
  const entries = new Map<string, Entry>();
  for (const kept of await store.heartbeats())
    entries.set(kept.agent, { ...kept, heardAt: awake(), notedAt: kept.at, losing: undefined });
  const lose = loserOf(store, log);
  let stopping: Promise<void> | undefined;

  async function look(): Promise<void> {
    const now = awake();
    const silent = [...entries.values()].filter((entry) => isSilent(entry, now));
    // Together, so that they are one commit.
    await Promise.all(
      silent.map((entry) => {
        entry.losing = lose(entry).finally(() => {
          entry.losing = undefined;
        });
        return entry.losing;
      }),
    );
  }

  async function keepTimes(): Promise<void> {
    const unkept = [...entries.values()].filter(({ state, at, notedAt }) => state === 'alive' && at !== notedAt);
    await Promise.all(unkept.map((entry) => store.noteHeartbeat(beatOf(entry))));
  }

  const watch = startLooking(look);
  return {
    async beat(heartbeat) {
      await entries.get(heartbeat.agent)?.losing;
      const entry = entries.get(heartbeat.agent);
      // Heard is heard, also when it cannot be written.
      if (entry) entry.heardAt = awake();
      if (entry && isNoNews(entry, heartbeat)) return remember(entry, heartbeat);
      const noted = await store.noteHeartbeat(heartbeat);
      if (noted.kind === 'too-many-agents') throw tooMany(noted.limit);
      if (noted.forgot !== null) entries.delete(noted.forgot);
      const { state, at } = heartbeat;
      if (entry?.state === 'lost') log.info('an agent is back', { agent: entry.agent });
      if (entry) remember(Object.assign(entry, { state, notedAt: at }), heartbeat);
      else entries.set(heartbeat.agent, { ...heartbeat, heardAt: awake(), notedAt: at, losing: undefined });
    },
    all: () => [...entries.values()].map(({ heardAt, notedAt, losing, ...kept }) => kept),
    lost: () => [...entries.values()].filter(({ state }) => state === 'lost').length,
    stop() {
      stopping ??= watch.stop().then(keepTimes).catch(unlessFault(log));
      return stopping;
    },
  };
}

/** Milliseconds in which the bus could have heard somebody: a clock that never jumps. */
function makeAwake(clock: Clock): () => number {
  let last = clock();
  let passed = 0;
  return () => {
    const now = clock();
    passed += Math.min(Math.max(now - last, 0), maxSilencePerLookMs);
    last = now;
    return passed;
  };
}

function isSilent({ state, everySeconds, heardAt, losing }: Entry, now: number): boolean {
  return state === 'alive' && losing === undefined && now - heardAt >= lostAfterSeconds(everySeconds ?? 0) * 1000;
}

function isNoNews(entry: Entry, { state, everySeconds, at }: Heartbeat): boolean {
  if (state !== entry.state || (everySeconds !== null && everySeconds !== entry.everySeconds)) return false;
  return at >= entry.notedAt && at - entry.notedAt < notedEveryMs;
}

function remember(entry: Entry, { at, says, everySeconds }: Heartbeat): void {
  Object.assign(entry, { at, says, everySeconds: everySeconds ?? entry.everySeconds });
}

function beatOf({ agent, everySeconds, at, says }: Entry): Heartbeat {
  return { agent, state: 'alive', everySeconds, at, says };
}

/** Writes a loss. What cannot be written is logged once and tried again at the next look. */
function loserOf(store: Kept, log: Log): (entry: Entry) => Promise<void> {
  let failing = '';
  return async (entry) => {
    const { agent, at, says } = entry;
    try {
      await store.noteAgentLost({ agent, at, says });
      entry.state = 'lost';
      failing = '';
      log.warn('an agent is lost', { agent, last_heartbeat_at: rfc3339(at) });
    } catch (error) {
      const reason = reasonOf(error);
      if (reason !== failing) log.error('a lost agent could not be announced; trying again', { agent, reason });
      failing = reason;
    }
  };
}

function startLooking(look: () => Promise<void>): { stop(): Promise<void> } {
  let stopped = false;
  let looking: Promise<void> | undefined;
  let timer: NodeJS.Timeout | undefined;
  const plan = () => {
    timer = setTimeout(() => {
      looking = look().then(() => {
        if (!stopped) plan();
      });
    }, lookEveryMs);
  };
  plan();
  return {
    async stop() {
      stopped = true;
      clearTimeout(timer);
      await looking;
    },
  };
}

/** The times are then as old as the last that were kept. */
function unlessFault(log: Log): (error: unknown) => void {
  return (error) => {
    if (!(error instanceof Fault)) throw error;
    log.warn('when agents were last heard could not be kept', { reason: error.message });
  };
}

function tooMany(limit: number): Fault {
  return new Fault(
    'conflict',
    `The bus hears ${limit} agents already, which is the limit, and all of them are alive.`,
    {
      hint: 'Let each agent beat under one name, not under a new one each time.',
    },
  );
}
