import type { Log } from '../../base/log.ts';
import type { Store } from '../store/store.ts';
import { type AgentStreams, agentStreamsOf } from './agent-streams.ts';
import { followersOf, type LogFollowers } from './log-followers.ts';
import { openStreams, type StreamLimits, usualLimits } from './open-streams.ts';
import { makeRounds } from './rounds.ts';

/** What the bus sends without an end. */
export type Streams = LogFollowers &
  AgentStreams & {
    /** Streams that are open now. */
    readonly count: number;
    /** @throws Fault `queue-full`, or `unavailable` when the bus is stopping */
    requireRoom(): void;
    /** Tells every reader to go away, and waits a moment until they have. Safe to repeat. */
    close(): Promise<void>;
  };

/** Holds nothing open while nobody reads. */
export function makeStreams(store: Store, log: Log, limits: Partial<StreamLimits> = {}): Streams {
  const open = openStreams({ ...usualLimits, ...limits });
  const rounds = makeRounds();
  return {
    ...followersOf(store, open, rounds, log),
    ...agentStreamsOf(store, open, log),
    get count() {
      return open.count;
    },
    requireRoom: open.requireRoom,
    close: open.close,
  };
}
