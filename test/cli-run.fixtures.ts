import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { readPrivately } from '../src/base/private-file.ts';
import type { Surroundings } from '../src/channels/cli/door.ts';
import { run } from '../src/channels/cli/program.ts';
import { makeClient } from '../src/client/client.ts';

export const launcher = join(import.meta.dirname, '..', 'bin', 'leveredge.mjs');

/** Long enough for a slow machine; every test ends long before. */
const startTimeoutMs = 20_000;

/** A folder that goes away with its test. */
export function temporaryFolder(t: { after(fn: () => void): void }): string {
  const folder = mkdtempSync(join(tmpdir(), 'leveredge-cli-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

export type Ended = { exit: number | null; signal: string | null; stdout: string; stderr: string };

/**
 * A command line as a process of its own, through the launcher, with nothing in its environment but what is given. As
 * below npm, the launcher ends with the process above it, so a test run that is cut off leaves no bus behind.
 */
export function start(
  args: readonly string[],
  env: Record<string, string> = {},
  program = [process.execPath, launcher],
) {
  const [command, ...before] = program as [string, ...string[]];
  const child = spawn(command, [...before, ...args], {
    env: { PATH: process.env.PATH, npm_lifecycle_event: 'test', ...env },
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text) => {
    stderr += text;
  });
  const ended = new Promise<Ended>((resolve) =>
    child.once('close', (exit, signal) => resolve({ exit, signal, stdout, stderr })),
  );
  return {
    child,
    ended,
    /** Resolves with the first line of the stream that fits. */
    async says(stream: 'stdout' | 'stderr', pattern: RegExp): Promise<RegExpExecArray> {
      const lines = createInterface(child[stream]);
      return new Promise((resolve, reject) => {
        const late = setTimeout(() => reject(new Error(`never said ${pattern}: ${stdout}${stderr}`)), startTimeoutMs);
        const conclude = () => {
          clearTimeout(late);
          reject(new Error(`ended before it said ${pattern}: ${stdout}${stderr}`));
        };
        lines.on('close', conclude);
        lines.on('line', (line) => {
          const match = pattern.exec(line);
          if (!match) return;
          clearTimeout(late);
          resolve(match);
        });
      });
    },
  };
}

export const leveredge = (args: readonly string[], env: Record<string, string> = {}) => start(args, env).ended;

export type Bus = { url: string; home: string; stop(signal?: NodeJS.Signals): Promise<Ended> };

/** A bus as `leveredge bus` runs it, on any free port. */
export async function startBus(home: string, args: readonly string[] = ['--port', '0']): Promise<Bus> {
  const bus = start(['bus', '--home', home, ...args]);
  const [, url] = await bus.says('stdout', /listens at (http\S+)/);
  return {
    url: url as string,
    home,
    stop(signal = 'SIGTERM') {
      bus.child.kill(signal);
      return bus.ended;
    },
  };
}

/** A command line in this process: the same code, with a terminal if wanted, and a clock. */
export function inProcess(
  url: string,
  terminal: Surroundings['terminal'] = { is: false, columns: 80 },
  connect: Surroundings['connect'] = (to, token) => makeClient({ url: to, token }),
  tokenFile?: string,
  more: Partial<Surroundings> = {},
) {
  const around = {
    version: '0.0.0',
    program: 'leveredge',
    nodeVersion: process.versions.node,
    env: { url, port: undefined, host: undefined, tokenFile },
    readSecret: readPrivately,
    askSecret: async () => undefined,
    isThisMachine: () => true,
    findHome: () => ({ dir: '/no/home/here', because: 'a test' }),
    databaseFile: (home: string) => `${home}/events.db`,
    recordedBus: () => undefined,
    user: 'berta',
    clock: Date.now,
    signal: new AbortController().signal,
    terminal,
    say: () => undefined,
    print: async () => undefined,
    connect,
    ...more,
  } as unknown as Surroundings;
  return (...args: string[]) => run(args, around, false);
}
