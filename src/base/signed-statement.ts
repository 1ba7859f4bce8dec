import { createPublicKey, type KeyObject, verify } from 'node:crypto';
import { canonicalJson } from './canonical-json.ts';
import type { Json, JsonObject } from './json.ts';

/** Base64url of what is said and of 64 bytes of Ed25519; longer is none. */
const form = /^([\w-]{1,4000})\.([\w-]{86})$/;

/**
 * What somebody says, as one line that another can check. `kind` is signed with it, so that what was said of one thing is nothing in
 * the place of another, also where the key signs other things.
 */
export function signStatement(kind: string, says: JsonObject, sign: (bytes: Uint8Array) => Uint8Array): string {
  const text = canonicalJson(says);
  const signature = sign(bytesOf(kind, text));
  return `${Buffer.from(text).toString('base64url')}.${Buffer.from(signature).toString('base64url')}`;
}

/** What a line says that was signed with this Ed25519 key (PEM); undefined for everything else. Never throws. */
export function readStatement(kind: string, line: string, publicKey: string): JsonObject | undefined {
  const [, said = '', signature = ''] = form.exec(line) ?? [];
  const key = keyIn(publicKey);
  if (said === '' || key === undefined) return undefined;
  const text = Buffer.from(said, 'base64url').toString();
  if (!verify(null, bytesOf(kind, text), key, Buffer.from(signature, 'base64url'))) return undefined;
  const says = JSON.parse(text) as Json;
  return typeof says === 'object' && says !== null && !Array.isArray(says) ? says : undefined;
}

const bytesOf = (kind: string, text: string) => Buffer.from(`leveredge says: ${kind}\n${text}`);

function keyIn(pem: string): KeyObject | undefined {
  try {
    const key = createPublicKey(pem);
    return key.asymmetricKeyType === 'ed25519' ? key : undefined;
  } catch {
    return undefined; // No key.
  }
}
