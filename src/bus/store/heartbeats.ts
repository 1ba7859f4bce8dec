import type { Says } from '../../events/heartbeat.ts';

/** What an agent has just said. */
export type Heartbeat = {
  agent: string;
  state: 'alive' | 'stopped';
  /** Null with a goodbye that does not repeat it: it stays what it was. */
  everySeconds: number | null;
  /** When it was heard, in milliseconds since the epoch. */
  at: number;
  says: Says;
};

/** The last that was kept of an agent. Its state is `lost` once that was announced. */
export type KeptHeartbeat = Omit<Heartbeat, 'state'> & { state: 'alive' | 'lost' | 'stopped' };

/** What was heard of an agent before it fell silent. */
export type LastHeard = Pick<Heartbeat, 'agent' | 'at' | 'says'>;

/** How many agents are kept. For another one that is forgotten which is not alive and was silent the longest. */
export const maxKeptAgents = 1000;

export type HeartbeatNoted =
  /** `forgot`: whom it took the place of. */
  | { kind: 'noted'; forgot: string | null }
  /** All that are kept are alive. */
  | { kind: 'too-many-agents'; limit: number };

/** What waits for one agent, counted up to `maxCountedDeliveries` in each state. */
export type Owed = { ready: number; leased: number; deferred: number; dead: number };

/** The part of the store that remembers which agents are there. Who calls decides when one is lost. */
export type HeartbeatStore = {
  /** The last that was kept of each agent. */
  heartbeats(): Promise<KeptHeartbeat[]>;
  /** Keeps it. Of an agent that was lost it says in an event, once, that it is back. */
  noteHeartbeat(heartbeat: Heartbeat): Promise<HeartbeatNoted>;
  /**
   * Keeps that an agent is lost, and what was heard of it last, and says so in an event. False, and nothing is said, when it is
   * not kept as alive. Safe to repeat.
   */
  noteAgentLost(last: LastHeard): Promise<boolean>;
  /** In the order of the agents. */
  owedTo(agents: readonly string[]): Promise<Owed[]>;
};
