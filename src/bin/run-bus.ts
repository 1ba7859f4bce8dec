import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '../base/clock.ts';
import { Exit } from '../base/exit.ts';
import { Fault } from '../base/fault.ts';
import type { Home } from '../base/home.ts';
import { makeLog } from '../base/log.ts';
import { type BusConfig, parseBusConfig } from '../bus/config.ts';
import { startBus } from '../bus/start.ts';
import type { Conclusion } from '../channels/cli/conclusion.ts';
import type { BusFlags, BusPlace } from '../channels/cli/door.ts';

type Env = Readonly<Record<string, string | undefined>>;

/**
 * The settings of the bus on this home.
 * @throws Fault `usage` with every mistake
 */
export function busPlace(flags: BusFlags, home: string, env: Env): BusPlace {
  const yaml = readSettings(home);
  return { ...configOf(flags, home, env, yaml), configFile: yaml?.path };
}

type Settings = { path: string; text: string } | undefined;

function configOf({ port, host }: BusFlags, home: string, env: Env, yaml: Settings): BusConfig {
  return parseBusConfig({
    flags: { ...(port === undefined ? {} : { port }), ...(host === undefined ? {} : { host }) },
    env: {
      ...(env.LEVEREDGE_PORT ? { port: env.LEVEREDGE_PORT } : {}),
      ...(env.LEVEREDGE_HOST ? { host: env.LEVEREDGE_HOST } : {}),
    },
    yaml,
    home,
  });
}

function readSettings(home: string): Settings {
  const path = join(home, 'config', 'leveredge.yaml');
  try {
    return { path, text: readFileSync(path, 'utf8') };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return undefined;
    throw new Fault('usage', `The settings in ${path} cannot be read: ${unreadable[code ?? ''] ?? code}.`, {
      hint: code === 'EISDIR' ? 'Put a file in its place, or remove it.' : `Look at owner and mode: ls -ld ${path}`,
      cause: error,
    });
  }
}

const unreadable: Readonly<Record<string, string>> = {
  EISDIR: 'it is a folder',
  ENOTDIR: 'what should be a folder above it is a file',
  EACCES: 'this user may not',
  EPERM: 'this user may not',
};

type Running = { version: string; flags: BusFlags; home: Home; env: Env; signal: AbortSignal; say(line: string): void };

/** Runs the bus until the signal, and says what a person needs to go on. */
export async function runBus({ version, flags, home, env, signal, say }: Running): Promise<Conclusion> {
  const config = configOf(flags, home.dir, env, readSettings(home.dir));
  const log = makeLog((line) => process.stderr.write(line), systemClock);
  const worker = import.meta.url.endsWith('.ts') ? './store-worker.ts' : './store-worker.mjs';
  const bus = await startBus(config, {
    log,
    clock: systemClock,
    storeWorker: new URL(worker, import.meta.url),
    version,
  });
  process.stdout.write(`${[...greeting(bus.url, bus.databaseFile, home), ...bus.notices].join('\n')}\n`);
  await new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
  say('Stopping.');
  await bus.close();
  return { exit: Exit.ok, notes: ['Stopped. Everything that was acknowledged is on disk.'] };
}

function greeting(url: string, databaseFile: string, home: Home): string[] {
  const elsewhere = url === 'http://127.0.0.1:8099' ? '' : ` --url ${url}`;
  return [
    `The event bus listens at ${url}`,
    `Its data lies in ${databaseFile}`,
    `(home: ${home.dir}, ${home.because})`,
    '',
    'Three commands to try, in another terminal:',
    `  curl -d '{"source_agent":"ME","action":"deploy_started","target":"dev"}' ${url}/events`,
    `  npx leveredge events${elsewhere}`,
    `  npx leveredge ask "Shall we?" --option yes --option no --timeout 5 --fallback no${elsewhere}`,
    '',
    'Ctrl-C stops it.',
  ];
}
