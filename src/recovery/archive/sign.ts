import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
  verify,
} from 'node:crypto';
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { Fault, reasonOf } from '../../base/fault.ts';
import { isThere } from '../../base/files.ts';
import { readPrivately, writePrivately } from '../../base/private-file.ts';
import type { Place } from '../place.ts';

export type Signer = {
  /** Raw 32 bytes of the public key as base64. */
  publicKey: string;
  /** 64 bytes, Ed25519 (RFC 8032). */
  sign(bytes: Uint8Array): Buffer;
};

/** Who signed: a key this machine knows; one that nobody here knows, which on a bare machine is all there is; or nobody. */
export type Signature = { kind: 'known' | 'unknown-signer'; fingerprint: string } | { kind: 'bad'; reason: string };

/** What stands before the 32 bytes of an Ed25519 key in SPKI form (RFC 8410). */
const spkiPrefix = Buffer.from('302a300506032b6570032100', 'hex');

/**
 * The key that signs manifests, made at the first backup: private half 0600, public half beside it.
 * @throws Fault `forbidden` when others can read it, `usage` when it is no key or cannot be made
 */
export function loadSigner(place: Pick<Place, 'signingKey' | 'publicKey'>): Signer {
  const pem = readPrivately(place.signingKey) ?? makeKey(place);
  let key: KeyObject;
  try {
    key = createPrivateKey(pem);
  } catch (error) {
    throw noKey(place.signingKey, error);
  }
  if (key.asymmetricKeyType !== 'ed25519') throw noKey(place.signingKey, undefined);
  const half = createPublicKey(key);
  const trusted = knownKey(place.publicKey);
  if (trusted === undefined) writeHalf(place.publicKey, half);
  else if (rawOf(trusted) !== rawOf(half))
    throw new Fault('conflict', `${place.publicKey} does not belong to the key ${place.signingKey}.`, {
      hint: 'Put back the one that belongs to it: what is signed with this key would be trusted by nobody here.',
    });
  return { publicKey: rawOf(half), sign: (bytes) => sign(null, bytes, key) };
}

function makeKey(place: Pick<Place, 'signingKey' | 'publicKey'>): string {
  // A public half without its private one is what a rebuilt machine has: a new key would make its backups strangers.
  if (isThere(place.publicKey))
    throw new Fault(
      'conflict',
      `There is ${place.publicKey}, but not the key that belongs to it, ${place.signingKey}.`,
      {
        hint: `Put the key back from where you keep it. To begin with a new one, move ${place.publicKey} away first.`,
      },
    );
  const { privateKey } = generateKeyPairSync('ed25519');
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  try {
    writePrivately(place.signingKey, pem);
  } catch (error) {
    if (error instanceof Fault) throw error;
    throw new Fault(
      'usage',
      `The key that signs backups cannot be written to ${place.signingKey}: ${reasonOf(error)}.`,
      {
        hint: 'Make its folder writable, or name another file in the configuration: signing_key_file',
        cause: error,
      },
    );
  }
  return pem;
}

function writeHalf(file: string, half: KeyObject): void {
  writeFileSync(`${file}.new`, half.export({ type: 'spki', format: 'pem' }), { mode: 0o644 });
  renameSync(`${file}.new`, file);
}

function noKey(file: string, cause: unknown): Fault {
  return new Fault('usage', `${file} is no Ed25519 key.`, {
    hint: 'Put the right file back; nothing was signed.',
    cause,
  });
}

function rawOf(half: KeyObject): string {
  return half.export({ type: 'spki', format: 'der' }).subarray(spkiPrefix.length).toString('base64');
}

/** The public key this machine trusts, or undefined on a machine that has none. @throws Fault `usage` when it is no key */
export function knownKey(file: string): KeyObject | undefined {
  if (!isThere(file)) return undefined;
  try {
    const key = createPublicKey(readFileSync(file, 'utf8'));
    if (key.asymmetricKeyType === 'ed25519') return key;
  } catch (error) {
    throw noKey(file, error);
  }
  throw noKey(file, undefined);
}

/**
 * Judges a manifest's signature. With a known key no other counts; without one the key in the manifest shows at least
 * that manifest and signature belong together.
 */
export function checkSignature(
  manifest: Uint8Array,
  signature: Uint8Array,
  claimed: string,
  known: KeyObject | undefined,
): Signature {
  const key = known ?? keyOfRaw(claimed);
  if (key === undefined) return { kind: 'bad', reason: 'the manifest names no key' };
  if (signature.length !== 64 || !verify(null, manifest, key, signature)) {
    const isOther = known !== undefined && rawOf(known) !== claimed;
    return {
      kind: 'bad',
      reason: isOther
        ? `it is signed by another key (${fingerprintOf(claimed)}) than this machine's (${fingerprintOf(rawOf(known))})`
        : 'its signature does not match it',
    };
  }
  return { kind: known === undefined ? 'unknown-signer' : 'known', fingerprint: fingerprintOf(rawOf(key)) };
}

function keyOfRaw(raw: string): KeyObject | undefined {
  try {
    return createPublicKey({
      key: Buffer.concat([spkiPrefix, Buffer.from(raw, 'base64')]),
      type: 'spki',
      format: 'der',
    });
  } catch {
    return undefined; // Told by the caller.
  }
}

/** The first 16 hex digits of the SHA-256 of a raw public key, for people to compare. */
export function fingerprintOf(raw: string): string {
  return createHash('sha256').update(Buffer.from(raw, 'base64')).digest('hex').slice(0, 16);
}
