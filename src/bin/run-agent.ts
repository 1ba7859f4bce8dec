import type { Agent } from '../agents/agent.ts';
import { callsOf } from '../agents/calls.ts';
import { type HealthServer, serveHealth } from '../agents/health.ts';
import { makeRunner, type Runner } from '../agents/runner.ts';
import { rfc3339, systemClock } from '../base/clock.ts';
import { Exit } from '../base/exit.ts';
import { reasonOf } from '../base/fault.ts';
import { type Log, makeLog } from '../base/log.ts';
import { allCapabilities } from '../capabilities/all-capabilities.ts';
import type { Conclusion } from '../channels/cli/conclusion.ts';
import type { AgentFlags, AgentName } from '../channels/cli/door.ts';
import type { Client } from '../client/client.ts';
import { agentHere } from './agent-here.ts';
import type { Env } from './bus-settings.ts';

export type RunningAgent = {
  name: AgentName;
  version: string;
  flags: AgentFlags;
  json: boolean;
  quiet: boolean;
  client: Client;
  home: string;
  env: Env;
  signal: AbortSignal;
  /** Beside others in one process: what it says at its start is one line. */
  among?: boolean;
};

/** Runs an agent until the signal, in this process. @throws Fault when the bus refuses it for good */
export async function runAgent(running: RunningAgent): Promise<Conclusion> {
  const { name, flags, client, signal, version } = running;
  const agent = agentHere(name, running);
  const log = makeLog((line) => process.stderr.write(line), systemClock);
  const startedAt = rfc3339(systemClock());
  let runner: Runner | undefined;
  let calls: Runner | undefined;
  const health = await healthOf(log, flags.port ?? agent.port, () => ({
    service: name,
    version,
    started_at: startedAt,
    ...runner?.tally(),
    ...(calls ? { calls: calls.tally() } : {}),
  }));
  const options = {
    leaseSeconds: flags.leaseSeconds,
    graceMs: flags.graceSeconds * 1000,
    heartbeatSeconds: flags.heartbeatSeconds,
    about: { version, health: healthUrl(health?.port) },
    log,
    clock: systemClock,
  };
  const toldStart = () => process.stdout.write(started(running, agent, health?.port));
  // Where one of the two is refused for good, the other ends too.
  const failed = new AbortController();
  const stop = AbortSignal.any([signal, failed.signal]);
  const called = callsOf(agent, allCapabilities, client);
  const isReady = Promise.withResolvers<void>();
  calls = called && makeRunner(called, client, { ...options, stop, onReady: isReady.resolve });
  runner = makeRunner(agent, client, {
    ...options,
    stop,
    onReady: () => (calls === undefined ? toldStart() : void isReady.promise.then(toldStart)),
  });
  try {
    await Promise.all(
      [runner, calls].map((each) =>
        each?.run().catch((error: unknown) => {
          failed.abort(error);
          throw error;
        }),
      ),
    );
  } finally {
    await health?.close();
  }
  const { handled, given_back, dead_lettered } = runner.tally();
  const counts = `Handled ${handled}, given back ${given_back}, dead letters ${dead_lettered}.`;
  return { exit: Exit.ok, notes: [`Stopped. ${counts}`] };
}

/** A port that cannot be had costs the health check, and not the agent. */
async function healthOf(
  log: Log,
  port: number,
  state: () => Record<string, unknown>,
): Promise<HealthServer | undefined> {
  try {
    return await serveHealth(port, state);
  } catch (error) {
    log.warn('nobody can ask for its health', { port, because: reasonOf(error) });
    return undefined;
  }
}

function healthUrl(port: number | undefined): string | null {
  return port === undefined ? null : `http://127.0.0.1:${port}/health`;
}

/** It runs on after it has said this, so it is no conclusion but goes out at once. */
function started(
  { json, quiet, client, among }: RunningAgent,
  { name, hears }: Agent,
  port: number | undefined,
): string {
  const health = healthUrl(port);
  if (json) return `${JSON.stringify({ agent: name, bus: client.url, health, pid: process.pid })}\n`;
  if (quiet) return '';
  if (among) return `${name} runs with it; its health: ${health ?? 'cannot be asked'}\n`;
  return [
    `${name} hears ${[...Object.keys(hears), 'calls'].join(', ')} from the bus at ${client.url}`,
    `Its health: ${health ?? 'cannot be asked'}`,
    'Ctrl-C stops it.',
    '',
  ].join('\n');
}
