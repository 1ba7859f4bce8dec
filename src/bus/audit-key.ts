import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { chmodSync, closeSync, existsSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Fault, reasonOf } from '../base/fault.ts';
import { makeFolder } from '../base/files.ts';
import { keyIdOf, publicKeyText } from './store/signed-checkpoint.ts';

/** The pair that signs checkpoints. */
export type AuditKeyPair = { privateKey: KeyObject; publicKey: KeyObject; keyId: string };

const privateFile = (home: string) => join(home, 'shared/credentials/event-bus-audit.key');
const publicFile = (home: string) => join(home, 'shared/credentials/event-bus-audit.pub');

/**
 * The key pair of a home, made when there is none: the private key for the owner alone, the public one beside it. A
 * public key that is left of a lost pair is kept under its id.
 * @throws Fault `unavailable` when it cannot be read or made
 */
export function openAuditKey(home: string): AuditKeyPair {
  const file = privateFile(home);
  try {
    const pair = pairOf(existsSync(file) ? createPrivateKey(readFileSync(file)) : makeKey(file));
    if (publicKeyIn(home)?.keyId !== pair.keyId) putPublic(home, pair);
    return pair;
  } catch (error) {
    throw new Fault('unavailable', `The key that signs checkpoints cannot be used, ${file}: ${reasonOf(error)}.`, {
      hint: 'Put the right one back, or move it away: the next start makes another, and an event says so.',
      cause: error,
    });
  }
}

function pairOf(privateKey: KeyObject): AuditKeyPair {
  if (privateKey.asymmetricKeyType !== 'ed25519') throw new Error(`it is of the kind ${privateKey.asymmetricKeyType}`);
  const publicKey = createPublicKey(privateKey);
  return { privateKey, publicKey, keyId: keyIdOf(publicKey) };
}

function makeKey(file: string): KeyObject {
  makeFolder(dirname(file), 0o700);
  const { privateKey } = generateKeyPairSync('ed25519');
  // Under its name only once it is whole: half a key would keep the bus from making another.
  writeSynced(`${file}.new`, privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(), 0o600);
  renameSync(`${file}.new`, file);
  return privateKey;
}

function putPublic(home: string, { publicKey }: AuditKeyPair): void {
  const file = publicFile(home);
  const before = publicKeyIn(home);
  if (before) renameSync(file, file.replace(/\.pub$/, `-${before.keyId}.pub`));
  writeSynced(`${file}.new`, publicKey.export({ type: 'spki', format: 'pem' }).toString(), 0o644);
  renameSync(`${file}.new`, file);
}

function writeSynced(file: string, text: string, mode: number): void {
  const fd = openSync(file, 'w', mode);
  try {
    writeSync(fd, text);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  chmodSync(file, mode);
}

/** The public key of a home, without its private one, or undefined when there is none that can be read. */
export function publicKeyIn(home: string): { keyId: string; publicKey: KeyObject; file: string } | undefined {
  const file = publicFile(home);
  try {
    const publicKey = createPublicKey(readFileSync(file));
    return { keyId: keyIdOf(publicKey), publicKey, file };
  } catch {
    return undefined; // The caller says what that means.
  }
}

/** A pair as events and the store name it. */
export function namedKey({ keyId, publicKey }: AuditKeyPair): { key_id: string; public_key: string } {
  return { key_id: keyId, public_key: publicKeyText(publicKey) };
}
