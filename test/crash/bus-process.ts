import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

const program = join(import.meta.dirname, '../../src/bin/leveredge.ts');
const startLimitMs = 20_000;
const exitLimitMs = 15_000;
const maxOutput = 100_000;

/** How a process ended: its exit code, or the signal that killed it. */
export type Exited = { code: number | null; signal: NodeJS.Signals | null; output: string };

export type BusProcess = {
  url: string;
  pid: number;
  output(): string;
  /** Sends the signal and waits for the end. */
  kill(signal: NodeJS.Signals): Promise<Exited>;
};

export type BusOptions = { home: string; port?: number; env?: Record<string, string> | undefined };

/** The real bus as a process of its own. Settles when it answers `/health`, fails with what it said when it ends first. */
export async function startBus(options: BusOptions): Promise<BusProcess> {
  const started = spawnBus(options);
  const end = performance.now() + startLimitMs;
  while (performance.now() < end && started.running()) {
    const url = /http:\/\/127\.0\.0\.1:\d+/.exec(started.output())?.[0];
    if (url && (await isHealthy(url)))
      return { url, pid: started.child.pid as number, output: started.output, kill: started.kill };
    await pause(10);
  }
  const { code, signal, output } = await started.kill('SIGKILL');
  throw new Error(`The bus did not start (exit ${code ?? signal}):\n${output}`);
}

/** Starts the bus and kills it after some milliseconds, wherever it is by then. */
export async function killWhileStarting(options: BusOptions, afterMs: number): Promise<void> {
  const started = spawnBus(options);
  await pause(afterMs);
  await started.kill('SIGKILL');
}

/** Runs the bus where it is expected to refuse, and waits for its end. */
export async function runBusToItsEnd(options: BusOptions): Promise<Exited> {
  const started = spawnBus(options);
  const end = performance.now() + exitLimitMs;
  while (started.running()) {
    if (performance.now() > end) {
      await started.kill('SIGKILL');
      throw new Error(`The bus should have refused to start, and ran:\n${started.output()}`);
    }
    await pause(10);
  }
  return started.ended;
}

function spawnBus({ home, port = 0, env }: BusOptions) {
  const child: ChildProcess = spawn(process.execPath, [program, 'bus', '--home', home, '--port', String(port)], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
  });
  let output = '';
  const listen = (chunk: Buffer) => {
    output = (output + chunk.toString()).slice(-maxOutput);
  };
  child.stdout?.on('data', listen);
  child.stderr?.on('data', listen);
  const ended = new Promise<Exited>((resolve) =>
    child.once('close', (code, signal) => resolve({ code, signal, output })),
  );
  return {
    child,
    ended,
    output: () => output,
    running: () => child.exitCode === null && child.signalCode === null,
    kill(signal: NodeJS.Signals) {
      child.kill(signal);
      return ended;
    },
  };
}

async function isHealthy(url: string): Promise<boolean> {
  try {
    const response = await fetch(`${url}/health`);
    await response.arrayBuffer();
    return response.ok;
  } catch {
    // Not listening yet; asked again until the limit.
    return false;
  }
}
