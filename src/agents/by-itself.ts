import { Fault, reasonOf } from '../base/fault.ts';
import type { Log } from '../base/log.ts';
import type { Client } from '../client/client.ts';
import { sleepUnlessAborted } from '../client/patience.ts';
import type { Agent, Say } from './agent.ts';
import { ownDraftOf } from './said.ts';

/** A bus that takes longer is as good as away: it is said again in the next round. */
const sayTimeoutMs = 5000;
const pauseAfterFaultMs = 60_000;
/** The longest pause; also what would be an endless loop has one. */
const pauses = { least: 10, most: 10 * 60_000 };

type Options = { stop: AbortSignal; hardStop: AbortSignal; log: Log };

/**
 * Lets an agent do what it does by itself, round after round, until `stop`; what is under way goes on until `hardStop`. A round
 * that fails is a line in the log, and the next comes.
 */
export async function actByItself(agent: Agent, client: Pick<Client, 'publish'>, options: Options): Promise<void> {
  const { stop, hardStop, log } = options;
  if (agent.byItself === undefined) return;
  const say = sayOver(agent.name, client, options);
  while (!stop.aborted) {
    let pauseMs = pauseAfterFaultMs;
    try {
      pauseMs = await agent.byItself(say, hardStop);
    } catch (error) {
      if (hardStop.aborted) return;
      log.error('what it does by itself has failed', { agent: agent.name, because: reasonOf(error) });
    }
    pauseMs = Math.min(Math.max(pauseMs, pauses.least), pauses.most);
    await sleepUnlessAborted(pauseMs, stop).catch(() => undefined /* it ends */);
  }
}

function sayOver(agent: string, client: Pick<Client, 'publish'>, { hardStop, log }: Options): Say {
  let complaint: string | undefined;
  return async (said) => {
    const timeout = AbortSignal.timeout(sayTimeoutMs);
    try {
      await client.publish(ownDraftOf(agent, said), { signal: AbortSignal.any([hardStop, timeout]) });
      complaint = undefined;
      return true;
    } catch (error) {
      if (hardStop.aborted || !(error instanceof Fault || timeout.aborted)) throw error;
      const because = reasonOf(error);
      if (because !== complaint) log.warn('could not be said; it is said later', { action: said.action, because });
      complaint = because;
      return false;
    }
  };
}
