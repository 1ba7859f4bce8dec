import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

const host = '127.0.0.1';
/** A caller that is slower than this is no health check. */
const requestTimeoutMs = 5000;

export type HealthServer = { port: number; close(): Promise<void> };

/**
 * `GET /health` of an agent, on this machine only. `state` is asked at each request, and holds nothing that is secret.
 * @throws the system's error, as EADDRINUSE
 */
export async function serveHealth(port: number, state: () => Record<string, unknown>): Promise<HealthServer> {
  const server = createServer({ requestTimeout: requestTimeoutMs }, ({ method, url }, response) => {
    const isHealth = url === '/health' && (method === 'GET' || method === 'HEAD');
    const body = isHealth ? { status: 'healthy', ...state(), port: portOf(server) } : { error: 'See: GET /health' };
    response.writeHead(isHealth ? 200 : 404, { 'content-type': 'application/json' });
    response.end(method === 'HEAD' ? undefined : JSON.stringify(body));
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => resolve());
  });
  return {
    port: portOf(server),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function portOf(server: Server): number {
  return (server.address() as AddressInfo | null)?.port ?? 0;
}
