import { systemClock } from '../base/clock.ts';
import { makeLog } from '../base/log.ts';
import type { Bus } from './bus.ts';
import { makeCalls } from './calls.ts';
import { openGate } from './gate.ts';
import { makeGuard } from './guard.ts';
import { makeHttp } from './http.ts';
import { listAgents } from './routes/agents.ts';
import { listDeadLetters } from './routes/dead-letters.ts';
import { explain } from './routes/explain.ts';
import { getEvent } from './routes/get-event.ts';
import { health } from './routes/health.ts';
import { inbox } from './routes/inbox.ts';
import { listEvents } from './routes/list-events.ts';
import { pending } from './routes/pending.ts';
import { listSubscriptions } from './routes/subscriptions.ts';
import { openReadOnlyStore } from './store/sqlite/read-only.ts';
import { makeStreams } from './streams/streams.ts';
import { makeTurns } from './turns.ts';
import { makeWaiters } from './waiters.ts';

/** Nothing is called without a bus. */
const noSecrets = { seal: () => [], noteKept: () => undefined };

/** The reading calls of the bus, without a bus. */
export type OnDisk = { fetcher: typeof fetch; close(): Promise<void> };

const reading = [
  ...[health, listAgents, listEvents, getEvent, pending, inbox],
  ...[listDeadLetters, listSubscriptions, explain],
];

/**
 * Answers the reading calls of the API from a database file, through the very routes that answer them otherwise: what is
 * asked wrongly is refused in the same words, and pages go on where they ended. Undefined when there is nothing to read.
 * @throws Fault as `openReadOnlyStore`
 */
export function openOnDisk(file: string, say: (line: string) => void): OnDisk | undefined {
  const store = openReadOnlyStore(file);
  if (store === undefined) return undefined;
  const log = makeLog(say, systemClock);
  const waiters = makeWaiters((listener) => store.onCommitted(listener));
  const turns = makeTurns((listener) => store.onCommitted(listener));
  const address = () => ({ url: '', port: 0 });
  const metrics = { text: async () => '', contentType: 'text/plain' };
  const streams = makeStreams(store, log);
  const at = { clock: systemClock, startedAt: systemClock() };
  const calls = makeCalls({ store, capabilities: [], secrets: noSecrets });
  const requireProof = () => {
    throw new Error('Without the bus nothing is answered.');
  };
  const about = { ...at, version: '', auth: 'loopback' as const, requireProof, address };
  const bus: Bus = { store, waiters, turns, calls, metrics, streams, ...about };
  const { server } = makeHttp(
    reading.map((route) => route(bus)),
    makeGuard([]),
    openGate,
    log,
  );
  return {
    async fetcher(input, init) {
      const { pathname, search } = new URL(input instanceof Request ? input.url : input);
      if (init?.method !== 'GET') throw new Error('Without the bus nothing but reading is possible.');
      const answer = await server.inject({ method: 'GET', url: pathname + search, headers: { host: 'localhost' } });
      return new Response(answer.body, {
        status: answer.statusCode,
        headers: { 'content-type': String(answer.headers['content-type']) },
      });
    },
    async close() {
      await server.close();
      await store.close();
    },
  };
}
