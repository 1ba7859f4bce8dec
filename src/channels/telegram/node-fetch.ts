/** What grammY hands to a fetch: a signal of a library of its own. */
type Init = Omit<RequestInit, 'signal'> & {
  signal?: { aborted: boolean; addEventListener(kind: 'abort', listener: () => void): void } | null;
};

/**
 * Node's own fetch for grammY, which would bring one for old versions of Node: that warns at its start, and does not survive being
 * bundled. Connections are kept open here too.
 */
export function fetchOfNode(
  url: string | URL | Request,
  { signal, method, headers, body }: Init = {},
): Promise<Response> {
  const abort = new AbortController();
  if (signal?.aborted) abort.abort();
  signal?.addEventListener('abort', () => abort.abort());
  return fetch(url, {
    ...(method === undefined ? {} : { method }),
    ...(headers === undefined ? {} : { headers }),
    ...(body === undefined ? {} : { body }),
    signal: abort.signal,
    // Whoever answers for Telegram must not send the token elsewhere.
    redirect: 'error',
  });
}
