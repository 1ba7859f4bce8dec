import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { Fault } from '../../base/fault.ts';
import { type ResticRepository, resticEnv, shownRepository } from './repository.ts';
import { resticFault } from './restic-fault.ts';
import { startedBy } from './started-by.ts';
import { usualStallMs, watchStall } from './watch-stall.ts';

export type ResticRun = {
  /** Given its standard output as it comes; without it, it is collected. May make restic wait. */
  out?: ((piece: Buffer) => void | Promise<void>) | undefined;
  /** Exit codes that are no failure; 0 always is none. */
  fine?: readonly number[];
  /** Only reads: where no lock can be left, as on a disk that is mounted read-only, it goes without. */
  reads?: boolean;
  /** What it is given on its standard input. */
  input?: Buffer;
  /** It waits for us, and doing nothing is right, until this settles. */
  heldUntil?: Promise<void>;
  /** Has it end, and take its lock with it. */
  signal?: AbortSignal;
};

export type ResticEnd = { code: number; stdout: string; stderr: string };

const maxStderr = 256 * 1024;
const maxStdout = 512 * 1024 * 1024;
/** restic tries again for a quarter of an hour, with ever longer pauses; a person at night wants to know sooner. */
const patienceMs = 45_000;
const missingPatienceMs = 4_000;
const quietMs = 60_000;
/** Has restic end with this process, whatever that dies of: nobody else may work in a stage that is taken up again. */
const setpriv = '/usr/bin/setpriv';

/**
 * Runs restic on a repository. One that is locked by a process that is gone is unlocked by restic's own judgement, once.
 * @throws Fault `not-found` without restic or repository, `forbidden`, `locked`, `unreachable`, `damaged`, `storage-full`
 */
export async function runRestic(
  at: ResticRepository,
  args: readonly string[],
  run: ResticRun = {},
): Promise<ResticEnd> {
  try {
    return await once(at, args, run);
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    if (error.code === 'locked') {
      await once(at, ['unlock', '--quiet'], {});
      return once(at, args, run);
    }
    if (run.reads === true && error.extra.no_lock === true) return once(at, ['--no-lock', ...args], run);
    throw error;
  }
}

async function once(at: ResticRepository, args: readonly string[], run: ResticRun): Promise<ResticEnd> {
  run.signal?.throwIfAborted();
  const [program, ...before] = existsSync(setpriv) ? [setpriv, '--pdeathsig', 'KILL', '--', 'restic'] : ['restic'];
  const child = spawn(program as string, [...before, ...args], { env: resticEnv(at), stdio: ['pipe', 'pipe', 'pipe'] });
  // Told by how it ends.
  child.stdin.on('error', () => undefined);
  child.stdin.end(run.input);
  const patience = watchRetries(() => child.kill('SIGTERM'));
  let stderr = '';
  let bytes = 0;
  let told = 0;
  let isStalled = false;
  let stopWatching: () => void = () => undefined;
  let isOver = false;
  let endStarted: () => void = () => undefined;
  void (run.heldUntil ?? Promise.resolve()).then(() => {
    if (isOver) return;
    stopWatching = watchStall({
      pid: child.pid ?? 0,
      givenBytes: () => bytes + told,
      end() {
        isStalled = true;
        endStarted = startedBy(child.pid ?? 0);
        child.kill('SIGKILL');
      },
    });
  });
  // Of this one it removes its lock, in every version.
  const interrupt = () => {
    endStarted = startedBy(child.pid ?? 0);
    child.kill('SIGINT');
  };
  run.signal?.addEventListener('abort', interrupt, { once: true });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    told += text.length;
    if (stderr.length < maxStderr) stderr += text;
    patience.heard(text);
  });
  const ended = new Promise<{ code: number | null; signal: string | null }>((resolve, reject) => {
    child.on('error', (error: NodeJS.ErrnoException) => reject(cannotStart(error)));
    child.on('close', (code, signal) => resolve({ code, signal }));
  });
  // Not before: it may still need them to take its lock with it.
  ended.then(() => endStarted()).catch(() => undefined /* thrown below */);
  const pieces: Buffer[] = [];
  try {
    for await (const piece of child.stdout as AsyncIterable<Buffer>) {
      bytes += piece.length;
      if (run.out !== undefined) await run.out(piece);
      else if (bytes <= maxStdout) pieces.push(piece);
      else throw new Fault('too-large', 'restic printed far more than it should.');
    }
  } catch (error) {
    child.kill('SIGKILL');
    await ended.catch(() => undefined /* the first failure is the one to tell */);
    throw error;
  } finally {
    isOver = true;
    stopWatching();
    run.signal?.removeEventListener('abort', interrupt);
  }
  const { code, signal } = await ended;
  if (isStalled) throw stalled(at);
  if ((code === 126 || code === 127) && stderr.startsWith('setpriv: ')) throw noRestic();
  if (code === 0 || (code !== null && run.fine?.includes(code) === true))
    return { code, stdout: Buffer.concat(pieces).toString('utf8'), stderr };
  throw failure(at, stderr, signal ?? `it ended with ${code}`);
}

function failure(at: ResticRepository, stderr: string, ended: string): Fault {
  const fault = resticFault(at, stderr, ended);
  const isLockOnly = /unable to create lock|lock.*(read-only file system|permission denied|\b403\b)/i.test(stderr);
  if (!isLockOnly || fault.code === 'locked' || fault.code === 'unreachable') return fault;
  return new Fault(fault.code, fault.message, { hint: fault.hint, extra: { no_lock: true } });
}

function stalled(at: ResticRepository): Fault {
  const minutes = usualStallMs / 60_000;
  return new Fault(
    'unreachable',
    `Nothing came from ${shownRepository(at)} or went there for ${minutes} minutes, so restic was ended.`,
    { hint: 'Look at the network, and whether the disk or the server there hangs.' },
  );
}

/** Ends it when it has done nothing for too long but try again, or would only wait until then. */
function watchRetries(end: () => void): { heard(text: string): void } {
  let since: number | undefined;
  let last = 0;
  return {
    heard(text) {
      const [, again = ''] = /returned error, retrying after ([\d.hms]+)/.exec(text) ?? [];
      if (again === '') return;
      const now = performance.now();
      if (since === undefined || now - last > quietMs) since = now;
      last = now;
      if (now - since + goDurationMs(again) > patienceFor(text)) end();
    },
  };
}

function patienceFor(text: string): number {
  if (/read-only file system|permission denied/.test(text)) return 0;
  return /no such file or directory|does not exist|404/.test(text) ? missingPatienceMs : patienceMs;
}

/** `552.3ms`, `12.9s`, `1m2s` */
function goDurationMs(text: string): number {
  const units: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };
  const parts = [...text.matchAll(/([\d.]+)(ms|s|m|h)/g)];
  return parts.reduce((sum, [, count, unit]) => sum + Number(count) * (units[unit ?? ''] ?? 0), 0);
}

function cannotStart(error: NodeJS.ErrnoException): Fault {
  if (error.code !== 'ENOENT' && error.code !== 'EACCES')
    return new Fault('internal', `restic cannot be started: ${error.message}.`);
  return noRestic();
}

function noRestic(): Fault {
  return new Fault('not-found', 'There is no restic on this machine, and the configuration says engine: restic.', {
    hint: 'apt-get install restic',
  });
}

/** @throws Fault `internal` for what should be JSON, a document or one a line */
export function resticJson(at: ResticRepository, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new Fault('internal', `restic said something that is not understood, of ${shownRepository(at)}.`, {
      hint: 'Versions from 0.14 on are known to work: restic version',
    });
  }
}
