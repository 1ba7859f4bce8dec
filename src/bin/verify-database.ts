import { createPublicKey, type KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Fault, reasonOf } from '../base/fault.ts';
import { publicKeyIn } from '../bus/audit-key.ts';
import { parseCheckpoints } from '../bus/store/signed-checkpoint.ts';
import { verifyFile } from '../bus/store/sqlite/verify-file.ts';
import type { AuditKeyReport, AuditReport, VerifyRequest } from '../channels/cli/door.ts';

/**
 * Verifies the audit chain of a database file. Keys that are given count alone; else that of the home and those the file
 * names.
 */
export function verifyDatabase({ file, checkpoints, keys, home, progress }: VerifyRequest): AuditReport {
  const ofHome = home === undefined ? undefined : publicKeyIn(home)?.publicKey;
  return verifyFile({
    file,
    checkpoints: checkpoints === undefined ? [] : parseCheckpoints(read(checkpoints), checkpoints),
    keys: keys.length > 0 ? keys.map(keyIn) : ofHome ? [ofHome] : [],
    trustsOwnKeys: keys.length === 0,
    progress,
  });
}

/** The public key of a home as others are given it. */
export function auditKey(home: string): AuditKeyReport | undefined {
  const found = publicKeyIn(home);
  if (!found) return undefined;
  const { keyId, publicKey, file } = found;
  return { keyId, file, pem: publicKey.export({ type: 'spki', format: 'pem' }).toString() };
}

function keyIn(file: string): KeyObject {
  const text = read(file);
  try {
    const key = createPublicKey(text);
    if (key.asymmetricKeyType === 'ed25519') return key;
    throw new Error(`its kind is ${key.asymmetricKeyType}`);
  } catch (error) {
    throw new Fault('usage', `${file} is no public key of a bus: ${reasonOf(error)}.`, {
      hint: 'Give what leveredge audit key printed.',
      cause: error,
    });
  }
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new Fault('not-found', `${file} cannot be read: ${reasonOf(error)}.`, { cause: error });
  }
}
