import type { IncomingHttpHeaders } from 'node:http';
import { isIPv4 } from 'node:net';
import { Fault } from '../base/fault.ts';

/** Whether only programs on this machine can connect to this address. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIPv4(host) && host.startsWith('127.'));
}

/**
 * Refuses to listen where other machines could connect, because nothing but loopback protects the bus yet.
 * @throws Fault `usage`
 */
export function requireLoopback(host: string): void {
  if (isLoopback(host)) return;
  throw new Fault(
    'usage',
    `The bus does not listen on ${host}: this version knows no tokens, so it stays on loopback.`,
    {
      hint: 'Use 127.0.0.1, ::1 or localhost; reach it from elsewhere through an SSH tunnel or a reverse proxy on this machine.',
    },
  );
}

/** Says why a request is refused for where it comes from, or undefined when it may pass. */
export type Guard = (headers: IncomingHttpHeaders) => Fault | undefined;

/** How many Host headers are remembered as good. Emptied, not grown, beyond this. */
const maxRemembered = 100;

/**
 * Keeps web pages out of a bus that asks nobody for a token: a page can post to loopback without asking (a "simple"
 * request), and a name of its own can be made to point here (DNS rebinding). So the Host must be a known name, and what a
 * browser says about the page (Origin, Sec-Fetch-Site) must be this very server. Programs send neither and pass.
 */
export function makeGuard(allowedHosts: readonly string[]): Guard {
  const allowed = new Set(allowedHosts.map((host) => host.toLowerCase()));
  const good = new Set<string>();
  return (headers) => {
    const { host } = headers;
    if (host === undefined) return noHost();
    if (!good.has(host)) {
      if (!isKnownHost(host, allowed)) return foreignHost(host);
      if (good.size >= maxRemembered) good.clear();
      good.add(host);
    }
    if (headers['sec-fetch-site'] === 'cross-site') return foreignPage('another site');
    if (headers.origin !== undefined && !isSameServer(headers.origin, host)) return foreignPage(headers.origin);
    if (headers.authorization !== undefined) return unknownToken();
    return undefined;
  };
}

function isKnownHost(header: string, allowed: ReadonlySet<string>): boolean {
  const match = /^(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::\d{1,5})?$/i.exec(header);
  const name = match?.[1]?.toLowerCase();
  return name !== undefined && (allowed.has(name) || isLoopback(name === '[::1]' ? '::1' : name));
}

/** Ports are told apart: another program's page on this machine is as foreign as any. */
function isSameServer(origin: string, host: string): boolean {
  const scheme = /^https?:(?=\/\/)/.exec(origin)?.[0];
  if (scheme === undefined || !URL.canParse(origin) || !URL.canParse(`${scheme}//${host}`)) return false;
  return new URL(origin).host === new URL(`${scheme}//${host}`).host;
}

const maxShown = 100;

function noHost(): Fault {
  return new Fault('malformed', 'The request has no Host header, so the bus cannot tell whether it is meant.', {
    hint: 'Send one, such as Host: localhost; HTTP/1.1 demands it.',
  });
}

function foreignHost(host: string): Fault {
  const shown = JSON.stringify(host.slice(0, maxShown));
  return new Fault('forbidden', `The bus does not know itself by the name ${shown}, which the Host header gives.`, {
    hint: 'Call it by 127.0.0.1 or localhost, or list the name under bus: allowed_hosts: in config/leveredge.yaml.',
  });
}

function foreignPage(from: string): Fault {
  const shown = from.slice(0, maxShown);
  return new Fault('forbidden', `A web page of ${shown} may not call the bus.`, {
    hint: 'Call it from a program, or from a page that this bus itself serves.',
  });
}

function unknownToken(): Fault {
  return new Fault(
    'forbidden',
    'This bus knows no tokens yet, so the one in the Authorization header cannot be right.',
    {
      hint: 'Leave the Authorization header out; on loopback no token is needed.',
    },
  );
}
