import { Fault } from '../base/fault.ts';
import type { WireDelivery } from '../events/delivery.ts';
import type { Event } from '../events/event.ts';
import type { OpenStream } from './open-stream.ts';
import { firstPauseMs, isPassing, longestPauseMs, sleepUnlessAborted } from './patience.ts';
import { EndlessBlock, type SseBlock, sseReader } from './sse.ts';

export type FollowOptions = {
  /** Begin after this bookmark; else with the last so many, or with the oldest; else now. */
  after?: string | undefined;
  last?: number | undefined;
  fromStart?: boolean | undefined;
  /** Only what this agent published. */
  source_agent?: string | undefined;
  /** Only actions that fit this pattern, where `*` stands for any run of characters. */
  action?: string | undefined;
  /** Only what this agent hears. */
  agent?: string | undefined;
} & StreamOptions;

export type StreamOptions = {
  signal?: AbortSignal | undefined;
  /** Called at each break, before it connects again by itself. */
  onTrouble?: ((fault: Fault, againInMs: number) => void) | undefined;
  /** Called when it is connected, the first time and again after each break. */
  onConnected?: (() => void) | undefined;
  /** For how long the bus may be away before the first connection. Later it may be away for ever. */
  patienceMs?: number | undefined;
  /** Without a byte for so long the connection is taken for dead. The bus gives a sign of life every 15 s. */
  idleMs?: number | undefined;
  sleep?: ((ms: number, signal?: AbortSignal) => Promise<void>) | undefined;
};

const usualIdleMs = 45_000;
const usualPatienceMs = 3_000;

/**
 * The events as they happen, each once and in the order of the log, until the signal or until the caller leaves the loop.
 * It connects again by itself after a break, where it was.
 * @throws Fault `cursor-invalid` when the log was put back and the bookmark means nothing any more, others as the bus
 *   said them, `unreachable` when the patience is over before the first connection, or the signal's reason.
 */
export async function* follow(open: OpenStream, options: FollowOptions = {}): AsyncGenerator<Event, void, undefined> {
  const { after, last, fromStart, source_agent, action, agent } = options;
  const query = { after, last, from: fromStart ? 'start' : undefined, source_agent, action, agent };
  for await (const { data } of messages(open, '/events/stream', query, options)) yield JSON.parse(data) as Event;
}

export type TakeOptions = {
  /** How long each delivery is the caller's; extend what takes longer. */
  leaseSeconds?: number | undefined;
  /** How many may be out at once. */
  maxInFlight?: number | undefined;
} & StreamOptions;

/**
 * An agent's deliveries as they become ready, each under a lease. Acknowledge each with its id and lease: the next comes
 * then. What is still held when the caller leaves the loop, or when the connection breaks, is ready for others at once, and
 * its lease is lost; it comes again.
 * @throws Fault as `follow`
 */
export async function* takeDeliveries(
  open: OpenStream,
  agent: string,
  { leaseSeconds, maxInFlight, ...options }: TakeOptions = {},
): AsyncGenerator<WireDelivery, void, undefined> {
  const query = { lease_seconds: leaseSeconds, max_in_flight: maxInFlight };
  const path = `/agents/${encodeURIComponent(agent)}/stream`;
  for await (const { data } of messages(open, path, query, options)) yield JSON.parse(data) as WireDelivery;
}

type Message = SseBlock & { data: string };

/** The messages of a stream, connected again after each break. What `goaway` says is a break too. */
async function* messages(
  open: OpenStream,
  path: string,
  query: Parameters<OpenStream>[1]['query'],
  options: StreamOptions,
): AsyncGenerator<Message, void, undefined> {
  const { signal, onTrouble, onConnected, idleMs = usualIdleMs, sleep = sleepUnlessAborted } = options;
  const place: Place = { lastEventId: undefined, retryMs: firstPauseMs, isConnected: false };
  let patienceMs = options.patienceMs ?? usualPatienceMs;
  for (let pauseMs = firstPauseMs; ; pauseMs = Math.min(pauseMs * 2, longestPauseMs)) {
    signal?.throwIfAborted();
    const line = lineOf(signal, idleMs);
    place.isConnected = false;
    let fault: Fault;
    try {
      const body = await open(path, { query, lastEventId: place.lastEventId, signal: line.signal });
      onConnected?.();
      patienceMs = Number.POSITIVE_INFINITY;
      fault = yield* readAll(body, place, line);
    } catch (error) {
      signal?.throwIfAborted();
      fault = passing(line.idle() ?? error);
    } finally {
      line.hangUp();
    }
    if (place.isConnected) pauseMs = Math.max(place.retryMs, firstPauseMs);
    const asked = Number(fault.extra.retry_after_seconds ?? 0) * 1000;
    const againInMs = Math.max(asked, pauseMs / 2 + Math.random() * pauseMs);
    patienceMs -= againInMs;
    if (patienceMs < 0) throw fault;
    onTrouble?.(fault, againInMs);
    await sleep(againInMs, signal);
  }
}

/** Where the reader stands. `isConnected`: something has come over this connection. */
type Place = { lastEventId: string | undefined; retryMs: number; isConnected: boolean };

async function* readAll(
  body: ReadableStream<Uint8Array>,
  place: Place,
  line: Line,
): AsyncGenerator<Message, Fault, undefined> {
  const read = sseReader();
  for await (const bytes of body) {
    line.heard();
    for (const block of read(bytes)) {
      place.isConnected = true;
      if (block.retryMs !== undefined) place.retryMs = Math.min(block.retryMs, longestPauseMs);
      if (block.id !== undefined) place.lastEventId = block.id;
      if (block.event === 'goaway') return new Fault('unavailable', becauseOf(block.data));
      if (block.data === undefined || block.event !== '') continue;
      // While the caller is at work nobody listens, so silence says nothing, and hanging up would take its leases.
      line.rest();
      yield block as Message;
      line.heard();
    }
  }
  return new Fault('unavailable', 'The bus has ended the stream.');
}

function becauseOf(data = ''): string {
  try {
    return String(JSON.parse(data).because);
  } catch {
    return 'The bus has ended the stream.'; // It says so in words that are not known here.
  }
}

/** One connection: cut by the caller's signal, and when nothing is heard for long. `rest`: nobody listens until `heard`. */
type Line = { signal: AbortSignal; heard(): void; rest(): void; idle(): Fault | undefined; hangUp(): void };

function lineOf(signal: AbortSignal | undefined, idleMs: number): Line {
  const own = new AbortController();
  let isIdle = false;
  let timer: NodeJS.Timeout | undefined;
  const rest = () => clearTimeout(timer);
  const heard = () => {
    rest();
    timer = setTimeout(() => {
      isIdle = true;
      own.abort();
    }, idleMs);
  };
  heard();
  return {
    signal: signal ? AbortSignal.any([signal, own.signal]) : own.signal,
    heard,
    rest,
    idle: () => (isIdle ? new Fault('unavailable', `The bus has said nothing for ${idleMs / 1000} s.`) : undefined),
    hangUp() {
      rest();
      own.abort();
    },
  };
}

/** What may be over in a moment, as a Fault; everything else is thrown on. */
function passing(error: unknown): Fault {
  if (error instanceof EndlessBlock)
    throw new Fault('unreachable', 'What comes is no stream of an event bus: a message in it has no end.');
  if (!(error instanceof Fault)) return new Fault('unavailable', 'The connection broke.', { cause: error });
  if (isPassing(error)) return error;
  throw error;
}
