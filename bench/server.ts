import { type ChildProcess, spawn } from 'node:child_process';
import { setTimeout as pause } from 'node:timers/promises';

const startLimitMs = 30_000;
const stopLimitMs = 10_000;

export type Running = { url: string; pid: number; startedInMs: number; stop(): Promise<void> };

export type Start = {
  command: readonly string[];
  /** Where it will listen, or a pattern over its output whose first group is the port. */
  port: number | RegExp;
  core?: string | undefined;
  env?: Record<string, string> | undefined;
};

/** Starts a server as a process of its own, pinned to a core if asked, and waits until its `/health` answers. */
export async function startServer({ command, port, core, env }: Start): Promise<Running> {
  const began = performance.now();
  const line = core === undefined ? command : ['taskset', '-c', core, ...command];
  const child = spawn(line[0] as string, line.slice(1), {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
  });
  let said = '';
  const listen = (chunk: Buffer) => {
    if (said.length < 20_000) said += chunk.toString();
  };
  child.stdout.on('data', listen);
  child.stderr.on('data', listen);
  while (performance.now() - began < startLimitMs) {
    if (child.exitCode !== null) break;
    const found = typeof port === 'number' ? String(port) : port.exec(said)?.[1];
    const url = `http://127.0.0.1:${found}`;
    if (found && (await answers(`${url}/health`)))
      return { url, pid: child.pid as number, startedInMs: performance.now() - began, stop: () => stop(child) };
    await pause(5);
  }
  child.kill('SIGKILL');
  throw new Error(`${line.join(' ')} did not start:\n${said}`);
}

async function answers(url: string): Promise<boolean> {
  try {
    const response = await fetch(url);
    await response.arrayBuffer();
    return response.ok;
  } catch {
    // Not listening yet; the caller asks again until its limit.
    return false;
  }
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), stopLimitMs);
  await gone;
  clearTimeout(timer);
}

/** The number of the last event a server says it has. */
export async function headOf(url: string): Promise<number> {
  const health = (await (await fetch(`${url}/health`)).json()) as { head: number };
  return health.head;
}
