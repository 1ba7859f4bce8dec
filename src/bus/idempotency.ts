import { createHash } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { Fault } from '../base/fault.ts';
import type { Principal } from '../events/principal.ts';
import type { Ask } from './route.ts';
import type { Once } from './store/store.ts';

/** Names a request, so that sending it again does nothing twice; as node writes it. */
export const keyHeader = 'idempotency-key';
/** On an answer that is an earlier one again. */
export const replayedHeader = 'idempotency-replayed';
export const replayedHelp = { 'Idempotency-Replayed': 'true on an answer that was given before' };

export const keyHelp =
  'A name of your own for this request, 1 to 255 visible ASCII characters, unique to it. The same request with the same key within 24 hours is answered as the first was, with the header Idempotency-Replayed, and stores nothing; another request with it is refused.';

type Asked = Pick<Ask<unknown, unknown>, 'headers' | 'raw' | 'principal'>;

/** The requests that came with a key and are being worked on. */
export type KeysInUse = {
  /**
   * Runs a request that may have come with a key: `act` is given what tells it from others, or undefined without a key.
   * @throws Fault `invalid` for what is no key or one of another request, `still-running` while the same one is.
   */
  run<T>(path: string, ask: Asked, act: (once: Once | undefined) => Promise<T>): Promise<T>;
};

/** For one bus: nobody else stores under its keys. */
export function makeKeysInUse(): KeysInUse {
  const running = new Map<string, string>();
  return {
    async run(path, { headers, raw, principal }, act) {
      const header = headers[keyHeader];
      if (header === undefined) return act(undefined);
      const once = { owner: ownerOf(principal), key: keyOf(String(header)), request: hashOf(path, headers, raw) };
      const name = `${once.owner}\0${once.key}`;
      const other = running.get(name);
      if (other !== undefined) throw other === once.request ? stillRunning(once.key) : keyTaken(once.key);
      running.set(name, once.request);
      try {
        return await act(once);
      } finally {
        running.delete(name);
      }
    },
  };
}

/** The key came with another request before. */
export function keyTaken(key: string): Fault {
  const detail = 'came with another request before';
  return new Fault('invalid', `The Idempotency-Key ${JSON.stringify(key)} ${detail}.`, {
    mistakes: [{ pointer: keyHeader, detail }],
    hint: 'A key stands for one request: use a new one for this, or send the request again just as it was.',
  });
}

function stillRunning(key: string): Fault {
  return new Fault('still-running', `The request with the Idempotency-Key ${JSON.stringify(key)} has no answer yet.`, {
    hint: 'Send it again in a moment; it will get the same answer.',
  });
}

/** No two callers share keys by chance; a token's name is its bearer's, and nobody is called by a kind. */
function ownerOf(principal: Principal): string {
  return principal.kind === 'anonymous' ? principal.kind : `${principal.kind}:${principal.name}`;
}

/** The quotes that make it a string of RFC 8941 are no part of it. */
function keyOf(header: string): string {
  const key = /^"(.*)"$/.exec(header)?.[1] ?? header;
  if (/^[\x21-\x7e]{1,255}$/.test(key)) return key;
  const detail = 'must be 1 to 255 visible ASCII characters, without blanks';
  throw new Fault('invalid', `The header Idempotency-Key makes no sense: it ${detail}.`, {
    mistakes: [{ pointer: keyHeader, detail }],
    hint: 'A random UUID for each request is a good key.',
  });
}

/** Of all that makes the event: a CloudEvent has parts of it in its headers. */
function hashOf(path: string, headers: IncomingHttpHeaders, raw: Buffer): string {
  const hash = createHash('sha256').update(`${path}\n`);
  for (const name of Object.keys(headers).sort())
    if (name === 'content-type' || name.startsWith('ce-')) hash.update(`${name}: ${headers[name]}\n`);
  return hash.update('\n').update(raw).digest('hex');
}
