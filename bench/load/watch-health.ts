import { Agent } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import { percentile } from '../machine.ts';
import { get } from './get.ts';

const everyMs = 5;

export type Watch = {
  /** Stops asking. The longest and the usual wait for an answer, in milliseconds. */
  end(): Promise<{ p50Ms: number; maxMs: number }>;
};

/**
 * Asks for /health every few milliseconds on a connection of its own: its longest wait is the longest time for which the
 * event loop did nothing else. The bench's own pauses count as the server's, so this can only be too high.
 */
export function watchHealth(url: string): Watch {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const took: number[] = [];
  let isWatching = true;
  const watching = (async () => {
    while (isWatching) {
      const start = performance.now();
      await get(agent, `${url}/health`);
      took.push(performance.now() - start);
      await pause(everyMs);
    }
    agent.destroy();
  })();
  return {
    async end() {
      isWatching = false;
      await watching;
      return { p50Ms: percentile(took, 0.5), maxMs: Math.max(...took) };
    },
  };
}
