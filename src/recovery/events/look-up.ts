import { Resolver } from 'node:dns/promises';
import { readFileSync } from 'node:fs';
import { isIP, type LookupFunction } from 'node:net';

type Address = { address: string; family: number };

/**
 * Looks names up in /etc/hosts and the DNS, and lets go when the signal says so. The system's own way cannot be given up, and
 * keeps the whole process until it ends, which takes long where the DNS is away.
 */
export function lookUp(signal: AbortSignal): LookupFunction {
  return (name, { all }, done) => {
    addressesOf(name, signal).then(
      (found) => {
        const [first] = found;
        if (first === undefined) done(noSuchName(name), '');
        else if (all) done(null, found);
        else done(null, first.address, first.family);
      },
      (error: NodeJS.ErrnoException) => done(error, ''),
    );
  };
}

async function addressesOf(name: string, signal: AbortSignal): Promise<Address[]> {
  const known = name === 'localhost' ? ['127.0.0.1', '::1'] : inHosts(name);
  signal.throwIfAborted();
  if (known.length > 0) return known.map((address) => ({ address, family: isIP(address) }));
  const resolver = new Resolver({ tries: 1 });
  const cancel = () => resolver.cancel();
  signal.addEventListener('abort', cancel);
  try {
    const found = await Promise.allSettled([resolver.resolve4(name), resolver.resolve6(name)]);
    return found.flatMap((each) =>
      each.status === 'fulfilled' ? each.value.map((address) => ({ address, family: isIP(address) })) : [],
    );
  } finally {
    signal.removeEventListener('abort', cancel);
  }
}

function inHosts(name: string): string[] {
  let text: string;
  try {
    text = readFileSync('/etc/hosts', 'utf8');
  } catch {
    return []; // A machine without one has the DNS.
  }
  return text.split('\n').flatMap((line) => {
    const [address = '', ...names] = line.replace(/#.*/, '').trim().split(/\s+/);
    return isIP(address) > 0 && names.includes(name) ? [address] : [];
  });
}

function noSuchName(name: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`${name} is no name that is known`), { code: 'ENOTFOUND' });
}
