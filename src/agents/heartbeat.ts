import { setTimeout as pause } from 'node:timers/promises';
import { Fault } from '../base/fault.ts';
import type { Client } from '../client/client.ts';
import { type HeartbeatBody, usualHeartbeatSeconds } from '../events/heartbeat.ts';

export type Beating = {
  /** How often; usual when left out. */
  everySeconds?: number | undefined;
  /** What it says of itself, asked at each beat. */
  says(): Omit<HeartbeatBody, 'every_seconds' | 'stopped'>;
};

/** A bus that takes longer is as good as away; the next beat is soon. */
const beatTimeoutMs = 5000;
/** Nobody waits longer with an end for saying goodbye. */
const goodbyeTimeoutMs = 2000;

/**
 * Does the work, and tells the bus meanwhile that this agent is alive, whatever the work waits for. Work that ends well ends
 * with a goodbye; work that throws does not, so that the bus reports a loss. A bus that is away, or too old to know of
 * heartbeats, is no trouble: what it lacks the work finds out.
 */
export async function whileBeating<T>(
  agent: string,
  client: Pick<Client, 'heartbeat'>,
  { everySeconds = usualHeartbeatSeconds, says }: Beating,
  work: () => Promise<T>,
): Promise<T> {
  const stopping = new AbortController();
  const { signal } = stopping;
  const beat = async () => {
    while (!signal.aborted) {
      await tell(client.heartbeat(agent, { every_seconds: everySeconds, ...says() }, beatTimeoutMs));
      await pause(everySeconds * 1000, undefined, { signal }).catch(() => undefined /* it ends */);
    }
  };
  const beating = beat();
  try {
    const result = await work();
    stopping.abort();
    // A beat that is under way must not arrive after the goodbye.
    await beating;
    await tell(client.heartbeat(agent, { every_seconds: everySeconds, stopped: true, ...says() }, goodbyeTimeoutMs));
    return result;
  } finally {
    stopping.abort();
  }
}

async function tell(telling: Promise<unknown>): Promise<void> {
  try {
    await telling;
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
  }
}
