import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { GaiaEnd } from '../agents/gaia-end.ts';

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

/** Runs a command of `leveredge` in the same way. */
export function runLeveredge(words: readonly string[], env: Env, signal: AbortSignal): Promise<GaiaEnd> {
  const file = import.meta.url.endsWith('.ts') ? './leveredge.ts' : './leveredge.mjs';
  return runProgram(new URL(file, import.meta.url), words, env, signal);
}

type Env = Readonly<Record<string, string | undefined>>;

async function runProgram(url: URL, words: readonly string[], env: Env, signal: AbortSignal): Promise<GaiaEnd> {
  signal.throwIfAborted();
  const program = fileURLToPath(url);
  const child = spawn(process.execPath, [program, ...words], {
    env: { ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
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
