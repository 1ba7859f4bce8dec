import { spawn } from 'node:child_process';
import { appendFileSync, existsSync, openSync, readFileSync } from 'node:fs';
import { arch, hostname, release } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { createInterface } from 'node:readline/promises';
import { isSea } from 'node:sea';
import manifest from '../../package.json' with { type: 'json' };
import { systemClock } from '../base/clock.ts';
import { Exit } from '../base/exit.ts';
import { Fault } from '../base/fault.ts';
import { findHome } from '../base/home.ts';
import { remarkLines } from '../base/remark.ts';
import { copyBusWord } from '../gaia/asked-by-agents.ts';
import type { Around } from '../gaia/command.ts';
import { run } from '../gaia/program.ts';
import { copyBusAsItsUser, runGaia } from './gaia-process.ts';
import { answerOne } from './gaia-socket.ts';
import { lineOfInput } from './line-of-input.ts';

/** GAIA: reads the environment, wires, prints and exits. Nothing else of it does any of that. */
const { env, stdin, stdout, stderr } = process;
const argv = process.argv.slice(2);
/** Then Node takes the types away, for which it must be let compile. */
const isSource = !isSea() && import.meta.filename.endsWith('.ts');
const defaultColumns = 80;
const endpointTimeoutMs = 10_000;
/** At a terminal, and below npm, one Ctrl-C arrives twice: from the terminal and from the program above. */
const sameSignalMs = 500;
/** What cannot be ended anywhere. */
const endsBySelf = ['restore', 'undo', 'resume', 'status', 'drill', 'runner', 'bot', '__run', '__asked'];

stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? Exit.ok : Exit.failed));
// A terminal that was closed is no reason to end a run.
stderr.on('error', () => undefined);

const columns = stderr.columns || stdout.columns || defaultColumns;
let sketched = false;
const stopping = stopSignal();
/** Then it may not even look for a home. */
const isConfined = process.permission?.has('child') === false && !process.permission.has('fs.read', '/');

const around: Around = {
  version: manifest.version,
  nodeVersion: process.versions.node,
  clock: systemClock,
  uid: process.getuid?.() ?? 0,
  ownPids: new Set([process.pid]),
  program: isSea() ? process.execPath : undefined,
  host: { name: hostname(), kernel: `${release()} ${arch()}`, os: osName() },
  home: isConfined
    ? '/'
    : findHome({ env: env.LEVEREDGE_HOME || undefined, cwd: workingFolder(), program: programFolder() }).dir,
  configFile: env.GAIA_CONFIG || undefined,
  terminal: { in: stdin.isTTY === true, out: stdout.isTTY === true, err: stderr.isTTY === true, columns },
  color: stdout.isTTY === true && !env.NO_COLOR && env.TERM !== 'dumb',
  signal: stopping,
  say(line) {
    around.sketch('');
    // One document a line for programs, however wide the terminal is.
    const width = stderr.isTTY && !argv.includes('--json') ? columns : undefined;
    stderr.write(`${remarkLines(line, width).join('\n')}\n`);
  },
  sketch(line) {
    if (!stderr.isTTY || (line === '' && !sketched)) return;
    stderr.write(`\r\x1b[K${line.slice(0, columns - 1)}`);
    sketched = line !== '';
  },
  show(drawing) {
    around.sketch('');
    stderr.write(`${drawing}\n`);
  },
  ask,
  lineOfInput: () => lineOfInput(stdin),
  startDetached,
  endGroup,
  isConfined,
  confine,
  startsWith: isConfined ? [] : again().map((word) => resolve(word)),
  credentials: env.CREDENTIALS_DIRECTORY || undefined,
  telegramRoot: env.TELEGRAM_API_ROOT || undefined,
  pause: pauser(),
  fetchStatus,
};

if (argv[0] === '__asked') await answerAgent();
else {
  const rendered = await run(argv, around);
  stdout.write(rendered.stdout);
  stderr.write(rendered.stderr);
  process.exitCode = rendered.exit;
}

/** Its input and output are a connection that systemd has taken for it. */
async function answerAgent(): Promise<void> {
  // SIGTERM ends GAIA below it in order, as the agent's word does.
  await answerOne(stdin, stdout, async (words, signal) => {
    const either = AbortSignal.any([signal, stopping]);
    return words[0] === copyBusWord ? copyBusAsItsUser(around.home, env, either) : runGaia(words, env, either);
  });
  stdin.destroy();
}

/** Aborted by the first SIGINT, SIGTERM or SIGHUP; a second one ends the process at once. */
function stopSignal(): AbortSignal {
  const controller = new AbortController();
  let first = 0;
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.on(signal, () => {
      // A run that works in this process is not ended by a terminal that goes away.
      if (signal === 'SIGHUP' && (argv.includes('__run') || argv.includes('--here'))) return;
      if (controller.signal.aborted && systemClock() - first > sameSignalMs) process.exit(Exit.interrupted);
      first ||= systemClock();
      controller.abort();
      // What can be ended anywhere is ended; a run is followed to say how to watch it, and a drill removes what it made.
      if (!endsBySelf.some((verb) => argv.includes(verb))) process.exit(Exit.interrupted);
    });
  return controller.signal;
}

async function ask(question: string): Promise<string | undefined> {
  const lines = createInterface({ input: stdin, output: stderr });
  // While a line is edited Ctrl-C is a key, and becomes the signal that it is elsewhere.
  lines.on('SIGINT', () => process.kill(process.pid, 'SIGINT'));
  try {
    return (await lines.question(question, { signal: stopping })).trim();
  } catch {
    return undefined; // Ctrl-C, or the input ended.
  } finally {
    lines.close();
  }
}

/** How this very program is called again: a source or bundle below Node, or an executable of its own. */
function again(): string[] {
  return isSea() ? [process.execPath] : [process.execPath, process.argv[1] as string];
}

/**
 * As a unit of systemd where there is one, so that the end of a login session does not end it either; else as a process in
 * a session of its own.
 */
async function startDetached(args: readonly string[], logFile: string, unit: string): Promise<void> {
  const words = [...again(), ...args];
  if (existsSync('/run/systemd/system') && process.getuid?.() === 0 && (await startUnit(words, logFile, unit))) return;
  const log = openSync(logFile, 'a', 0o600);
  const [program, ...rest] = words as [string, ...string[]];
  const child = spawn(program, rest, { detached: true, stdio: ['ignore', log, log], env: detachedEnv() });
  await new Promise<void>((resolve, reject) => {
    child.on('spawn', resolve);
    child.on('error', reject);
  });
  child.unref();
}

/**
 * By execve, so that nothing that was read before stays in memory, and no second process watches. Beside what is named it can read
 * the program alone.
 */
function confine({ reads, writes, args }: Parameters<Around['confine']>[0]): never {
  const flags = [
    '--permission',
    '--allow-net',
    // It takes less memory, and the unit of the executable lets nothing be executed that was written (MemoryDenyWriteExecute).
    ...(isSource ? [] : ['--jitless']),
    '--disable-warning=ExperimentalWarning',
    ...[...programFiles(), ...reads].map((path) => `--allow-fs-read=${path}`),
    ...writes.map((path) => `--allow-fs-write=${path}`),
  ];
  const kept = ['PATH', 'LANG', 'NO_COLOR', 'CREDENTIALS_DIRECTORY', 'TELEGRAM_API_ROOT', 'GAIA_STOP_AT'];
  const own = Object.fromEntries(kept.flatMap((name) => (env[name] === undefined ? [] : [[name, env[name]]])));
  const program = process.execPath;
  if (isSea()) process.execve?.(program, [program, ...args], { ...own, NODE_OPTIONS: flags.map(quoted).join(' ') });
  // Not by the launcher, which looks around in the checkout.
  else process.execve?.(program, [program, ...flags, import.meta.filename, ...args], own);
  throw new Fault('internal', 'This Node cannot give up its rights (process.execve), so the bot does not run.');
}

/** As NODE_OPTIONS takes words with blanks. */
function quoted(word: string): string {
  return /[\s"\\]/.test(word) ? `"${word.replace(/["\\]/g, '\\$&')}"` : word;
}

/** The one file, or in a checkout the folders that hold code. */
function programFiles(): string[] {
  if (isSea()) return [process.execPath];
  if (!isSource) return [import.meta.filename];
  return ['src', 'node_modules', 'package.json'].map((name) => join(programFolder(), name));
}

/** A run is the first of its group, as a unit or not. */
function endGroup(pid: number): void {
  for (const whom of [-pid, pid])
    try {
      process.kill(whom, 'SIGKILL');
    } catch (error) {
      // It has ended meanwhile, or leads no group.
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
}

function startUnit(words: readonly string[], logFile: string, unit: string): Promise<boolean> {
  const output = [`--property=StandardOutput=append:${logFile}`, `--property=StandardError=append:${logFile}`];
  const flags = ['--quiet', '--collect', `--unit=${unit}`, '--property=KillMode=process', ...output];
  const child = spawn('systemd-run', [...flags, '--', ...words], { stdio: 'ignore', env: detachedEnv() });
  return new Promise((resolve) => {
    child.on('error', () => resolve(false));
    child.on('close', (code) => resolve(code === 0));
  });
}

function detachedEnv(): Record<string, string> {
  const kept = ['PATH', 'HOME', 'LANG', 'LEVEREDGE_HOME', 'GAIA_STOP_AT', 'GAIA_POINTS_TO'];
  return Object.fromEntries(kept.flatMap((name) => (env[name] === undefined ? [] : [[name, env[name]]])));
}

/** For the tests that kill a run at each of its points: the process stops itself at the point of this number, or name. */
function pauser(): (point: string) => void {
  const { GAIA_STOP_AT: stopAt, GAIA_POINTS_TO: pointsTo } = env;
  let n = 0;
  return (point) => {
    n++;
    if (pointsTo) appendFileSync(pointsTo, `${n} ${point}\n`);
    if (String(n) === stopAt || point === stopAt) process.kill(process.pid, 'SIGSTOP');
  };
}

async function fetchStatus(url: string): Promise<number | string> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(endpointTimeoutMs), redirect: 'manual' });
    await response.body?.cancel();
    return response.status;
  } catch (error) {
    const cause = (error as { cause?: { code?: string } }).cause?.code;
    return `does not answer (${cause ?? (error as Error).name})`;
  }
}

function osName(): string {
  try {
    return /^PRETTY_NAME="?(.*?)"?$/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? process.platform;
  } catch {
    return process.platform;
  }
}

function workingFolder(): string {
  try {
    return process.cwd();
  } catch {
    return '/'; // It was removed.
  }
}

/** The nearest folder upwards with a package.json; a bundle or executable copied elsewhere is its own. */
function programFolder(): string {
  const here = isSea() ? dirname(process.execPath) : import.meta.dirname;
  for (let dir = here; dirname(dir) !== dir; dir = dirname(dir)) if (existsSync(join(dir, 'package.json'))) return dir;
  return here;
}
