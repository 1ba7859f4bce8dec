const requestLimitMs = 10_000;

export type Reply = { status: number; body: unknown };

/** One request; undefined when the connection ended before the answer was read. */
export async function call(url: string, method: string, path: string, body?: unknown): Promise<Reply | undefined> {
  try {
    const response = await fetch(`${url}${path}`, {
      method,
      signal: AbortSignal.timeout(requestLimitMs),
      ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
    });
    return { status: response.status, body: await response.json() };
  } catch (error) {
    if (error instanceof Error && error.name === 'TimeoutError')
      throw new Error(`${method} ${path} had no answer within ${requestLimitMs} ms.`, { cause: error });
    return undefined;
  }
}
