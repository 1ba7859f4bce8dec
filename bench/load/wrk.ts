import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

export type Load = {
  url: string;
  connections: number;
  seconds: number;
  core?: string | undefined;
  /** Events in one request; left out, each event is a request of its own. */
  batch?: number | undefined;
  /** How long each connection rests after an answer. */
  pauseMs?: number | undefined;
};
export type Figures = {
  requests: number;
  seconds: number;
  p50Ms: number;
  p99Ms: number;
  maxMs: number;
  /** Anything but a 2xx in time. */
  failed: number;
};

/** Publishes as fast as the connections allow, each sending its next event when the last is answered. */
export async function publishLoad({ url, connections, seconds, core, batch, pauseMs }: Load): Promise<Figures> {
  const wrk = ['wrk', '-t1', `-c${connections}`, `-d${seconds}s`, '--latency', '--timeout', '5s'];
  const line = [...(core === undefined ? [] : ['taskset', '-c', core]), ...wrk];
  const script = ['-s', join(import.meta.dirname, 'publish.lua'), url];
  const env = { ...process.env, BATCH: String(batch ?? 0), PAUSE_MS: String(pauseMs ?? 0) };
  const { stdout } = await run(line[0] as string, [...line.slice(1), ...script], { env });
  return resultIn(stdout);
}

/** The line a load generator prints at its end. */
export function resultIn(output: string): Figures {
  const found = /^RESULT (\{.*\})$/m.exec(output)?.[1];
  if (!found) throw new Error(`The load generator gave no result:\n${output}`);
  return JSON.parse(found) as Figures;
}
