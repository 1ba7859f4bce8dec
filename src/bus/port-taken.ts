import { Fault } from '../base/fault.ts';

const probeTimeoutMs = 1000;
const maxShownVersion = 40;

/** Says who holds a port, as far as it can be told by asking: another bus answers /health. */
export async function portTaken(host: string, port: number): Promise<Fault> {
  const where = `Port ${port} on ${host}`;
  const holder = await askHealth(`http://${host.includes(':') ? `[${host}]` : host}:${port}/health`);
  const find = `see who holds it with: ss -ltnp 'sport = :${port}' (or lsof -i :${port})`;
  if (holder === undefined)
    return new Fault('port-taken', `${where} is taken by another program.`, {
      hint: `Choose another port with --port, or ${find}.`,
    });
  const version = holder.version === undefined ? '' : ` (version ${holder.version})`;
  return new Fault('port-taken', `${where} is taken: an event bus runs there already${version}.`, {
    hint: `Use that one, or stop it first; ${find}. For a second bus choose another port and another home.`,
  });
}

async function askHealth(url: string): Promise<{ version: string | undefined } | undefined> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(probeTimeoutMs), redirect: 'error' });
    const body = (await response.json()) as { service?: unknown; version?: unknown } | null;
    if (body?.service !== 'event-bus') return undefined;
    return { version: typeof body.version === 'string' ? body.version.slice(0, maxShownVersion) : undefined };
  } catch {
    return undefined; // Silent, slow or not speaking HTTP: some other program.
  }
}
