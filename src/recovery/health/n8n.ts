import { hash, randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage } from 'node:http';
import { reasonOf } from '../../base/fault.ts';
import { askEndpoint, isWell } from './gate.ts';

/** An n8n that must be ready, and able to use the credentials in its database. */
export type N8nCheck = {
  /** `http://127.0.0.1:5678` */
  url: string;
  canary: Canary | null;
};

/**
 * A workflow of the owner's: a webhook that makes one HTTP request to this machine with a header credential. Only an n8n that
 * has the encryption key of its database sends the right header.
 */
export type Canary = {
  /** `/webhook/canary` */
  webhook: string;
  /** Where the workflow's request goes to, while it is asked for. */
  listen: { host: string; port: number };
  /** In small letters. */
  header: string;
  /** Of the header's value (hex), so that the value itself lies nowhere else. */
  sha256: string;
};

const withinMs = 5000;

/** Why n8n is not well, or undefined. `/healthz` alone says ok before its database is ready, so it is not asked. Never throws. */
export async function n8nComplaint({ url, canary }: N8nCheck): Promise<string | undefined> {
  const base = url.replace(/\/+$/, '');
  const ready = await askEndpoint(`${base}/healthz/readiness`);
  if (!isWell(ready)) return `is not ready: ${typeof ready === 'number' ? `it answers ${ready}` : `it ${ready}`}`;
  return canary === null ? undefined : askCanary(base, canary);
}

async function askCanary(base: string, { webhook, listen, header, sha256 }: Canary): Promise<string | undefined> {
  const server = createServer();
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject).listen(listen.port, listen.host, resolve);
    });
  } catch (error) {
    return `cannot be asked for its canary: nothing can listen on ${listen.host}:${listen.port} (${reasonOf(error)})`;
  }
  try {
    const arrived = requestTo(server);
    const answer = await fetch(`${base}${webhook}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ nonce: randomUUID() }),
      signal: AbortSignal.timeout(withinMs),
    });
    await answer.body?.cancel();
    if (!answer.ok) return `refuses the canary: ${webhook} answers ${answer.status}. Is its workflow active?`;
    const request = await arrived;
    if (request === undefined) return `took the canary and did not send it on within ${withinMs / 1000} s`;
    const value = request.headers[header];
    if (typeof value !== 'string') return `sent the canary on without the header ${header}`;
    return hash('sha256', value) === sha256
      ? undefined
      : `sent the canary on with another ${header}: it cannot read the credentials in its database`;
  } catch (error) {
    return `does not answer its canary: ${reasonOf((error as Error).cause ?? error)}`;
  } finally {
    server.close();
    server.closeAllConnections();
  }
}

/** The first request that comes, answered; undefined when none does in time. */
function requestTo(server: ReturnType<typeof createServer>): Promise<IncomingMessage | undefined> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(undefined), withinMs);
    server.on('request', (request, answer) => {
      clearTimeout(timer);
      request.resume();
      answer.writeHead(204).end();
      resolve(request);
    });
  });
}
