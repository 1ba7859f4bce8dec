import { createServer } from 'node:net';
import type { Clock } from '../base/clock.ts';
import { rfc3339 } from '../base/clock.ts';
import { Fault, reasonOf } from '../base/fault.ts';
import type { Log } from '../base/log.ts';
import { urlOf } from '../base/url.ts';
import type { Capability } from '../events/capability.ts';
import type { Bus } from './bus.ts';
import { makeCallSecrets } from './call-secrets.ts';
import { type Calls, makeCalls } from './calls.ts';
import { startCheckpointer } from './checkpointer.ts';
import type { BusConfig } from './config.ts';
import { proofsIn } from './confirmation.ts';
import { makeGate } from './gate.ts';
import { isLoopback, makeGuard, requireProtection } from './guard.ts';
import { type Heartbeats, startHeartbeats } from './heartbeats.ts';
import { type Http, makeHttp } from './http.ts';
import { type Lock, takeLock } from './lock.ts';
import { type Metrics, makeMetrics } from './metrics.ts';
import { giveOwnerToken } from './owners-token.ts';
import { portTaken } from './port-taken.ts';
import { readRestored } from './restored.ts';
import { startRetention } from './retention-loop.ts';
import { allRoutes } from './routes/all-routes.ts';
import { startSecretKeeping } from './secret-keeping.ts';
import { makeSecrets } from './secrets.ts';
import { openSecretsKey } from './secrets-key.ts';
import { type InPlace, inPlaceOf } from './store/sqlite/file-identity.ts';
import { openSqliteStore } from './store/sqlite/open.ts';
import type { Store } from './store/store.ts';
import type { StreamLimits } from './streams/open-streams.ts';
import { makeStreams, type Streams } from './streams/streams.ts';
import { startSweeper } from './sweeper.ts';
import { makeTurns, type Turns } from './turns.ts';
import { makeWaiters, type Waiters } from './waiters.ts';

export type BusDeps = {
  log: Log;
  clock: Clock;
  /** The entry of the store's writing thread; without it the writer runs in this thread. */
  storeWorker?: URL | undefined;
  /** The program's version, for /health and the description. */
  version?: string | undefined;
  /** Other limits than the usual ones, for tests. */
  streamLimits?: Partial<StreamLimits> | undefined;
  /** Who owns this bus: given a token at the first start. Without a name nobody is. */
  owner?: string | undefined;
  /** What the agents can do, and the bus lets in calls of. */
  capabilities?: readonly Capability[] | undefined;
};

export type RunningBus = {
  url: string;
  port: number;
  databaseFile: string;
  /** What a person should read at the start, such as that an older database was taken over. */
  notices: string[];
  /** Whether the database is still the file that was opened: undefined, or what is wrong. */
  inPlace: InPlace;
  /** Finishes what is in flight, at most 10 seconds, then lets go of everything. Safe to repeat. */
  close(): Promise<void>;
};

const maxDrainMs = 10_000;
const drainStepMs = 10;

/**
 * Starts a bus: the port first (an older bus may hold it and the database), then the lock, the store, the server.
 * Whatever was begun is undone when a later step fails.
 * @throws Fault `usage`, `port-taken`, `locked`, `damaged`, `newer-schema`, `storage-full`.
 */
export async function startBus(config: BusConfig, deps: BusDeps): Promise<RunningBus> {
  const { log, clock, storeWorker, version, streamLimits, owner } = deps;
  requireProtection(config);
  const host = config.host === 'localhost' ? '127.0.0.1' : config.host;
  await requireFreePort(host, config.port);
  const undo: (() => Promise<unknown>)[] = [];
  try {
    const lock = takeLock(config.databaseFile);
    undo.unshift(async () => lock.release());
    const metrics = makeMetrics(version ?? 'unknown');
    const note = readRestored(config.databaseFile);
    const store = await openSqliteStore({
      file: config.databaseFile,
      clock,
      observer: metrics.store,
      rules: config.deliveries,
      restored: note?.restored,
      ...(storeWorker === undefined ? {} : { worker: storeWorker }),
    });
    undo.unshift(() => store.close());
    const notices = [...store.notices, ...(note ? [note.notice, note.settle()] : [])].filter(
      (each) => each !== undefined,
    );
    const inPlace = inPlaceOf(config.databaseFile);
    await store.sweep();
    const { home, auth } = config;
    const untold = owner === undefined ? undefined : await giveOwnerToken({ store, home, name: owner, clock });
    const waiters = makeWaiters((listener) => store.onCommitted(listener));
    const streams = makeStreams(store, log, streamLimits);
    const turns = makeTurns((listener) => store.onCommitted(listener));
    const { calls, callSecrets, secretKeeping } = startCalls(store, home, deps);
    undo.unshift(() => secretKeeping.stop());
    const startedAt = clock();
    const checkpointer = await startCheckpointer(store, config.home, clock, log);
    undo.unshift(() => checkpointer.stop());
    const retention = startRetention(store, config.retention, log);
    undo.unshift(() => retention.stop());
    const heartbeats = await startHeartbeats(store, clock, log);
    undo.unshift(() => heartbeats.stop());
    showWaiting(metrics, { waiters, turns, calls, streams, heartbeats });
    let address = { url: '', port: 0 };
    const requireProof = proofsIn(home, clock);
    const about = { version: version ?? 'unknown', auth, requireProof, startedAt, address: () => address };
    const bus: Bus = {
      store,
      waiters,
      turns,
      calls,
      callSecrets,
      metrics,
      streams,
      checkpointer,
      retention,
      ...{ heartbeats, clock },
      ...about,
    };
    const guard = makeGuard(config.allowedHosts, !isLoopback(host));
    const http = makeHttp(allRoutes(bus), guard, makeGate({ auth, store, clock, log }), log, metrics);
    metrics.gauge('http_server_active_requests', 'Requests that have arrived and are not answered yet', http.inFlight);
    undo.unshift(() => http.server.close());
    const port = await listen(http, host, config.port);
    const url = urlOf(host, port);
    address = { url, port };
    const sweeper = startSweeper(store, clock, log);
    undo.unshift(() => sweeper.stop());
    lock.announce({ pid: process.pid, url, started: rfc3339(startedAt) });
    const loops = [sweeper, secretKeeping, retention, checkpointer, heartbeats];
    const close = once(() => stop({ http, waiters, turns, calls, streams, loops, store, lock }, log));
    if (untold !== undefined) notices.push(untold);
    return { url, port, databaseFile: config.databaseFile, notices, inPlace, close };
  } catch (error) {
    for (const step of undo)
      await step().catch((reason) => log.error('a failed start left something behind', { reason: reasonOf(reason) }));
    throw error;
  }
}

/** Calls, and what of them is secret. */
function startCalls(store: Store, home: string, { capabilities = [], clock, log }: BusDeps) {
  const secrets = makeSecrets({ store, key: onceMade(() => openSecretsKey(home)), clock });
  const calls = makeCalls({ store, capabilities, secrets });
  const callSecrets = makeCallSecrets({ store, calls, secrets });
  return { calls, callSecrets, secretKeeping: startSecretKeeping({ store, calls, secrets, clock, log }) };
}

type Showing = Pick<Parts, 'waiters' | 'turns' | 'calls' | 'streams'> & { heartbeats: Heartbeats };

function showWaiting({ gauge }: Metrics, { waiters, turns, calls, streams, heartbeats }: Showing): void {
  gauge('leveredge_waiters', 'Callers that wait for a question to end', () => waiters.count);
  gauge('leveredge_claims_waiting', 'Callers that wait for deliveries', () => turns.count);
  gauge('leveredge_calls_waiting', 'Callers that wait for what comes of a call', () => calls.waiting);
  gauge('leveredge_streams', 'Streams that are open', () => streams.count);
  gauge('leveredge_agents_lost', 'Agents that fell silent without a goodbye', heartbeats.lost);
}

type Parts = {
  http: Http;
  waiters: Waiters;
  turns: Turns;
  calls: Calls;
  streams: Streams;
  /** What goes on by itself, in the order in which it ends. */
  loops: readonly { stop(): Promise<void> }[];
  store: Store;
  lock: Lock;
};

async function stop(parts: Parts, log: Log): Promise<void> {
  const { http, waiters, turns, calls, streams, loops, store, lock } = parts;
  const closed = http.server.close();
  waiters.release();
  turns.release();
  calls.release();
  await streams.close();
  const until = performance.now() + maxDrainMs;
  while (http.inFlight() > 0 && performance.now() < until) await new Promise((go) => setTimeout(go, drainStepMs));
  if (http.inFlight() > 0)
    log.warn('some requests did not end in time and were cut off', { requests: http.inFlight() });
  http.server.server.closeAllConnections();
  await closed;
  // Those who had to be cut off give back what they held.
  await streams.close();
  for (const loop of loops) await loop.stop();
  await store.close();
  lock.release();
}

/** Made when it is first wanted; what failed is tried again the next time. */
function onceMade<T>(make: () => T): () => T {
  let made: T | undefined;
  return () => {
    made ??= make();
    return made;
  };
}

function once(act: () => Promise<void>): () => Promise<void> {
  let done: Promise<void> | undefined;
  return () => {
    done ??= act();
    return done;
  };
}

/** Tries the port and lets it go again, so that a taken one is told before anything is touched. */
async function requireFreePort(host: string, port: number): Promise<void> {
  if (port === 0) return;
  const probe = createServer();
  const failure = await new Promise<NodeJS.ErrnoException | undefined>((resolve) => {
    probe.once('error', resolve);
    probe.listen({ host, port, exclusive: true }, () => probe.close(() => resolve(undefined)));
  });
  if (failure) throw await cannotListen(failure, host, port);
}

async function listen({ server }: Http, host: string, port: number): Promise<number> {
  try {
    await server.listen({ host, port });
  } catch (error) {
    throw await cannotListen(error as NodeJS.ErrnoException, host, port);
  }
  const address = server.server.address();
  return typeof address === 'object' && address !== null ? address.port : port;
}

async function cannotListen(error: NodeJS.ErrnoException, host: string, port: number): Promise<Fault> {
  if (error.code === 'EADDRINUSE') return portTaken(host, port);
  const hint =
    error.code === 'EACCES'
      ? 'Ports below 1024 need root; choose a higher one with --port.'
      : 'Choose another address with --host or another port with --port.';
  return new Fault('usage', `The bus cannot listen on ${host} port ${port} (${error.code ?? reasonOf(error)}).`, {
    hint,
    cause: error,
  });
}
