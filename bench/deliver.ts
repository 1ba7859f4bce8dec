import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { Agent } from 'node:http';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { startBus, startCeiling } from './contestants.ts';
import { post } from './load/post.ts';
import { subscribe } from './load/subscriber.ts';
import { percentile } from './machine.ts';
import type { Running } from './server.ts';

export type DeliverOptions = { seconds: number; idleStreams: number; note(line: string): void };
type Timing = { p50Ms: number; p99Ms: number };
/** `answered`: the publishes themselves, at the same rate. */
export type Latency = Timing & { subscribers: number; maxMs: number; published: number; answered: Timing };
export type Claims = { consumers: number; perSecond: number; p50Ms: number; p99Ms: number };
export type DeliverResult = {
  latencies: Latency[];
  /** The same rate of publishes, answered by the bare ceiling. */
  ceiling: Timing;
  idle: { streams: number; beforeMiB: number; withMiB: number };
  claims: Claims[];
};

const perSecond = 200;
const subscribersTried = [1, 100];
const consumersTried = [1, 16];
const warmUpMs = 2_000;
const settleMs = 3_000;
const batch = 100;

/** Delivery over HTTP: from a publish to the readers of a stream, streams that are idle, and claims under a lease. */
export async function benchDeliver({ seconds, idleStreams, note }: DeliverOptions): Promise<DeliverResult> {
  const latencies: Latency[] = [];
  for (const subscribers of subscribersTried) {
    const latency = await withBus((bus) => latencyOf(bus, subscribers, seconds));
    note(`${subscribers} subscribers: p50 ${latency.p50Ms.toFixed(2)} ms, p99 ${latency.p99Ms.toFixed(2)} ms`);
    latencies.push(latency);
  }
  const ceiling = await withCeiling(({ url }) => answeredAtRate(url, seconds));
  note(`bare ceiling, answers: p50 ${ceiling.p50Ms.toFixed(2)} ms, p99 ${ceiling.p99Ms.toFixed(2)} ms`);
  const idle = await withBus((bus) => idleMemory(bus, idleStreams));
  note(`${idleStreams} idle streams: ${idle.withMiB.toFixed(0)} MiB (${idle.beforeMiB.toFixed(0)} MiB before)`);
  const claims: Claims[] = [];
  for (const consumers of consumersTried) {
    const rate = await withBus((bus) => claimRate(bus, consumers, seconds));
    note(`${consumers} consumers: ${rate.perSecond.toFixed(0)} claimed and acknowledged a second`);
    claims.push(rate);
  }
  return { latencies, ceiling, idle, claims };
}

async function withCeiling<T>(measure: (server: Running) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'bench-deliver-'));
  const server = await startCeiling(folder);
  try {
    return await measure(server);
  } finally {
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function withBus<T>(measure: (bus: Running) => Promise<T>): Promise<T> {
  const home = mkdtempSync(join(tmpdir(), 'bench-deliver-'));
  const bus = await startBus(home, undefined);
  try {
    return await measure(bus);
  } finally {
    await bus.stop();
    rmSync(home, { recursive: true, force: true });
  }
}

/** From the moment a publish is sent until each subscriber has the event: so it includes the sync. */
async function latencyOf({ url }: Running, subscribers: number, seconds: number): Promise<Latency> {
  const sentAt: number[] = [];
  const took: number[] = [];
  let first = Number.POSITIVE_INFINITY;
  const hear = (n: number) => {
    if (n >= first) took.push(performance.now() - (sentAt[n] as number));
  };
  const all = Array.from({ length: subscribers }, () => subscribe(url, '/events/stream', hear));
  await Promise.all(all.map(({ ready }) => ready));
  const answered = await publishAtRate(url, seconds, {
    sent: (n) => {
      sentAt[n] = performance.now();
    },
    counts: (n) => {
      first = n;
    },
  });
  await pause(500);
  const published = sentAt.length - first;
  for (const { end } of all) end();
  if (took.length !== published * subscribers)
    throw new Error(`${published} events for ${subscribers} subscribers were heard ${took.length} times.`);
  const maxMs = took.reduce((most, ms) => Math.max(most, ms), 0);
  return { subscribers, published, ...timingOf(took), maxMs, answered };
}

async function answeredAtRate(url: string, seconds: number): Promise<Timing> {
  return publishAtRate(url, seconds, { sent: () => undefined, counts: () => undefined });
}

/** Publishes `perSecond`, warming up first. `sent` is told of each number, `counts` of the first after the warm-up. */
async function publishAtRate(
  url: string,
  seconds: number,
  tell: { sent(n: number): void; counts(n: number): void },
): Promise<Timing> {
  const agent = new Agent({ keepAlive: true });
  const took: number[] = [];
  const began = performance.now();
  let isCounting = false;
  for (let n = 0; ; n++) {
    const due = began + (n * 1000) / perSecond;
    if (due > performance.now()) await pause(due - performance.now());
    const sent = performance.now();
    if (sent - began > warmUpMs + seconds * 1000) break;
    if (!isCounting && sent - began > warmUpMs) {
      isCounting = true;
      tell.counts(n);
    }
    tell.sent(n);
    const answer = post(agent, `${url}/events`, { source_agent: 'ARGUS', action: 'cpu_sampled', details: { n } });
    if (isCounting) void answer.then(() => took.push(performance.now() - sent));
  }
  await pause(200);
  agent.destroy();
  return timingOf(took);
}

function timingOf(took: readonly number[]): Timing {
  return { p50Ms: percentile(took, 0.5), p99Ms: percentile(took, 0.99) };
}

/** The memory of the whole process with so many streams open, none of which says anything. */
async function idleMemory({ url, pid }: Running, streams: number): Promise<DeliverResult['idle']> {
  const beforeMiB = memoryMiB(pid);
  const open: Socket[] = [];
  for (let i = 0; i < streams; i++) open.push(await openStream(url));
  await pause(settleMs);
  const withMiB = memoryMiB(pid);
  for (const socket of open) socket.destroy();
  return { streams, beforeMiB, withMiB };
}

function openStream(url: string): Promise<Socket> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), hostname, () => {
      socket.write(`GET /events/stream HTTP/1.1\r\nHost: ${hostname}:${port}\r\n\r\n`);
    });
    socket.once('error', reject);
    socket.once('data', (head) => {
      if (head.toString('latin1').startsWith('HTTP/1.1 200')) resolve(socket.resume());
      else reject(new Error(`No stream: ${head.toString('latin1').slice(0, 200)}`));
    });
  });
}

function memoryMiB(pid: number): number {
  const kiB = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return Number(kiB) / 1024;
}

type Claimed = { deliveries: { id: string; lease: string }[] };

/** Each consumer claims one delivery and acknowledges it, again and again: two requests for each delivery. */
async function claimRate({ url }: Running, consumers: number, seconds: number): Promise<Claims> {
  const agent = new Agent({ keepAlive: true });
  const fill = async (count: number) => {
    const events = Array.from({ length: batch }, () => ({ source_agent: 'X', action: 'build_started', target: 'dev' }));
    for (let done = 0; done < count; done += batch) await post(agent, `${url}/events:batch`, events);
  };
  const took: number[] = [];
  const consume = async (until: number) => {
    while (performance.now() < until) {
      const start = performance.now();
      const { deliveries } = await post<Claimed>(agent, `${url}/agents/CHRONOS/deliveries:claim`, { max: 1 });
      const [own] = deliveries;
      if (own === undefined) throw new Error('The queue ran empty while it was measured.');
      await post(agent, `${url}/agents/CHRONOS/deliveries/${own.id}:ack`, { lease: own.lease });
      took.push(performance.now() - start);
    }
  };
  await fill(20_000 * (seconds + 2));
  const run = (ms: number) => {
    const until = performance.now() + ms;
    return Promise.all(Array.from({ length: consumers }, () => consume(until)));
  };
  await run(warmUpMs);
  took.length = 0;
  const began = performance.now();
  await run(seconds * 1000);
  const perSecond = took.length / ((performance.now() - began) / 1000);
  agent.destroy();
  return { consumers, perSecond, p50Ms: percentile(took, 0.5), p99Ms: percentile(took, 0.99) };
}
