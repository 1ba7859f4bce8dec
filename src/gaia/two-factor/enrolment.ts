import { createHash, randomBytes } from 'node:crypto';
import { chmodSync } from 'node:fs';
import { dirname } from 'node:path';
import { Fault } from '../../base/fault.ts';
import { makeFolder } from '../../base/files.ts';
import { readPrivately } from '../../base/private-file.ts';
import { writeWhole } from '../../recovery/archive/manifest-file.ts';
import { syncFolder } from '../../recovery/disk.ts';
import { type HashedCodes, hashCodes } from './backup-codes.ts';
import { fromBase32, toBase32 } from './base32.ts';

/** Where the second factor lies: `.2fa_secret` and `.2fa_backup_codes`, 0600. */
export type FactorFiles = { secretFile: string; codesFile: string };

/** What a phone was given, and what stands in for it. */
export type Enrolment = {
  secret: Buffer;
  /** Tells one secret from another without giving any away. */
  fingerprint: string;
  /** None where the file is of another secret, or lost. */
  codes: HashedCodes;
};

/** As RFC 4226 wants it: as long as the hash. */
const secretBytes = 20;
const leastSecretBytes = 16;

/** A new secret, of the system's randomness. */
export const newSecret = () => randomBytes(secretBytes);

/**
 * The second factor of this machine; undefined while none is set up, which an empty file says as well.
 * @throws Fault `forbidden` when others may read a file of it, `damaged` when it is none; never with the secret
 */
export function readEnrolment({ secretFile, codesFile }: FactorFiles): Enrolment | undefined {
  const text = readPrivately(secretFile)?.trim();
  if (text === undefined || text === '') return undefined;
  const secret = fromBase32(text);
  if (secret === undefined || secret.length < leastSecretBytes)
    throw new Fault('damaged', `${secretFile} holds no secret of an authenticator.`, {
      hint: 'Make a new one: gaia 2fa enroll --replace',
    });
  const fingerprint = fingerprintOf(secret);
  return { secret, fingerprint, codes: codesIn(codesFile, fingerprint) };
}

/** Writes a secret and its backup codes, codes first; what was there is replaced. On disk when it returns. */
export function writeEnrolment(
  files: FactorFiles,
  secret: Buffer,
  codes: readonly string[],
  between: () => void,
): void {
  const { secretFile, codesFile } = files;
  for (const file of [secretFile, codesFile]) makeFolder(dirname(file), 0o700);
  const hashed = hashCodes(codes, randomBytes(16).toString('base64'));
  const text = JSON.stringify({ format: 1, of: fingerprintOf(secret), ...hashed });
  writeSecretly(codesFile, `${text}\n`);
  between();
  writeSecretly(secretFile, `${toBase32(secret)}\n`);
}

/** Of 160 random bits: nobody finds them from it. */
export const fingerprintOf = (secret: Uint8Array) => createHash('sha256').update(secret).digest('hex');

function writeSecretly(file: string, text: string): void {
  writeWhole(file, Buffer.from(text));
  chmodSync(file, 0o600);
  syncFolder(dirname(file));
}

function codesIn(file: string, fingerprint: string): HashedCodes {
  const none = { salt: '', hashes: [] };
  const text = readPrivately(file);
  if (text === undefined || text.trim() === '') return none;
  try {
    const { of, salt, hashes } = JSON.parse(text) as { of: unknown; salt: unknown; hashes: unknown };
    const isList = Array.isArray(hashes) && hashes.every((each) => typeof each === 'string');
    return of === fingerprint && typeof salt === 'string' && isList ? { salt, hashes } : none;
  } catch {
    return none; // Damaged: the authenticator still works.
  }
}
