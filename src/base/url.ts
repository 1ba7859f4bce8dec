/**
 * Where a server that listens on this address is called from the same machine. Every address of the machine (0.0.0.0, ::)
 * is called by its loopback one.
 */
export function urlOf(host: string, port: number): string {
  const called = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host;
  return `http://${called.includes(':') ? `[${called}]` : called}:${port}`;
}
