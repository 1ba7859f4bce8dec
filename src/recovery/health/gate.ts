import { setTimeout as sleep } from 'node:timers/promises';
import { reasonOf } from '../../base/fault.ts';
import type { N8nCheck } from './n8n.ts';

/** Something that says over HTTP whether it is well. */
export type Endpoint = { name: string; url: string };

/** What must be so before a restored state stays. */
export type HealthCheck = {
  /** Those that the configuration names. */
  endpoints: readonly Endpoint[];
  n8n?: N8nCheck;
  /** How long all of them have, together, from the moment the state is in its place. */
  withinSeconds: number;
  /** How often in a row all of them must be well: one that comes up and falls over again is not. */
  consecutive: number;
};

export type GateResult =
  | { kind: 'healthy'; tookMs: number }
  /** `says` names the endpoint and its last answer. */
  | { kind: 'unhealthy'; says: string };

/** What one endpoint said: the status of its answer, or why there was none. */
export type Answer = number | string;

/** Something else that must be well too: a database, the containers. */
export type Probe = {
  name: string;
  /** Undefined when it is well, else why not, as a sentence goes on after the name. Never throws. */
  ask(): Promise<string | undefined>;
};

type GateOptions = {
  probes?: readonly Probe[];
  /** Aborted when nobody waits for the answer any longer. */
  signal?: AbortSignal;
  /** Told after each time all were asked. */
  tell?(passes: number): void;
  /** Milliseconds between two times; a second unless told. */
  everyMs?: number;
  ask?(url: string, withinMs: number): Promise<Answer>;
};

const usualEveryMs = 1000;
/** An endpoint that takes longer than this to answer is not well. */
const answerWithinMs = 5000;

/** Asks an endpoint once. Redirects are not followed: one is an answer. Never throws. */
export async function askEndpoint(url: string, withinMs = answerWithinMs): Promise<Answer> {
  try {
    const answer = await fetch(url, { signal: AbortSignal.timeout(Math.ceil(withinMs)), redirect: 'manual' });
    await answer.body?.cancel();
    return answer.status;
  } catch (error) {
    if ((error as Error).name === 'TimeoutError') return `does not answer within ${Math.ceil(withinMs / 1000)} s`;
    const { cause } = error as Error;
    return `does not answer: ${reasonOf(cause ?? error)}`;
  }
}

/** 200 to 399, as container health checks with curl -f have it. */
export function isWell(answer: Answer): boolean {
  return typeof answer === 'number' && answer >= 200 && answer < 400;
}

/**
 * Asks all endpoints and probes again and again until each was well as often in a row as is wanted, or time is up. It takes at most
 * `withinSeconds`, however slowly they answer.
 */
export async function passGate(check: HealthCheck, options: GateOptions = {}): Promise<GateResult> {
  const { probes = [], tell, everyMs = usualEveryMs, ask = askEndpoint } = options;
  const began = performance.now();
  const end = began + check.withinSeconds * 1000;
  let passes = 0;
  let last: string | undefined;
  for (;;) {
    const left = end - performance.now();
    if (left > 0) {
      const asked = await Promise.all([
        ...probes.map(async ({ name, ask: probe }) => {
          const why = await within(probe(), left);
          return why === undefined ? undefined : `${name} ${why}`;
        }),
        ...check.endpoints.map(async ({ name, url }) => {
          const answer = await ask(url, Math.min(answerWithinMs, left));
          return isWell(answer) ? undefined : `${name} (${url}) ${answerText(answer)}`;
        }),
      ]);
      const bad = asked.find((why) => why !== undefined);
      passes = bad === undefined ? passes + 1 : 0;
      // Cut short by the deadline, an answer says less than the one before.
      if (bad !== undefined && (last === undefined || left >= answerWithinMs || !/ within \d+ s$/.test(bad)))
        last = bad;
      tell?.(passes);
      if (passes >= check.consecutive) return { kind: 'healthy', tookMs: performance.now() - began };
    }
    if (options.signal?.aborted === true || performance.now() + everyMs >= end)
      return { kind: 'unhealthy', says: failure(check, passes, last) };
    await sleep(everyMs);
  }
}

async function within(answer: Promise<string | undefined>, ms: number): Promise<string | undefined> {
  const stop = new AbortController();
  try {
    return await Promise.race([
      answer,
      sleep(ms, `does not answer within ${Math.ceil(ms / 1000)} s`, { signal: stop.signal }),
    ]);
  } finally {
    stop.abort();
  }
}

function answerText(answer: Answer): string {
  return typeof answer === 'number' ? `answers ${answer}` : answer;
}

function failure({ withinSeconds, consecutive }: HealthCheck, passes: number, last: string | undefined): string {
  const within = `within ${withinSeconds} s`;
  if (passes > 0 || last === undefined)
    return `It was well only ${passes} of ${consecutive} times in a row ${within}${last === undefined ? '' : `; before that, ${last}`}.`;
  return `It was not well ${within}: ${last}.`;
}
