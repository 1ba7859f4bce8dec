import { randomInt, scryptSync, timingSafeEqual } from 'node:crypto';

/** Without I, L, O and U, which people take for others (Crockford). */
const alphabet = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
const howMany = 10;
/** Fifty bits: not to be found by trying, and few enough to be typed. */
const letters = 10;
/** About 0.1 s and 32 MiB for each try. */
const cost = { N: 2 ** 15, r: 8, p: 1, maxmem: 64 * 1024 * 1024 };
const hashBytes = 32;

/** Backup codes as they lie on disk. One salt for all, so that a code that is tried is hashed once. */
export type HashedCodes = { salt: string; hashes: readonly string[] };

/** New ones, as `7K2QX-M4DPA`. */
export function newBackupCodes(): string[] {
  return Array.from({ length: howMany }, () => {
    const text = Array.from({ length: letters }, () => alphabet[randomInt(alphabet.length)]).join('');
    return `${text.slice(0, letters / 2)}-${text.slice(letters / 2)}`;
  });
}

/** @param salt base64 */
export function hashCodes(codes: readonly string[], salt: string): HashedCodes {
  return { salt, hashes: codes.map((code) => hashOf(normal(code) as string, salt)) };
}

/** The hash among these that a typed code has; undefined when there is none. */
export function findCode({ salt, hashes }: HashedCodes, typed: string): string | undefined {
  const code = normal(typed);
  if (code === undefined) return undefined;
  const hash = Buffer.from(hashOf(code, salt), 'base64');
  let found: string | undefined;
  for (const each of hashes) {
    const known = Buffer.from(each, 'base64');
    if (known.length === hash.length && timingSafeEqual(known, hash)) found = each;
  }
  return found;
}

/** Whether a text has the form of a backup code, as people type it. */
export const isBackupCode = (text: string) => normal(text) !== undefined;

function normal(typed: string): string | undefined {
  const text = typed.replace(/[\s-]/g, '').toUpperCase().replace(/O/g, '0').replace(/[IL]/g, '1');
  return text.length === letters && [...text].every((letter) => alphabet.includes(letter)) ? text : undefined;
}

function hashOf(code: string, salt: string): string {
  return scryptSync(code, Buffer.from(salt, 'base64'), hashBytes, cost).toString('base64');
}
