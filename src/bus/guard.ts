import type { IncomingHttpHeaders } from 'node:http';
import { isIP, isIPv4 } from 'node:net';
import { Fault } from '../base/fault.ts';

/** Whether only programs on this machine can connect to this address. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIPv4(host) && host.startsWith('127.'));
}

/**
 * Refuses to listen where other machines could connect and nobody is asked for a token.
 * @throws Fault `usage`
 */
export function requireProtection({ host, auth }: { host: string; auth: 'loopback' | 'required' }): void {
  if (isLoopback(host) || auth === 'required') return;
  throw new Fault('usage', `The bus does not listen on ${host}, where other machines reach it, without tokens.`, {
    hint: 'Give --auth required (auth: required in config/leveredge.yaml), or use 127.0.0.1, ::1 or localhost.',
  });
}

/** Says why a request is refused for where it comes from, or undefined when it may pass. */
export type Guard = (headers: IncomingHttpHeaders) => Fault | undefined;

/**
 * What a browser says of a page that is not this server's. Another port of this machine is the same site, and its pages
 * need not say their Origin with a GET, such as one that takes deliveries from a stream.
 */
const foreignSites: ReadonlySet<unknown> = new Set(['cross-site', 'same-site']);

/** How many Host headers are remembered as good. Emptied, not grown, beyond this. */
const maxRemembered = 100;

/**
 * Keeps web pages out of a bus that may ask nobody for a token: a page can post to loopback without asking (a "simple"
 * request), and a name of its own can be made to point here (DNS rebinding). So the Host must be a known name, and what a
 * browser says about the page (Origin, Sec-Fetch-Site) must be this very server. Programs send neither and pass.
 * `anyAddress`: any IP address is known too, for a bus that other machines reach; no name can be made of one.
 */
export function makeGuard(allowedHosts: readonly string[], anyAddress = false): Guard {
  const allowed = new Set(allowedHosts.map((host) => host.toLowerCase()));
  const good = new Set<string>();
  return (headers) => {
    const { host } = headers;
    if (host === undefined) return noHost();
    if (!good.has(host)) {
      if (!isKnownHost(host, allowed, anyAddress)) return foreignHost(host);
      if (good.size >= maxRemembered) good.clear();
      good.add(host);
    }
    if (foreignSites.has(headers['sec-fetch-site'])) return foreignPage('another site');
    if (headers.origin !== undefined && !isSameServer(headers.origin, host)) return foreignPage(headers.origin);
    return undefined;
  };
}

function isKnownHost(header: string, allowed: ReadonlySet<string>, anyAddress: boolean): boolean {
  const match = /^(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::\d{1,5})?$/i.exec(header);
  const name = match?.[1]?.toLowerCase();
  if (name === undefined) return false;
  const address = name.replace(/^\[(.*)\]$/, '$1');
  return allowed.has(name) || isLoopback(address) || (anyAddress && isIP(address) !== 0);
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
