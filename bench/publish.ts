import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Contestant, type Cores, connectionsTried, contestants, startBus } from './contestants.ts';
import { watchHealth } from './load/watch-health.ts';
import { type Figures, publishLoad } from './load/wrk.ts';
import { median } from './machine.ts';
import { slowSync } from './slow-sync.ts';
import { missingTool } from './tools.ts';

export type PublishOptions = { rounds: number; seconds: number; note(line: string): void };
export type Middle = { perSecond: number; p50Ms: number; p99Ms: number; failed: number };
/** By contestant and number of connections; medians over the rounds. */
export type Table = Map<string, Map<number, Middle>>;
export type PublishResult = {
  pinned: Table;
  free: Table;
  slowed: Table;
  /** Events a second in batches of `batchSize`. */
  batches: Table;
  /** The longest wait for a GET /health beside 64 publishing connections, by round, in milliseconds. */
  healthMaxMs: number[];
  /** What could not be measured here, and why. */
  left: string[];
};

const kinds = ['pinned', 'free', 'slowed', 'batches'] as const;
const pinned: Cores = { server: '0', load: '1' };
const free: Cores = { server: undefined, load: undefined };
const slowedByUs = 1_000;
/** What the shim cannot reach: PostgreSQL has its own start, and a Go program calls the kernel past the C library. */
const unslowed = ['pgBoss', 'nats'];
export const batchSize = 100;
export const batchConnections = [1, 16];

const { bus, ceiling, each, python, redis, nats, pgBoss } = contestants;

/** Durable single publishes, rivals taking turns in each round so that the machine's moods hit all of them. */
export async function benchPublish({ rounds, seconds, note }: PublishOptions): Promise<PublishResult> {
  const left: string[] = [];
  const refuse = (line: string) => {
    left.push(line);
    note(`LEFT OUT: ${line}`);
  };
  const result: PublishResult = {
    pinned: new Map(),
    free: new Map(),
    slowed: new Map(),
    batches: new Map(),
    healthMaxMs: [],
    left,
  };
  const tool = missingTool('wrk') ?? missingTool('taskset');
  if (tool) {
    refuse(`all publishing: ${tool}`);
    return result;
  }
  const folder = mkdtempSync(join(tmpdir(), 'bench-publish-'));
  const shim = slowSync(folder, slowedByUs);
  if (typeof shim === 'string') refuse(shim);
  const present: Contestant[] = [];
  for (const contestant of [bus, ceiling, each, python, redis, nats, pgBoss]) {
    const why = await contestant.missing();
    if (why) refuse(`${contestant.title}: ${why}`);
    else present.push(contestant);
  }
  const overHttp = present.filter(({ name }) => !unslowed.includes(name));
  const rows: Record<(typeof kinds)[number], Map<string, Map<number, Figures[]>>> = {
    pinned: new Map(),
    free: new Map(),
    slowed: new Map(),
    batches: new Map(),
  };
  const turn = async (kind: keyof typeof rows, contestant: Contestant, connections: number[], round: number) => {
    const own = join(folder, `${kind}-${contestant.name}-${round}`);
    mkdirSync(own);
    const env = kind === 'slowed' && typeof shim !== 'string' ? shim.env : undefined;
    const cores = kind === 'free' ? free : pinned;
    const course = { folder: own, cores, connections, seconds, ...(env && { env }) };
    const figures = await contestant.publish(kind === 'batches' ? { ...course, batch: batchSize } : course);
    for (const [count, value] of figures) {
      const row = getOr(rows[kind], contestant.name, () => new Map<number, Figures[]>());
      getOr(row, count, () => []).push(value);
      note(
        `${kind} ${contestant.name} ×${count}: ${(value.requests / value.seconds).toFixed(0)}/s p99 ${value.p99Ms.toFixed(2)} ms`,
      );
    }
    rmSync(own, { recursive: true, force: true });
  };
  try {
    for (let round = 1; round <= rounds; round++) {
      note(`round ${round} of ${rounds}`);
      for (const contestant of present) await turn('pinned', contestant, connectionsTried, round);
      for (const contestant of [bus, ceiling]) await turn('free', contestant, [1, 64], round);
      for (const contestant of [bus, ceiling]) await turn('batches', contestant, batchConnections, round);
      result.healthMaxMs.push(await longestWait(join(folder, `watched-${round}`), seconds));
      note(`longest wait for /health beside it: ${result.healthMaxMs.at(-1)?.toFixed(1)} ms`);
      if (typeof shim !== 'string') for (const contestant of overHttp) await turn('slowed', contestant, [1, 64], round);
    }
    if (typeof shim !== 'string' && !shim.tookEffect()) {
      refuse('slowed syncs: the shim was loaded by nobody');
      rows.slowed.clear();
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  for (const kind of kinds)
    for (const [name, row] of rows[kind])
      result[kind].set(name, new Map([...row].map(([count, figures]) => [count, middleOf(figures)])));
  return result;
}

/** How long the event loop of the bus was busy with one thing while 64 connections publish, cores left to the kernel. */
async function longestWait(home: string, seconds: number): Promise<number> {
  const running = await startBus(home, undefined);
  try {
    const load = { url: running.url, connections: 64 };
    await publishLoad({ ...load, seconds: 1 });
    const watch = watchHealth(running.url);
    await publishLoad({ ...load, seconds });
    return (await watch.end()).maxMs;
  } finally {
    await running.stop();
    rmSync(home, { recursive: true, force: true });
  }
}

function middleOf(figures: readonly Figures[]): Middle {
  return {
    perSecond: median(figures.map(({ requests, seconds }) => requests / seconds)),
    p50Ms: median(figures.map(({ p50Ms }) => p50Ms)),
    p99Ms: median(figures.map(({ p99Ms }) => p99Ms)),
    failed: figures.reduce((sum, { failed }) => sum + failed, 0),
  };
}

function getOr<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  const found = map.get(key) ?? make();
  map.set(key, found);
  return found;
}
