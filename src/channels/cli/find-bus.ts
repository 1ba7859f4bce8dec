import { urlOf } from '../../base/url.ts';
import type { BusFlags, Surroundings } from './door.ts';

/**
 * `isGiven`: --url or LEVEREDGE_URL named it, so no other bus will do. `isGuess`: nobody named the address, and no bus on
 * the home says that it listens there.
 */
export type FoundBus = { url: string; isGiven: boolean; isGuess: boolean };

/** Where a bus listens that nobody has told otherwise. */
export const usualUrl = 'http://127.0.0.1:8099';

/**
 * Where the bus is: --url, else LEVEREDGE_URL, else port and host of flags and environment, else the bus that runs on the
 * home, as it wrote down itself, else what the settings of the home say, else 127.0.0.1:8099. Asks nobody.
 * @throws Fault `usage` for a port or host in flags or environment that is none
 */
export async function findBus(
  around: Surroundings,
  { url: asked, home, port, host }: BusFlags & { url?: string | undefined },
): Promise<FoundBus> {
  const given = asked ?? around.env.url;
  if (given !== undefined) return { url: given, isGiven: true, isGuess: false };
  const flags = { home, port, host };
  const outweighs = [port, host, around.env.port, around.env.host].some((value) => value !== undefined);
  const named = outweighs ? urlAt(await around.busAddress(flags)) : undefined;
  const found = named ?? runningOn(around, home);
  const url = found ?? urlAt(await around.busAddress(flags)) ?? usualUrl;
  return { url, isGiven: false, isGuess: found === undefined };
}

function runningOn({ findHome, databaseFile, recordedBus }: Surroundings, home: string | undefined) {
  const recorded = recordedBus(databaseFile(findHome(home).dir));
  return recorded?.alive ? recorded.url : undefined;
}

/** Port 0 is any free one, which only the bus itself knows. */
function urlAt({ host, port }: { host: string; port: number }): string | undefined {
  return port === 0 ? undefined : urlOf(host, port);
}
