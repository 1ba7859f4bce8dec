import { existsSync } from 'node:fs';
import { systemClock } from '../base/clock.ts';
import { Exit } from '../base/exit.ts';
import type { Home } from '../base/home.ts';
import { makeLog, printable } from '../base/log.ts';
import { shellWord } from '../base/shell-word.ts';
import { ownersTokenIn } from '../bus/owners-token.ts';
import { type RunningBus, startBus } from '../bus/start.ts';
import { allCapabilities } from '../capabilities/all-capabilities.ts';
import type { ProgramName } from '../channels/cli/as-typed.ts';
import type { Conclusion } from '../channels/cli/conclusion.ts';
import type { BusFlags } from '../channels/cli/door.ts';
import { busConfig, type Env } from './bus-settings.ts';

export type RunningHere = {
  version: string;
  /** The user who runs it. */
  owner: string;
  program: ProgramName;
  flags: BusFlags;
  json: boolean;
  quiet: boolean;
  home: Home;
  env: Env;
  signal: AbortSignal;
  say(line: string): void;
};

/**
 * Runs the bus until the signal, and says what a person needs to go on. `beside`: what runs with it, from when it listens; the
 * bus is stopped when that has ended, and that ends by the signal.
 */
export async function runBus(
  running: RunningHere,
  beside: (bus: RunningBus) => Promise<void> = async () => undefined,
): Promise<Conclusion> {
  const { version, owner, flags, home, env, signal, say } = running;
  const config = busConfig(flags, home.dir, env);
  const log = makeLog((line) => process.stderr.write(line), systemClock);
  const worker = import.meta.url.endsWith('.ts') ? './store-worker.ts' : './store-worker.mjs';
  const bus = await startBus(config, {
    log,
    clock: systemClock,
    storeWorker: new URL(worker, import.meta.url),
    version,
    owner,
    capabilities: allCapabilities,
  });
  process.stdout.write(
    started(running, bus, config.auth === 'required')
      .map((line) => `${line}\n`)
      .join(''),
  );
  const others = beside(bus);
  await new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
  say('Stopping.');
  await others;
  const gone = bus.inPlace();
  await bus.close();
  if (gone) return { exit: Exit.damaged, notes: [`Stopped. ${gone.message}`, `  ${gone.hint}`] };
  return { exit: Exit.ok, notes: ['Stopped. Everything that was acknowledged is on disk.'] };
}

/** A bus runs on after it has said this, so it is no conclusion but goes out at once. */
function started(running: RunningHere, bus: RunningBus, asksForTokens: boolean): string[] {
  const { json, quiet, home } = running;
  const notices = quiet ? [] : bus.notices;
  if (json) {
    const result = { url: bus.url, database: bus.databaseFile, home: home.dir, pid: process.pid };
    return [result, ...notices.map((notice) => ({ notice }))].map((each) => JSON.stringify(each));
  }
  return quiet ? [bus.url] : [...greeting(running, bus, asksForTokens), ...notices].map(printable);
}

function greeting({ program, home }: RunningHere, { url, databaseFile }: RunningBus, asksForTokens: boolean): string[] {
  const token = ownersTokenIn(home.dir);
  const usual = url === 'http://127.0.0.1:8099' ? '' : ` --url ${shellWord(url)}`;
  // The token is found by the home, so a home that was named must be named again.
  const isNamed = ['--home', 'LEVEREDGE_HOME'].includes(home.because);
  const elsewhere = asksForTokens && isNamed ? ` --home ${shellWord(home.dir)}` : usual;
  const bearer = asksForTokens ? ` -H "Authorization: Bearer $(cat ${shellWord(token)})"` : '';
  return [
    `The event bus listens at ${url}`,
    `Its data lies in ${databaseFile}`,
    `(home: ${home.dir}, ${home.because})`,
    ...(existsSync(token) ? [`The owner's token lies in ${token}`] : []),
    '',
    'Three commands to try, in another terminal:',
    `  curl${bearer} -d '{"source_agent":"ME","action":"deploy_started","target":"dev"}' ${url}/events`,
    `  ${program} events${elsewhere}`,
    `  ${program} ask "Shall we?" --option yes --option no --timeout 5 --fallback no${elsewhere}`,
    '',
    'Ctrl-C stops it.',
  ];
}
