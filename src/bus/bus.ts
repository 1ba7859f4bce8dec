import type { Clock } from '../base/clock.ts';
import type { CallSecrets } from './call-secrets.ts';
import type { Calls } from './calls.ts';
import type { Checkpointer } from './checkpointer.ts';
import type { Auth } from './config.ts';
import type { RequireProof } from './confirmation.ts';
import type { Heartbeats } from './heartbeats.ts';
import type { MetricsText } from './metrics.ts';
import type { Retention } from './retention-loop.ts';
import type { Store } from './store/store.ts';
import type { Streams } from './streams/streams.ts';
import type { Turns } from './turns.ts';
import type { Waiters } from './waiters.ts';

/** What the handlers of the running bus touch. */
export type Bus = {
  store: Store;
  waiters: Waiters;
  metrics: MetricsText;
  streams: Streams;
  turns: Turns;
  /** Calls of what the agents can do. */
  calls: Calls;
  /** What of them is secret. Absent where the log is only read. */
  callSecrets?: CallSecrets;
  /** Signs the audit chain. Absent where the log is only read. */
  checkpointer?: Pick<Checkpointer, 'make'>;
  /** Purges what the rules no longer keep. Absent where the log is only read. */
  retention?: Omit<Retention, 'stop'>;
  /** Knows which agents are alive. Absent where the log is only read. */
  heartbeats?: Omit<Heartbeats, 'stop'>;
  clock: Clock;
  version: string;
  /** Judges what proves that a person gave a code. */
  requireProof: RequireProof;
  /** Whether callers without a token are let in. */
  auth: Auth;
  /** When it started, in milliseconds since the epoch. */
  startedAt: number;
  /** Where it listens; known only once it does. */
  address(): { url: string; port: number };
};
