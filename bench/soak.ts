import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { Agent } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { startBus } from './contestants.ts';
import { get } from './load/get.ts';
import { post } from './load/post.ts';
import { subscribe } from './load/subscriber.ts';
import { publishLoad } from './load/wrk.ts';
import { median } from './machine.ts';
import { headOf } from './server.ts';
import { missingTool } from './tools.ts';

export type SoakOptions = { minutes: number; note(line: string): void };
export type Sample = { atSeconds: number; rssMiB: number; heapMiB: number };
export type SoakResult = {
  minutes: number;
  perSecond: number;
  fullPerSecond: number;
  /** Claimed and acknowledged, refused to be held (given back), over the whole time. */
  acknowledged: number;
  givenBack: number;
  samples: Sample[];
  purged: number;
  left: string[];
};

const connections = 64;
const sampleEveryMs = 5_000;
const purgeEverySamples = 6;
/** Keeps the newest events of each kind, so that purging runs all the time as well. */
const settings = `bus:
  retention:
    - { actions: '*', max_count: 200000 }
`;

/**
 * Half of what the machine can, for minutes: publishing, readers of the stream, consumers that acknowledge and give back,
 * purging beside it. What counts is whether memory stays where it is.
 */
export async function benchSoak({ minutes, note }: SoakOptions): Promise<SoakResult> {
  const result: SoakResult = {
    minutes,
    perSecond: 0,
    fullPerSecond: 0,
    acknowledged: 0,
    givenBack: 0,
    samples: [],
    purged: 0,
    left: [],
  };
  const why = missingTool('wrk');
  if (why) return { ...result, left: [`the soak: ${why}`] };
  const home = mkdtempSync(join(tmpdir(), 'bench-soak-'));
  mkdirSync(join(home, 'config'));
  writeFileSync(join(home, 'config/leveredge.yaml'), settings);
  const bus = await startBus(home, undefined);
  const agent = new Agent({ keepAlive: true });
  try {
    await hearByTail(agent, bus.url, ['AEGIS', 'CHRONOS']);
    const full = await publishLoad({ url: bus.url, connections, seconds: 5 });
    result.fullPerSecond = full.requests / full.seconds;
    const pauseMs = Math.max(1, Math.round((connections * 1000) / (result.fullPerSecond / 2) - full.p50Ms / 2));
    const readers = Array.from({ length: 10 }, () => subscribe(bus.url, '/events/stream', () => {}));
    const until = performance.now() + minutes * 60_000;
    const consumers = ['HERMES', 'HEPHAESTUS'].map((name) => consume(agent, bus.url, name, until, result));
    const sampling = sample(agent, bus.url, bus.pid, until, result.samples, note);
    const before = await headOf(bus.url);
    await publishLoad({ url: bus.url, connections, seconds: minutes * 60, pauseMs });
    result.perSecond = ((await headOf(bus.url)) - before) / (minutes * 60);
    await Promise.all([...consumers, sampling]);
    for (const { end } of readers) end();
    result.purged = await purgedIn(agent, bus.url);
    return result;
  } finally {
    agent.destroy();
    await bus.stop();
    rmSync(home, { recursive: true, force: true });
  }
}

/** The medians of the second and of the last fifth: at the beginning the process is still being compiled. */
export function growth(samples: readonly Sample[]): { early: Sample; late: Sample } {
  const fifth = Math.max(1, Math.floor(samples.length / 5));
  const middle = (part: readonly Sample[]): Sample => ({
    atSeconds: median(part.map(({ atSeconds }) => atSeconds)),
    rssMiB: median(part.map(({ rssMiB }) => rssMiB)),
    heapMiB: median(part.map(({ heapMiB }) => heapMiB)),
  });
  return { early: middle(samples.slice(fifth, 2 * fifth)), late: middle(samples.slice(-fifth)) };
}

/** What they hear with priority 1 is never purged while they have not acknowledged it, and here nobody runs them. */
async function hearByTail(agent: Agent, url: string, names: readonly string[]): Promise<void> {
  const { subscriptions } = JSON.parse(await get(agent, `${url}/subscriptions`)) as {
    subscriptions: { id: string; agent_name: string }[];
  };
  for (const { id, agent_name } of subscriptions)
    if (names.includes(agent_name))
      await fetch(`${url}/subscriptions/${id}`, { method: 'PATCH', body: '{"mode":"tail"}' }).then((r) => r.text());
}

type Claimed = { deliveries: { id: string; lease: string }[] };

async function consume(agent: Agent, url: string, name: string, until: number, result: SoakResult): Promise<void> {
  for (let n = 0; performance.now() < until; ) {
    const claim = { max: 10, wait_seconds: 1 };
    const { deliveries } = await post<Claimed>(agent, `${url}/agents/${name}/deliveries:claim`, claim);
    for (const { id, lease } of deliveries) {
      const back = ++n % 10 === 0;
      await post(agent, `${url}/agents/${name}/deliveries/${id}:${back ? 'nack' : 'ack'}`, { lease });
      if (back) result.givenBack++;
      else result.acknowledged++;
    }
  }
}

async function sample(
  agent: Agent,
  url: string,
  pid: number,
  until: number,
  samples: Sample[],
  note: (line: string) => void,
): Promise<void> {
  const began = performance.now();
  while (performance.now() < until) {
    await pause(Math.min(sampleEveryMs, until - performance.now()));
    const metrics = await get(agent, `${url}/metrics`);
    const heap = /^nodejs_heap_size_used_bytes ([\d.e+]+)$/m.exec(metrics)?.[1];
    const rss = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    samples.push({
      atSeconds: (performance.now() - began) / 1000,
      rssMiB: Number(rss) / 1024,
      heapMiB: Number(heap) / 2 ** 20,
    });
    // The bus does it by itself every ten minutes, which would be once.
    if (samples.length % purgeEverySamples === 0) await post(agent, `${url}/retention:run`, {});
    if (samples.length % 12 === 0) note(`${samples.length * 5} s: ${samples.at(-1)?.rssMiB.toFixed(0)} MiB`);
  }
}

async function purgedIn(agent: Agent, url: string): Promise<number> {
  let total = 0;
  let before = '';
  for (;;) {
    const page = JSON.parse(await get(agent, `${url}/events?action=events_purged&limit=1000${before}`)) as {
      events: { details: { count: number } }[];
      next: string | null;
    };
    for (const { details } of page.events) total += details.count;
    if (page.next === null) return total;
    before = `&before=${page.next}`;
  }
}
