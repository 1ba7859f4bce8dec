import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { Agent } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { startBus } from './contestants.ts';
import { type Filled, fill } from './fill.ts';
import { get } from './load/get.ts';
import { percentile } from './machine.ts';
import { headOf } from './server.ts';
import { missingTool } from './tools.ts';

export type ReadOptions = { small: number; large: number; requests: number; note(line: string): void };
export type Timing = { p50Ms: number; p99Ms: number };
export type ReadRow = { name: string; small: Timing; large: Timing; busy: Timing | undefined };
export type ReadResult = {
  sizes: { small: number; large: number };
  rows: ReadRow[];
  bytesPerEvent: number;
  /** From the start of the process to its first answer: with a large log, and with an empty home. */
  startMs: { large: number; empty: number };
  fillPerSecond: number;
  /** `leveredge audit verify` on the large log, from start to exit. */
  verifySeconds: number;
  /** What the load beside the last column really stored. */
  writesBesidePerSecond: number;
  left: string[];
};

/** The one list that is allowed more time: twenty pages in one. */
export const aThousand = 'limit=1000';

type Query = { name: string; path(filled: Filled, epoch: string, head: number): string };

const program = join(import.meta.dirname, '../src/bin/leveredge.ts');
const storeWorker = new URL('../src/bin/store-worker.ts', import.meta.url);
const warmUps = 20;
const maxMsPerQuery = 4_000;
const starts = 3;
/** 16 connections, each pausing 30 ms after an answer: about 500 publishes a second. */
const writeLoad = { connections: 16, pauseMs: 30 };

const list = (query: string): Query => ({ name: `GET /events${query && `?${query}`}`, path: () => `/events?${query}` });
const queries: Query[] = [
  list(''),
  list(aThousand),
  { name: 'GET /events?before=(middle)', path: (_filled, epoch, head) => `/events?before=${epoch}.${head >> 1}` },
  list('source_agent=HEPHAESTUS'),
  list('source_agent=HADES'),
  list('source_agent=NOBODY'),
  list('action=cpu_sampled'),
  list('action=credential_expiring'),
  list('action=nothing_like_it'),
  ...['pending', 'acknowledged', 'completed', 'failed', 'timeout'].map((status) => list(`status=${status}`)),
  list('source_agent=HEPHAESTUS&action=build_failed'),
  list('source_agent=HADES&status=timeout'),
  list('action=workflow_modified&status=acknowledged'),
  list('source_agent=AEGIS&action=workflow_modified&status=pending'),
  ...inbox('AEGIS', 'queue, all done but the oldest and newest'),
  ...inbox('HERMES', 'queue, nothing done'),
  ...inbox('ARGUS', 'tail, all done but the oldest and newest'),
  ...inbox('ATHENA', 'tail on *, nothing done'),
  ...inbox('NOBODY', 'unknown'),
  { name: 'GET /events/pending/human', path: () => '/events/pending/human?limit=50' },
  { name: 'GET /events/{id} (oldest)', path: ({ ids }) => `/events/${ids.oldest}` },
  { name: 'GET /events/{id} (newest)', path: ({ ids }) => `/events/${ids.newest}` },
  { name: 'GET /explain', path: () => '/explain?action=deploy_started' },
  { name: 'GET /subscriptions', path: () => '/subscriptions' },
  { name: 'GET /health', path: () => '/health' },
];

function inbox(agent: string, what: string): Query[] {
  const path = `/agents/${agent}/events?limit=50`;
  return [
    { name: `inbox of ${agent} (${what})`, path: () => path },
    { name: `inbox of ${agent}, unacknowledged`, path: () => `${path}&unacknowledged_only=true` },
  ];
}

type Measured = {
  timings: Map<string, Timing>;
  busy: Map<string, Timing>;
  writesPerSecond: number;
  bytes: number;
  startMs: number;
  verifySeconds: number;
  filled: Filled;
};

/** Every list and filter, one request at a time over one connection, with a small and a large log. */
export async function benchRead({ small, large, requests, note }: ReadOptions): Promise<ReadResult> {
  const left: string[] = [];
  const why = missingTool('wrk');
  if (why) left.push(`reads beside a write load: ${why}`);
  for (const line of left) note(`LEFT OUT: ${line}`);
  const few = await measure(small, requests, false, note);
  const many = await measure(large, requests, why === undefined, note);
  return {
    sizes: { small, large },
    rows: queries.map(({ name }) => ({
      name,
      small: few.timings.get(name) as Timing,
      large: many.timings.get(name) as Timing,
      busy: many.busy.get(name),
    })),
    bytesPerEvent: many.bytes / large,
    startMs: { large: many.startMs, empty: await startEmpty() },
    fillPerSecond: large / many.filled.seconds,
    verifySeconds: many.verifySeconds,
    writesBesidePerSecond: many.writesPerSecond,
    left,
  };
}

async function measure(
  events: number,
  requests: number,
  beside: boolean,
  note: (line: string) => void,
): Promise<Measured> {
  const home = mkdtempSync(join(tmpdir(), 'bench-read-'));
  const file = join(home, 'control-plane/event-bus/events.db');
  try {
    const filled = await fill(file, events, storeWorker);
    const bytes = statSync(file).size;
    note(`${events} events in ${filled.seconds.toFixed(1)} s, ${(bytes / events).toFixed(0)} bytes an event`);
    const startMs = await startTime(home);
    const verifySeconds = await verifyTime(file);
    note(`verified in ${verifySeconds.toFixed(1)} s`);
    const bus = await startBus(home, undefined);
    try {
      const timings = await timeAll(bus.url, filled, requests, note);
      const before = await headOf(bus.url);
      const began = performance.now();
      const busy = beside ? await besideWrites(bus.url, () => timeAll(bus.url, filled, requests, note)) : new Map();
      const writesPerSecond = ((await headOf(bus.url)) - before) / ((performance.now() - began) / 1_000);
      return { timings, busy, writesPerSecond, bytes, startMs, verifySeconds, filled };
    } finally {
      await bus.stop();
    }
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
}

async function timeAll(url: string, filled: Filled, requests: number, note: (line: string) => void) {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const timings = new Map<string, Timing>();
  const { epoch, head } = JSON.parse(await get(agent, `${url}/health`)) as { epoch: string; head: number };
  for (const { name, path } of queries) {
    const target = `${url}${path(filled, epoch, head)}`;
    const took: number[] = [];
    for (let i = 0; i < warmUps; i++) await get(agent, target);
    const end = performance.now() + maxMsPerQuery;
    while (took.length < requests && performance.now() < end) {
      const start = performance.now();
      await get(agent, target);
      took.push(performance.now() - start);
    }
    timings.set(name, { p50Ms: percentile(took, 0.5), p99Ms: percentile(took, 0.99) });
    note(`${name}: p50 ${percentile(took, 0.5).toFixed(2)} ms, p99 ${percentile(took, 0.99).toFixed(2)} ms`);
  }
  agent.destroy();
  return timings;
}

async function besideWrites<T>(url: string, work: () => Promise<T>): Promise<T> {
  const { connections, pauseMs } = writeLoad;
  const seconds = Math.ceil((queries.length * (maxMsPerQuery + 1_000)) / 1_000);
  const script = join(import.meta.dirname, 'load/publish.lua');
  const env = { ...process.env, PAUSE_MS: String(pauseMs) };
  const load = execFile('wrk', ['-t1', `-c${connections}`, `-d${seconds}s`, '-s', script, url], { env });
  try {
    return await work();
  } finally {
    load.kill('SIGTERM');
  }
}

/** Verifies the audit chain as a process of its own, and fails when it finds anything. */
async function verifyTime(file: string): Promise<number> {
  const began = performance.now();
  await promisify(execFile)(process.execPath, [program, 'audit', 'verify', '--db', file, '--json']);
  return (performance.now() - began) / 1000;
}

async function startTime(home: string): Promise<number> {
  const took: number[] = [];
  for (let i = 0; i < starts; i++) {
    const bus = await startBus(home, undefined);
    took.push(bus.startedInMs);
    await bus.stop();
  }
  return percentile(took, 0.5);
}

async function startEmpty(): Promise<number> {
  const home = mkdtempSync(join(tmpdir(), 'bench-start-'));
  try {
    return await startTime(home);
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
}
