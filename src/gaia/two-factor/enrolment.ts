import { createHash, createHmac, randomBytes } from 'node:crypto';
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
  /** What there is an entry of its own for in the authenticator; undefined where one is for all. */
  each: readonly string[] | undefined;
};

/** The entry for what is no restore of a target. No target is called so: their names are in small letters. */
export const approvals = 'Approvals';

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
  const [, base32 = text, each] = /^(.*)\neach: (.+)$/s.exec(text) ?? [];
  const secret = fromBase32(base32);
  if (secret === undefined || secret.length < leastSecretBytes)
    throw new Fault('damaged', `${secretFile} holds no secret of an authenticator.`, {
      hint: 'Make a new one: gaia 2fa enroll --replace',
    });
  const fingerprint = fingerprintOf(secret);
  return { secret, fingerprint, codes: codesIn(codesFile, fingerprint), each: each?.split(' ') };
}

/**
 * The secret whose codes confirm something; undefined where the authenticator has no entry for that. A code of one entry is none of
 * another: so it says what it confirms, whatever a bot that lies has shown.
 */
export function secretFor({ secret, each }: Pick<Enrolment, 'secret' | 'each'>, what: string): Buffer | undefined {
  if (each === undefined) return secret;
  if (!each.includes(what)) return undefined;
  return createHmac('sha256', secret).update(`LeverEdge code for ${what}`).digest().subarray(0, secretBytes);
}

/** The entry of the authenticator whose codes confirm a restore; undefined where it has but one. */
export function entryOf(files: FactorFiles, { target }: { target: string }): string | undefined {
  return readEnrolment(files)?.each === undefined ? undefined : target;
}

/** Writes a secret and its backup codes, codes first; what was there is replaced. On disk when it returns. */
export function writeEnrolment(
  files: FactorFiles,
  secret: Buffer,
  codes: readonly string[],
  between: () => void,
  each?: readonly string[],
): void {
  const { secretFile, codesFile } = files;
  for (const file of [secretFile, codesFile]) makeFolder(dirname(file), 0o700);
  const hashed = hashCodes(codes, randomBytes(16).toString('base64'));
  const text = JSON.stringify({ format: 1, of: fingerprintOf(secret), ...hashed });
  writeSecretly(codesFile, `${text}\n`);
  between();
  const entries = each === undefined ? '' : `each: ${each.join(' ')}\n`;
  writeSecretly(secretFile, `${toBase32(secret)}\n${entries}`);
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
