import { type CallOptions, causeOf, parseOrUndefined, parseUrl, unreachable } from './call.ts';
import { faultOf } from './problem.ts';

/** Connects to a stream of the bus; its bytes come in the body. */
export type OpenStream = (
  path: string,
  options: { query: CallOptions['query']; lastEventId: string | undefined; signal: AbortSignal },
) => Promise<ReadableStream<Uint8Array>>;

const mediaType = 'text/event-stream';

/**
 * Opens streams of the bus at `url`, without retry.
 * @throws Fault as the bus said it, or `unreachable` when nothing answers, or not like an event bus; the signal's reason
 *   when it is aborted.
 */
export function streamOpener(url: string, fetcher: typeof fetch, token?: string): OpenStream {
  const base = parseUrl(url);
  const authorization = token === undefined ? undefined : { authorization: `Bearer ${token}` };
  return async (path, { query, lastEventId, signal }) => {
    const target = new URL(base + path);
    for (const [key, value] of Object.entries(query ?? {}))
      if (value !== undefined) target.searchParams.set(key, String(value));
    let response: Response;
    try {
      response = await fetcher(target, {
        headers: {
          accept: mediaType,
          ...authorization,
          ...(lastEventId === undefined ? undefined : { 'last-event-id': lastEventId }),
        },
        signal,
        redirect: 'error',
      });
      if (response.ok && response.headers.get('content-type')?.startsWith(mediaType) && response.body)
        return response.body;
      const answer = parseOrUndefined(await response.text());
      if (!response.ok && answer !== undefined)
        throw faultOf(response.status, answer, response.headers.get('retry-after'));
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      if (error instanceof Error && error.name === 'Fault') throw error;
      throw unreachable(base, causeOf(error), error);
    }
    throw unreachable(base, `what answers there is no event bus: HTTP ${response.status} to GET ${path}`);
  };
}
