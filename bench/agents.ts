import { appendFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { makeExampleTarget } from '../src/bin/example-target.ts';
import { databaseFileIn } from '../src/bus/database-file.ts';
import { makeClient } from '../src/client/client.ts';
import { fill } from './fill.ts';
import { median, percentile } from './machine.ts';
import { startServer } from './server.ts';

const root = join(import.meta.dirname, '..');
const launcher = join(root, 'bin', 'leveredge.mjs');
const worker = new URL('../src/bin/store-worker.ts', import.meta.url);
const events = 100_000;
const idleSeconds = 30;
const ticksPerSecond = 100;
const warmUp = 200;

export type AgentsResult = {
  /** From the start of the process to its first answer, each. */
  readyMs: number[];
  idle: { rssMiB: number; corePercent: number };
  burst: { events: number; reactions: number; seconds: number };
  /** Milliseconds of one call after the other: a capability, and what it reads, asked directly. */
  call: number[];
  direct: number[];
};

type Options = { quick: boolean; note(line: string): void };

/** The bus and all agents in one process on a log of 100 thousand events, as `npm start` runs them. */
export async function benchAgents({ quick, note }: Options): Promise<AgentsResult> {
  const home = mkdtempSync(join(tmpdir(), 'bench-agents-'));
  try {
    await fill(databaseFileIn(home), events, worker);
    // By its schedule CHRONOS would back all of this up in the middle of what is measured.
    makeExampleTarget(home);
    appendFileSync(join(home, 'gaia', 'config.yaml'), 'schedule: off\n');
    const command = [process.execPath, launcher, 'up', '--port', '0', '--home', home, '--json'];
    const start = () => startServer({ command, port: /127\.0\.0\.1:(\d+)/ });
    const readyMs: number[] = [];
    for (let round = 0; round < 5; round++) {
      const once = await start();
      readyMs.push(once.startedInMs);
      await once.stop();
    }
    note(`ready after ${median(readyMs).toFixed(0)} ms`);
    // What the fill owes them is no part of being idle.
    const first = await start();
    await agentsAlive(first.url);
    await worked(first.url);
    await first.stop();
    const up = await start();
    try {
      await agentsAlive(up.url);
      await pause(10_000);
      const idle = await idling(up.pid, quick ? 5 : idleSeconds);
      note(`idle: ${idle.rssMiB.toFixed(0)} MiB, ${idle.corePercent.toFixed(2)} % of a core`);
      const { call, direct } = await calling(up.url, quick ? 200 : 2000);
      note(`a call: ${percentile(call, 0.99).toFixed(1)} ms (p99)`);
      const burst = await bursting(up.url, quick ? 1000 : 10_000);
      note(`a burst of ${burst.events}: ${burst.seconds.toFixed(1)} s`);
      return { readyMs, idle, burst, call, direct };
    } finally {
      await up.stop();
    }
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
}

async function agentsAlive(url: string): Promise<void> {
  const client = makeClient({ url });
  for (;;) {
    const alive = (await client.agents()).filter(({ state }) => state === 'alive').map(({ agent }) => agent);
    if (['ATLAS', 'CHRONOS', 'HADES'].every((agent) => alive.includes(agent))) return;
    await pause(100);
  }
}

const busy = ['CHRONOS', 'HADES'];

/** Until nothing waits for those that react. @throws Error for a dead letter */
async function worked(url: string): Promise<void> {
  const client = makeClient({ url });
  for (;;) {
    const owed = (await client.agents()).filter(({ agent }) => busy.includes(agent));
    if (owed.some(({ deliveries }) => deliveries.dead > 0)) throw new Error('There is a dead letter.');
    if (owed.every(({ deliveries: { ready, leased } }) => ready + leased === 0)) return;
    await pause(100);
  }
}

async function idling(pid: number, seconds: number): Promise<AgentsResult['idle']> {
  // The launcher hands over to the Node that comes with the package.
  const child = childOf(pid) ?? pid;
  const before = ticksOf(child);
  await pause(seconds * 1000);
  const corePercent = ((ticksOf(child) - before) / ticksPerSecond / seconds) * 100;
  const rss = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${child}/status`, 'utf8'))?.[1];
  return { rssMiB: Number(rss) / 1024, corePercent };
}

function childOf(pid: number): number | undefined {
  const [first] = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ');
  return first ? Number(first) : undefined;
}

function ticksOf(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return Number(fields[11]) + Number(fields[12]);
}

/** In turns, one after the other. */
async function calling(url: string, calls: number): Promise<Pick<AgentsResult, 'call' | 'direct'>> {
  const client = makeClient({ url });
  const call: number[] = [];
  const direct: number[] = [];
  for (let number = 0; number < calls + warmUp; number++) {
    const began = performance.now();
    const { status } = await client.callCapability('atlas.pending', { limit: 1 });
    const between = performance.now();
    await client.pending({ limit: 1 });
    const ended = performance.now();
    if (status !== 'done') throw new Error(`The call is ${status}.`);
    if (number < warmUp) continue;
    call.push(between - began);
    direct.push(ended - between);
  }
  return { call, direct };
}

/** Half of them CHRONOS reacts to with an event, half HADES passes over. */
async function bursting(url: string, count: number): Promise<AgentsResult['burst']> {
  const client = makeClient({ url });
  const skipped = async () => {
    let found = 0;
    for (let before: string | undefined; ; ) {
      const page = await client.events({ action: 'backup_skipped', limit: 1000, before });
      found += page.count;
      if (page.next === null) return found;
      before = page.next;
    }
  };
  const earlier = await skipped();
  const began = performance.now();
  for (let from = 0; from < count; from += 1000)
    await client.publishBatch(
      Array.from({ length: 1000 }, (_, at) => ({
        source_agent: 'BENCH',
        action: (from + at) % 2 === 0 ? 'deploy_started' : 'import_failed',
      })),
    );
  await worked(url);
  const seconds = (performance.now() - began) / 1000;
  const reactions = (await skipped()) - earlier;
  if (reactions !== count / 2) throw new Error(`${reactions} of ${count / 2} reactions.`);
  return { events: count, reactions, seconds };
}

/** The agents' part of docs/performance.md. */
export function agentsReport({ readyMs, idle, burst, call, direct }: AgentsResult): string {
  const row = (what: string, most: string, measured: string, met: boolean) =>
    `| ${what} | ${most} | ${measured} | ${met ? 'yes' : '**no**'} |`;
  const adds = percentile(call, 0.99) - percentile(direct, 0.99);
  return [
    '### Agents',
    '',
    `The bus, ATLAS, CHRONOS and HADES in one process, on a log of ${events.toLocaleString('en')} events.`,
    '',
    '| | p50, ms | p99, ms |',
    '|---|---|---|',
    `| \`POST /capabilities/atlas.pending\` | ${percentile(call, 0.5).toFixed(2)} | ${percentile(call, 0.99).toFixed(2)} |`,
    `| what it reads, asked directly: \`GET /events/pending/human\` | ${percentile(direct, 0.5).toFixed(2)} | ${percentile(direct, 0.99).toFixed(2)} |`,
    '',
    '| what | wanted | measured | met |',
    '|---|---|---|---|',
    row('a call over HTTP adds, ms (p99)', 'under 10', adds.toFixed(2), adds < 10),
    row('start to the first answer, s', 'under 1.5', (median(readyMs) / 1000).toFixed(2), median(readyMs) < 1500),
    row('idle, MiB resident', 'under 200', idle.rssMiB.toFixed(0), idle.rssMiB < 200),
    row('idle, % of a core', 'under 1', idle.corePercent.toFixed(2), idle.corePercent < 1),
    row(
      `a burst of ${burst.events.toLocaleString('en')} events through all agents: lost`,
      '0',
      `0 (${burst.reactions.toLocaleString('en')} reactions, all worked off in ${burst.seconds.toFixed(1)} s)`,
      true,
    ),
  ].join('\n');
}
