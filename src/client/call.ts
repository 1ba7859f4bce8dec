import { Fault, reasonOf } from '../base/fault.ts';
import { isSecret } from '../events/token.ts';
import { faultOf, isRecord } from './problem.ts';

export type CallOptions = {
  body?: unknown;
  headers?: Readonly<Record<string, string>> | undefined;
  query?: Readonly<Record<string, string | number | boolean | undefined>> | undefined;
  /** Members the answer must have; another program on this port is told apart by them. */
  expect: readonly string[];
  /** The caller's own end: an abort is thrown on as it is. */
  signal?: AbortSignal | undefined;
  timeoutMs?: number | undefined;
};

export type Call = (method: string, path: string, options: CallOptions) => Promise<Record<string, unknown>>;

const defaultTimeoutMs = 30_000;

/**
 * One HTTP call to the bus at `url`, without retry. `token` goes along with each call, and no
 * redirection takes it elsewhere.
 * @throws Fault as the bus said it, or `unreachable` when nothing answers, not in time, or not like an event bus.
 */
export function makeCall(url: string, fetcher: typeof fetch, token?: string): Call {
  const base = parseUrl(url);
  // Not left to fetch, which would show what it finds wrong with a header.
  if (token !== undefined && !isSecret(token)) throw noToken();
  const authorization = token === undefined ? undefined : { authorization: `Bearer ${token}` };
  return async (method, path, { body, headers, query, expect, signal, timeoutMs = defaultTimeoutMs }) => {
    const target = new URL(base + path);
    for (const [key, value] of Object.entries(query ?? {}))
      if (value !== undefined) target.searchParams.set(key, String(value));
    const timeout = AbortSignal.timeout(timeoutMs);
    let response: Response;
    let text: string;
    try {
      response = await fetcher(target, {
        method,
        headers: {
          ...authorization,
          ...(body === undefined ? undefined : { 'content-type': 'application/json' }),
          ...headers,
        },
        body: body === undefined ? null : JSON.stringify(body),
        signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
        redirect: 'error',
      });
      text = await response.text();
    } catch (error) {
      if (signal?.aborted) throw signal.reason;
      throw unreachable(base, timeout.aborted ? `no answer within ${timeoutMs / 1000} s` : causeOf(error), error);
    }
    const answer = parseOrUndefined(text);
    if (!response.ok && (isRecord(answer) || response.status >= 500))
      throw faultOf(response.status, answer, response.headers.get('retry-after'));
    if (!isRecord(answer) || !expect.every((member) => Object.hasOwn(answer, member)))
      throw unreachable(base, `what answers there is no event bus: HTTP ${response.status} to ${method} ${path}`);
    return answer;
  };
}

export function parseUrl(url: string): string {
  const hint = 'Write it like http://127.0.0.1:8099, in --url or LEVEREDGE_URL.';
  // Before anything is shown: what stands before an @ may be a password, also in what is no URL otherwise.
  if (url.includes('@')) throw new Fault('usage', 'The URL of a bus takes no user name and no password.', { hint });
  if (!/^https?:/i.test(url) || !URL.canParse(url))
    throw new Fault('usage', `${JSON.stringify(url)} is no URL of a bus.`, { hint });
  return url.replace(/\/+$/, '');
}

function noToken(): Fault {
  return new Fault('usage', 'What should be a token of the bus is none: it must be lev_ and 40 letters or digits.', {
    hint: 'Look at the file that LEVEREDGE_TOKEN_FILE names. It holds the token and nothing else.',
  });
}

export function unreachable(url: string, why: string, cause?: unknown): Fault {
  return new Fault('unreachable', `No bus can be reached at ${url} (${why}).`, {
    hint: 'Start it with "leveredge bus", or say where it is with --url or LEVEREDGE_URL.',
    cause,
  });
}

const plainCauses: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection reset',
  ENOTFOUND: 'unknown host name',
  EAI_AGAIN: 'the host name cannot be looked up now',
  EHOSTUNREACH: 'no route to that host',
  ETIMEDOUT: 'connecting took too long',
  UND_ERR_CONNECT_TIMEOUT: 'connecting took too long',
  UND_ERR_SOCKET: 'the connection broke',
};

/** What ends a request that may have gone out. */
const brokenOff = ['ECONNRESET', 'EPIPE', 'UND_ERR_SOCKET', 'UND_ERR_HEADERS_TIMEOUT', 'UND_ERR_BODY_TIMEOUT'];

/** Whether the bus may have had a request of which this was thrown, though no answer came back. */
export function mayHaveArrived(thrown: unknown): boolean {
  if (!(thrown instanceof Fault) || thrown.code !== 'unreachable' || !(thrown.cause instanceof Error)) return false;
  const { cause, name } = thrown.cause;
  return name === 'TimeoutError' || (isRecord(cause) && brokenOff.includes(String(cause.code)));
}

/** fetch says only "fetch failed"; the reason lies in its cause. */
export function causeOf(error: unknown): string {
  const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
  const code = isRecord(cause) && typeof cause.code === 'string' ? cause.code : '';
  return plainCauses[code] ?? (reasonOf(cause) || code);
}

export function parseOrUndefined(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // Judged by the caller: no JSON means that no bus answered.
  }
}
