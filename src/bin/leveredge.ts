import { existsSync } from 'node:fs';
import { userInfo } from 'node:os';
import { dirname, join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import manifest from '../../package.json' with { type: 'json' };
import { systemClock } from '../base/clock.ts';
import { Exit } from '../base/exit.ts';
import { findHome } from '../base/home.ts';
import { readPrivately } from '../base/private-file.ts';
import { remarkLines } from '../base/remark.ts';
import { databaseFileIn } from '../bus/database-file.ts';
import { agentNames, type BusFlags, type Surroundings, type TelegramFlags } from '../channels/cli/door.ts';
import { run } from '../channels/cli/program.ts';
import { makeClient } from '../client/client.ts';
import { folder, isListening, isThisMachine, recordedBus } from './machine.ts';
import { programName } from './program-name.ts';
import { readText } from './read-text.ts';
import type { RunningHere } from './run-bus.ts';

/** The command line `leveredge`: reads the environment, wires, prints and exits. Nothing else here does any of it. */
const { env, stdout, stderr } = process;
const [first, ...words] = process.argv.slice(2);
/** bin/launch.mjs says so when it was started as the program of an agent: `hades` is `leveredge hades`. */
const as = agentNames.find((name) => first === `--as=${name}`);
const argv = as === undefined ? process.argv.slice(2) : words;
const quiet = argv.includes('--quiet') || argv.includes('-q');
const defaultColumns = 80;
/** At a terminal, and below npm, one Ctrl-C arrives twice: from the terminal and from the program above. */
const sameSignalMs = 500;

// `leveredge events | head` closes the pipe; whoever did that has what they wanted.
stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? Exit.ok : Exit.failed));
// Remarks that nobody can read any more, as after a terminal was closed, are no reason to end a running bus.
stderr.on('error', () => undefined);

const say = (line: string) => {
  if (!quiet)
    stderr.write(`${remarkLines(line, stderr.isTTY ? stderr.columns || defaultColumns : undefined).join('\n')}\n`);
};

const around: Surroundings = {
  version: manifest.version,
  program: programName(env.PATH, [join(programFolder(), 'bin', 'leveredge.mjs'), process.argv[1]]),
  as: as && { agent: as, program: programName(env.PATH, [join(programFolder(), 'bin', `${as}.mjs`)], as) },
  nodeVersion: process.versions.node,
  env: {
    url: env.LEVEREDGE_URL || undefined,
    port: env.LEVEREDGE_PORT || undefined,
    host: env.LEVEREDGE_HOST || undefined,
    tokenFile: env.LEVEREDGE_TOKEN_FILE || undefined,
  },
  user: userName(),
  clock: systemClock,
  signal: stopSignal(),
  terminal: { is: stdout.isTTY === true, columns: stdout.columns || defaultColumns },
  say,
  print: (text) => new Promise((resolve) => stdout.write(text, () => resolve())),
  connect: (url, token) => makeClient({ url, token }),
  readText,
  readSecret: readPrivately,
  askSecret: async (prompt) => (await import('./ask-secret.ts')).askSecret(prompt, around.signal),
  isThisMachine,
  tokens: {
    create: async (file, wanted, to) => (await tokenFile()).createToken(file, wanted, systemClock, to),
    list: async (file) => (await tokenFile()).listTokens(file, systemClock),
    revoke: async (file, which) => (await tokenFile()).revokeTokens(file, which, systemClock),
  },
  findHome: (flag) =>
    findHome({ flag, env: env.LEVEREDGE_HOME || undefined, cwd: workingFolder(), program: programFolder() }),
  databaseFile: databaseFileIn,
  // Loaded when they are needed: most commands want neither the server nor its libraries.
  busPlace: async (flags) => (await import('./bus-settings.ts')).busPlace(flags, around.findHome(flags.home).dir, env),
  busAddress: async (flags) =>
    (await import('./bus-settings.ts')).busAddress(flags, around.findHome(flags.home).dir, env),
  runBus: async (flags, look) => (await import('./run-bus.ts')).runBus(runningHere(flags, look)),
  runUp: async (flags, look) => {
    // Before anything large is loaded: what is young never gets much room, so garbage does not keep it.
    setFlagsFromString('--semi-space-growth-factor=1');
    return (await import('./run-up.ts')).runUp(runningHere(flags, look));
  },
  runAgent: async (name, flags, client, { json, quiet }) => {
    const { runAgent } = await import('./run-agent.ts');
    const home = around.findHome(flags.home).dir;
    return runAgent({ name, version: manifest.version, flags, json, quiet, client, home, env, signal: around.signal });
  },
  runTelegramBot: async (flags, { json, quiet }) =>
    (await import('./run-telegram.ts')).runTelegramBot({ ...telegramHere(flags), json, quiet }),
  setUpTelegram: async (flags, user) => (await import('./set-up-telegram.ts')).setUpTelegram(telegramHere(flags), user),
  copyDatabase: async (from, to) => (await import('../bus/store/sqlite/online-copy.ts')).copyOnline(from, to),
  removeOldCopies: async (folder) =>
    (await import('../agents/chronos/event-bus-copies.ts')).removeOldCopies(folder, systemClock()),
  readDatabase: async (file) => {
    const { openOnDisk } = await import('../bus/on-disk.ts');
    const disk = openOnDisk(file, (line) => stderr.write(line));
    return disk && { ...makeClient({ url: 'http://localhost', fetcher: disk.fetcher }), close: disk.close };
  },
  toldFromDisk: async (capability, args, home) => {
    const { toldFromDisk } = await import('./told-from-disk.ts');
    const { version, program, signal } = around;
    const log = (line: string) => void stderr.write(line);
    return toldFromDisk(capability, args, {
      home,
      databaseFile: databaseFileIn(home),
      env,
      version,
      program,
      signal,
      log,
    });
  },
  inspectDatabase: async (file) => (await import('../bus/store/sqlite/inspect-file.ts')).inspectFile(file),
  databaseLife: async (file) => (await import('../bus/store/sqlite/inspect-file.ts')).databaseLife(file),
  verifyDatabase: async (request) => (await import('./verify-database.ts')).verifyDatabase(request),
  auditKey: async (home) => (await import('./verify-database.ts')).auditKey(home),
  recordedBus,
  isListening,
  folder,
  recoveryTargets: async (home) =>
    (await import('../recovery/config/read-config.ts'))
      .readConfig(env.GAIA_CONFIG || undefined, home)
      .targets.map(({ name }) => name),
  server: async () =>
    (await import('./server.ts')).serverFor({ program: programFolder(), started: process.argv[1], env }),
};

const color = around.terminal.is && !env.NO_COLOR && env.TERM !== 'dumb';
const rendered = await run(argv, around, color);
stdout.write(rendered.stdout);
stderr.write(rendered.stderr);
process.exitCode = rendered.exit;

function runningHere(flags: BusFlags, look: { json: boolean; quiet: boolean }): RunningHere {
  const { user: owner, program, signal } = around;
  const home = around.findHome(flags.home);
  return { version: manifest.version, owner, program, flags, ...look, home, env, signal, say };
}

function telegramHere(flags: TelegramFlags) {
  const home = around.findHome(flags.home).dir;
  return { ...flags, home, env, user: around.user, tokens: around.tokens, signal: around.signal, say };
}

function tokenFile() {
  return import('../bus/store/sqlite/token-file.ts');
}

/** Aborted by the first SIGINT, SIGTERM or SIGHUP; a second one ends the process at once. */
function stopSignal(): AbortSignal {
  const controller = new AbortController();
  let first = 0;
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.on(signal, () => {
      if (controller.signal.aborted && systemClock() - first > sameSignalMs) process.exit(Exit.interrupted);
      first ||= systemClock();
      controller.abort();
    });
  return controller.signal;
}

function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return env.USER || 'human'; // A user without an entry in the password file, as in some containers.
  }
}

function workingFolder(): string {
  try {
    return process.cwd();
  } catch {
    return '/'; // It was removed; what does not need it goes on.
  }
}

/** The nearest folder upwards with a package.json; a bundle copied elsewhere is its own. */
function programFolder(): string {
  for (let dir = import.meta.dirname; dirname(dir) !== dir; dir = dirname(dir))
    if (existsSync(join(dir, 'package.json'))) return dir;
  return import.meta.dirname;
}
