import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { systemClock } from '../src/base/clock.ts';
import { makeLog } from '../src/base/log.ts';
import { parseBusConfig } from '../src/bus/config.ts';
import { startBus } from '../src/bus/start.ts';
import type { StreamLimits } from '../src/bus/streams/open-streams.ts';
import { allCapabilities } from '../src/capabilities/all-capabilities.ts';
import { adaCapabilities, teaCapabilities } from './tea.fixtures.ts';
import { vaultCapabilities } from './vault.fixtures.ts';

/** A bus in a process of its own, on a home and a port of its own. */
export type BusProcess = {
  url: string;
  port: number;
  home: string;
  pid: number;
  databaseFile: string;
  notices: string[];
  /** What it wrote to its log so far. */
  log(): string;
  /** Asks it to stop and waits for its end. Answers the exit code. Safe to repeat. */
  stop(): Promise<number | null>;
  /** Ends it without asking. */
  kill(): Promise<void>;
  /** Moves the clock of a bus that was started with `aheadMs` forward, and settles when it is so. */
  advance(ms: number): Promise<void>;
};

/** Nothing of the environment but where Node keeps what it has compiled, which makes the start twice as fast. */
const { NODE_COMPILE_CACHE } = process.env;
const keptEnv = NODE_COMPILE_CACHE === undefined ? {} : { NODE_COMPILE_CACHE };

const newHome = () => mkdtempSync(join(tmpdir(), 'leveredge-bus-'));

/** A home for several starts, removed after the test. */
export function temporaryHome(t: TestContext): string {
  const home = newHome();
  t.after(() => rmSync(home, { recursive: true, force: true }));
  return home;
}

type Options = {
  home?: string;
  port?: number;
  host?: string;
  worker?: boolean;
  yaml?: string;
  /** Its clock is so far ahead of the machine's, and can be moved further. Not with `worker`. */
  aheadMs?: number;
  streamLimits?: Partial<StreamLimits>;
};

/**
 * Starts a bus as a second process, the same way as the command line does. Started inside one test, give the test: a
 * failed assertion would otherwise leave the process behind.
 */
export async function startBusProcess(
  options: Options = {},
  t?: { after(end: () => unknown): void },
): Promise<BusProcess> {
  const home = options.home ?? newHome();
  const child = spawn(process.execPath, [fileURLToPath(import.meta.url), JSON.stringify({ ...options, home })], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: keptEnv,
  });
  let log = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    log += text;
  });
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
  const clear = () => {
    if (options.home === undefined) rmSync(home, { recursive: true, force: true });
  };
  const kill = async () => {
    child.kill('SIGKILL');
    await ended;
  };
  t?.after(() => kill().then(clear));
  const lines = createInterface(child.stdout);
  const first = await Promise.race([new Promise<string>((resolve) => lines.once('line', resolve)), ended]);
  if (typeof first !== 'string') throw new Error(`the bus did not start: ${log}`);
  const said = JSON.parse(first);
  if (said.fault) {
    await ended;
    clear();
    throw Object.assign(new Error(said.fault.message), said.fault);
  }
  return {
    ...said,
    home,
    pid: child.pid as number,
    log: () => log,
    async stop() {
      child.stdin.end();
      const code = await ended;
      clear();
      return code;
    },
    kill,
    advance(ms) {
      const moved = Promise.race([new Promise((resolve) => lines.once('line', resolve)), ended]);
      child.stdin.write(`${ms}\n`);
      return moved.then(() => undefined);
    },
  };
}

/** A bus for a whole suite of what may arrive: it must be alive at the end, stop cleanly, and have logged nothing. */
export function unshakenBus(): { bus(): BusProcess } {
  let bus: BusProcess;
  before(async () => {
    bus = await startBusProcess({ worker: true });
  });
  after(async () => {
    const status = await fetch(`${bus.url}/health`).then(
      (response) => response.status,
      () => 'none',
    );
    const code = await bus.stop();
    assert.equal(status, 200, 'the bus was still alive');
    assert.equal(code, 0);
    assert.equal(bus.log(), '', 'nothing unexpected was logged');
  });
  return { bus: () => bus };
}

/** The second process: says where it listens, and stops when its standard input ends. */
async function main(argument: string): Promise<void> {
  const {
    home,
    port = 0,
    host,
    worker = false,
    yaml,
    aheadMs = 0,
    streamLimits,
  }: Options & { home: string } = JSON.parse(argument);
  let ahead = aheadMs;
  const clock = () => systemClock() + ahead;
  const log = makeLog((line) => process.stderr.write(line), systemClock);
  try {
    const config = parseBusConfig({
      flags: { port: String(port), host },
      env: {},
      yaml: yaml === undefined ? undefined : { path: 'leveredge.yaml', text: yaml },
      home,
    });
    const capabilities = [...allCapabilities, ...teaCapabilities, ...adaCapabilities, ...vaultCapabilities];
    const storeWorker = worker ? new URL('../src/bin/store-worker.ts', import.meta.url) : undefined;
    const deps = { log, clock, storeWorker, version: '0.0.0-test', streamLimits, capabilities };
    const { close, ...bus } = await startBus(config, deps);
    process.stdout.write(`${JSON.stringify(bus)}\n`);
    createInterface(process.stdin)
      .on('line', (line) => {
        ahead += Number(line);
        process.stdout.write('moved\n');
      })
      .once('close', () => void close());
  } catch (error) {
    const { message, code, hint, mistakes, extra } = error as Record<string, unknown>;
    process.stdout.write(`${JSON.stringify({ fault: { message, code, hint, mistakes, extra } })}\n`);
    process.exitCode = 1;
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main(process.argv[2] as string);
