import { type IncomingMessage, request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';

/** What grammY hands over has a signal of a library of its own. */
type Signal = { aborted: boolean; reason?: unknown; addEventListener(kind: 'abort', listener: () => void): void };
type Init = { method?: string; headers?: unknown; body?: unknown; signal?: Signal | null };

/**
 * As much of `fetch` as the bot and its clients of the bus use: Node's own takes 8 MiB more of a machine that may be small, for as
 * long as the bot waits, which is years. Follows no redirect: wherever that leads, the token would go along.
 */
export const smallFetch = ((url: string | URL, init: Init = {}) => respond(new URL(url), init)) as typeof fetch;

async function respond(url: URL, { method = 'GET', headers, body, signal }: Init): Promise<Response> {
  const abort = new AbortController();
  const end = () => abort.abort(signal?.reason);
  if (signal?.aborted) end();
  signal?.addEventListener('abort', end);
  abort.signal.throwIfAborted();
  const text = typeof body === 'string' ? body : undefined;
  const length = text === undefined ? {} : { 'content-length': Buffer.byteLength(text) };
  const options = { method, headers: { ...(headers as Record<string, string>), ...length }, signal: abort.signal };
  try {
    const answer = await new Promise<IncomingMessage>((resolve, reject) => {
      const sent =
        url.protocol === 'https:'
          ? requestHttps(url, options, resolve)
          : // The bus is near: a connection for each call costs less than one that is closed just when it is used again.
            requestHttp(url, { ...options, agent: false }, resolve);
      sent.on('error', reject).end(text);
    });
    return responseOf(answer, abort.signal);
  } catch (error) {
    throw failureOf(error, abort.signal);
  }
}

/** What a client of the bus and grammY look at. */
function responseOf(answer: IncomingMessage, signal: AbortSignal): Response {
  const status = answer.statusCode ?? 0;
  if (status >= 300 && status < 400) {
    answer.destroy();
    throw new Error(`unexpected redirect (${status})`);
  }
  const text = async () => {
    const chunks: Buffer[] = [];
    try {
      for await (const chunk of answer) chunks.push(chunk as Buffer);
    } catch (error) {
      throw failureOf(error, signal);
    }
    return Buffer.concat(chunks).toString('utf8');
  };
  const response = {
    ok: status >= 200 && status < 300,
    status,
    headers: { get: (name: string) => [answer.headers[name.toLowerCase()] ?? null].flat().join(', ') || null },
    body: answer,
    text,
    json: async () => JSON.parse(await text()),
  };
  return response as unknown as Response;
}

/** As `fetch` says it: why lies in the cause, and an abort is its reason. */
function failureOf(error: unknown, signal: AbortSignal): unknown {
  return signal.aborted ? signal.reason : new TypeError('fetch failed', { cause: error });
}
