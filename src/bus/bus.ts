import type { Clock } from '../base/clock.ts';
import type { Auth } from './config.ts';
import type { MetricsText } from './metrics.ts';
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
  clock: Clock;
  version: string;
  /** Whether callers without a token are let in. */
  auth: Auth;
  /** When it started, in milliseconds since the epoch. */
  startedAt: number;
  /** Where it listens; known only once it does. */
  address(): { url: string; port: number };
};
