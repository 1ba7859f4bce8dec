import { spawn } from 'node:child_process';
import { lstatSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { GaiaEnd } from '../agents/gaia-end.ts';
import { Fault } from '../base/fault.ts';
import { databaseFileIn } from '../bus/database-file.ts';

/** A GAIA that was asked to end and does not is ended so much later. */
const endingMs = 10_000;
/** Of what it prints only the end counts. */
const maxOutput = 1024 * 1024;

/**
 * Runs GAIA as a process of its own and waits for its end. In a session of its own: Ctrl-C at a terminal is for the agent,
 * which then decides; and when the agent is killed the backup is made all the same.
 * @throws the signal's reason once it has ended the process, or the system's error when it does not start
 */
export function runGaia(words: readonly string[], env: Env, signal: AbortSignal): Promise<GaiaEnd> {
  const file = import.meta.url.endsWith('.ts') ? './gaia.ts' : './gaia.mjs';
  return runProgram(new URL(file, import.meta.url), words, env, signal);
}

/**
 * Copies the bus' own database in the same way, and removes the copies that are too old: `leveredge backup --scheduled`.
 * `as`: as that user, where this process may become anybody.
 */
export function copyBus(home: string, env: Env, signal: AbortSignal, as?: Ids): Promise<GaiaEnd> {
  const file = import.meta.url.endsWith('.ts') ? './leveredge.ts' : './leveredge.mjs';
  const words = ['backup', '--scheduled', '--home', home, '--json', '--quiet'];
  return runProgram(new URL(file, import.meta.url), words, env, signal, as);
}

/**
 * The same by root, for an agent that may not read the database: as the user whose the bus is, so that the copy is that user's,
 * and so are the files that SQLite makes beside the database while it is read.
 * @throws Fault `not-found` where there is no bus
 */
export function copyBusAsItsUser(home: string, env: Env, signal: AbortSignal): Promise<GaiaEnd> {
  const folder = dirname(databaseFileIn(home));
  const found = lstatSync(folder, { throwIfNoEntry: false });
  if (found?.isDirectory() !== true) throw new Fault('not-found', `There is no bus in this home: no folder ${folder}.`);
  const { uid, gid } = found;
  // What of root's environment that user would trip over, as the home of root, stays behind.
  const kept = { PATH: env.PATH, LANG: env.LANG, LEVEREDGE_HOME: home };
  return copyBus(home, kept, signal, process.getuid?.() === 0 ? { uid, gid } : undefined);
}

type Ids = { uid: number; gid: number };

type Env = Readonly<Record<string, string | undefined>>;

async function runProgram(
  url: URL,
  words: readonly string[],
  env: Env,
  signal: AbortSignal,
  as?: Ids,
): Promise<GaiaEnd> {
  signal.throwIfAborted();
  const program = fileURLToPath(url);
  const child = spawn(process.execPath, [program, ...words], {
    env: { ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
    ...as,
  });
  const end = { stdout: '', stderr: '' };
  for (const stream of ['stdout', 'stderr'] as const)
    child[stream].setEncoding('utf8').on('data', (text: string) => {
      end[stream] = (end[stream] + text).slice(-maxOutput);
    });
  let timer: NodeJS.Timeout | undefined;
  const stop = () => {
    child.kill('SIGTERM');
    timer = setTimeout(() => child.kill('SIGKILL'), endingMs);
  };
  signal.addEventListener('abort', stop, { once: true });
  return new Promise<GaiaEnd>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (exit) => {
      // Ended by the signal, or through just before it: then what it made counts.
      if (signal.aborted && (exit === null || exit === 130)) reject(signal.reason);
      else resolve({ exit, ...end });
    });
  }).finally(() => {
    clearTimeout(timer);
    signal.removeEventListener('abort', stop);
  });
}
