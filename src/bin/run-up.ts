import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '../base/clock.ts';
import { Fault, reasonOf } from '../base/fault.ts';
import { makeLog } from '../base/log.ts';
import { readPrivately } from '../base/private-file.ts';
import { ownersTokenIn } from '../bus/owners-token.ts';
import type { RunningBus } from '../bus/start.ts';
import { createToken } from '../bus/store/sqlite/token-file.ts';
import { agentScopes } from '../capabilities/agent-scopes.ts';
import type { Conclusion } from '../channels/cli/conclusion.ts';
import { type AgentName, agentNames } from '../channels/cli/door.ts';
import { credentialsIn } from '../channels/cli/find-token.ts';
import { telegramPlaces } from '../channels/telegram/places.ts';
import { makeClient } from '../client/client.ts';
import { newTokenSchema } from '../events/token.ts';
import { makeExampleTarget } from './example-target.ts';
import { runAgent } from './run-agent.ts';
import { type RunningHere, runBus } from './run-bus.ts';

const leaseSeconds = 30;
const graceSeconds = 20;

/**
 * Runs the bus, every agent and, where it is set up, the control bot in this process. The agents meet the bus over HTTP as they do apart, and one that cannot go on
 * leaves the others and the bus working.
 */
export function runUp(running: RunningHere): Promise<Conclusion> {
  const { env, home, program, say } = running;
  if (!env.GAIA_CONFIG)
    try {
      if (makeExampleTarget(home.dir))
        say(
          `An example target, dev, was made in ${join(home.dir, 'data-plane', 'dev')}. In a minute CHRONOS backs it up, and then each day: ${program} chronos schedule`,
        );
    } catch (error) {
      // What is wrong with the home is the bus' to say.
      say(`No example target could be made: ${reasonOf(error)}.`);
    }
  return runBus(running, async (bus) => {
    await Promise.all([...agentNames.map((name) => runBeside(name, bus, running)), runBot(bus, running)]);
  });
}

/** The control bot, where it is set up. Whatever it cannot do is its own: a token that was revoked takes nobody else down. */
async function runBot({ url }: RunningBus, { home, env, signal, json, quiet }: RunningHere): Promise<void> {
  if (!existsSync(telegramPlaces(home.dir).settings)) return;
  try {
    // Loaded when it is needed: most homes have no bot.
    const { runTelegramBot } = await import('./run-telegram.ts');
    await runTelegramBot({ home: home.dir, url, env, signal, json, quiet, among: true });
  } catch (error) {
    if (signal.aborted) return;
    const log = makeLog((line) => process.stderr.write(line), systemClock);
    const hint = error instanceof Fault && error.hint ? { hint: error.hint } : {};
    log.error('the control bot cannot go on; the bus and the agents do', { because: reasonOf(error), ...hint });
  }
}

async function runBeside(name: AgentName, bus: RunningBus, running: RunningHere): Promise<void> {
  const { home, env, signal, version, json, quiet, flags } = running;
  try {
    const client = makeClient({ url: bus.url, token: await tokenOf(name, bus, running) });
    // A bus at any free port is one among others on this machine, and so are its agents.
    const port = (flags.port ?? env.LEVEREDGE_PORT) === '0' ? 0 : undefined;
    const of = { port, leaseSeconds, graceSeconds };
    await runAgent({ name, version, flags: of, json, quiet, client, home: home.dir, env, signal, among: true });
  } catch (error) {
    const log = makeLog((line) => process.stderr.write(line), systemClock);
    log.error('an agent cannot go on; the bus and the others do', {
      agent: name.toUpperCase(),
      because: reasonOf(error),
    });
  }
}

/**
 * Its own, made when there is none: it may then do what its page says, and no more. Where none can be made the owner's, and that
 * is said; without either the bus decides.
 */
async function tokenOf(name: AgentName, { databaseFile }: RunningBus, { home, say }: RunningHere) {
  const agent = name.toUpperCase();
  const file = join(credentialsIn(home.dir), `${agent}.token`);
  const own = readPrivately(file)?.trim();
  if (own) return own;
  const wanted = { name: agent, kind: 'agent', scopes: [...agentScopes[name]], per_minute: null, expires_in_ms: null };
  try {
    return (await createToken(databaseFile, newTokenSchema.parse(wanted), systemClock, file)).secret;
  } catch (error) {
    say(`${agent} uses the owner's token, because it could be given none of its own: ${reasonOf(error)}`);
    return readPrivately(ownersTokenIn(home.dir))?.trim() || undefined;
  }
}
