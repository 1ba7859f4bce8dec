import { join } from 'node:path';
import { Fault } from '../../base/fault.ts';
import type { Surroundings } from './door.ts';

type Around = Pick<
  Surroundings,
  'env' | 'readSecret' | 'findHome' | 'databaseFile' | 'recordedBus' | 'isThisMachine' | 'say'
>;

type Wanted = { home: string | undefined; flag?: string | undefined; agent?: string | undefined };

/** Where tokens lie that `token create --file` makes, and the owner's first one. */
export function credentialsIn(home: string): string {
  return join(home, 'shared', 'credentials');
}

/**
 * The token for the bus at this URL: the one in the file that a flag or LEVEREDGE_TOKEN_FILE names, else the agent's own in
 * the home, for an agent that has one there, else the owner's of the home,
 * but only where the bus that runs on this home listens, as it wrote down itself: whatever else answers at a port of this
 * machine may be anybody's. What would travel unencrypted over a network is said.
 * @throws Fault `usage` when the file that was named has no token, `forbidden` when others can read it
 */
export function findToken(around: Around, url: string, { home, flag, agent }: Wanted): string | undefined {
  const named = flag ?? around.env.tokenFile;
  if (named === undefined) return runsOn(around, url, home) ? tokenOfHome(around, home, agent) : undefined;
  const token = around.readSecret(named)?.trim();
  if (!token)
    throw new Fault(
      'usage',
      `There is no token in ${named}, which ${flag === undefined ? 'LEVEREDGE_TOKEN_FILE' : '--token-file'} names.`,
      {
        hint: 'Make one: leveredge token create NAME --kind KIND --scope SCOPE --file FILE',
      },
    );
  if (travelsOpenly(around, url))
    around.say(`The token travels to ${url} unencrypted. Use https, or a tunnel (ssh -L).`);
  return token;
}

function tokenOfHome(around: Around, home: string | undefined, agent: string | undefined): string | undefined {
  if (agent === undefined) return ownersToken(around, home);
  const own = join(credentialsIn(around.findHome(home).dir), `${agent}.token`);
  return around.readSecret(own)?.trim() || ownersToken(around, home);
}

function ownersToken({ readSecret, findHome }: Around, home: string | undefined): string | undefined {
  try {
    return readSecret(join(credentialsIn(findHome(home).dir), 'owner.token'))?.trim() || undefined;
  } catch (error) {
    // Another user's home: this one goes without, which on loopback is enough for most calls.
    if (error instanceof Fault && error.code === 'usage') return undefined;
    throw error;
  }
}

function runsOn({ recordedBus, databaseFile, findHome }: Around, url: string, home: string | undefined): boolean {
  const recorded = recordedBus(databaseFile(findHome(home).dir));
  return recorded?.alive === true && originOf(recorded.url) === originOf(url);
}

function originOf(url: string): string {
  return URL.canParse(url) ? new URL(url).origin.replace('//localhost', '//127.0.0.1') : url;
}

function travelsOpenly({ isThisMachine }: Around, url: string): boolean {
  if (!URL.canParse(url)) return false; // Refused elsewhere, in better words.
  const { protocol, hostname } = new URL(url);
  return protocol === 'http:' && !isThisMachine(hostname.replace(/^\[(.*)\]$/, '$1'));
}
