import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { Agent } from 'node:http';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { startBus } from './contestants.ts';
import { post } from './load/post.ts';
import { subscribe } from './load/subscriber.ts';
import { percentile } from './machine.ts';
import type { Running } from './server.ts';

export type DeliverOptions = { seconds: number; idleStreams: number; note(line: string): void };
export type Latency = { subscribers: number; p50Ms: number; p99Ms: number; maxMs: number; published: number };
export type Claims = { consumers: number; perSecond: number; p50Ms: number; p99Ms: number };
export type DeliverResult = {
  latencies: Latency[];
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
  const idle = await withBus((bus) => idleMemory(bus, idleStreams));
  note(`${idleStreams} idle streams: ${idle.withMiB.toFixed(0)} MiB (${idle.beforeMiB.toFixed(0)} MiB before)`);
  const claims: Claims[] = [];
  for (const consumers of consumersTried) {
    const rate = await withBus((bus) => claimRate(bus, consumers, seconds));
    note(`${consumers} consumers: ${rate.perSecond.toFixed(0)} claimed and acknowledged a second`);
    claims.push(rate);
  }
  return { latencies, idle, claims };
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
  let counts = false;
  const hear = (n: number) => {
    if (counts && n >= first) took.push(performance.now() - (sentAt[n] as number));
  };
  const all = Array.from({ length: subscribers }, () => subscribe(url, '/events/stream', hear));
  await Promise.all(all.map(({ ready }) => ready));
  const agent = new Agent({ keepAlive: true });
  let first = Number.POSITIVE_INFINITY;
  const began = performance.now();
  for (let n = 0; ; n++) {
    const due = began + (n * 1000) / perSecond;
    const now = performance.now();
    if (now - began > warmUpMs + seconds * 1000) break;
    if (!counts && now - began > warmUpMs) {
      counts = true;
      first = n;
    }
    if (due > now) await pause(due - now);
    sentAt[n] = performance.now();
    post(agent, `${url}/events`, { source_agent: 'ARGUS', action: 'cpu_sampled', details: { n } }).catch((error) => {
      throw error;
    });
  }
  await pause(500);
  const published = sentAt.length - first;
  for (const { end } of all) end();
  agent.destroy();
  if (took.length !== published * subscribers)
    throw new Error(`${published} events for ${subscribers} subscribers were heard ${took.length} times.`);
  return {
    subscribers,
    published,
    p50Ms: percentile(took, 0.5),
    p99Ms: percentile(took, 0.99),
    maxMs: Math.max(...took),
  };
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
