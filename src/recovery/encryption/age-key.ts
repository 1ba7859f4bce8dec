import { readFileSync } from 'node:fs';
import { Fault, reasonOf } from '../../base/fault.ts';
import { readPrivately } from '../../base/private-file.ts';

/** A key of age: what opens archives (secret), and what they are encrypted to. */
export type AgeKey = { identity: string; recipient: string };

/** X25519 in Bech32: what every `age` understands. */
const recipientForm = /^age1[02-9ac-hj-np-z]{58}$/;
const identityForm = /^AGE-SECRET-KEY-1[02-9AC-HJ-NP-Z]{58}$/;
const identityLength = 74;

/** Whether a text has the form of a recipient that every `age` can encrypt to. Its checksum is judged when it is used. */
export function isRecipient(text: string): boolean {
  return recipientForm.test(text);
}

/** A new one, of the system's randomness. */
export async function newAgeKey(): Promise<AgeKey> {
  const { generateX25519Identity, identityToRecipient } = await import('age-encryption');
  const identity = await generateX25519Identity();
  return { identity, recipient: await identityToRecipient(identity) };
}

/** @throws Fault `usage` for what is no identity */
export async function recipientOf(identity: string): Promise<string> {
  const { identityToRecipient } = await import('age-encryption');
  try {
    return await identityToRecipient(identity);
  } catch {
    throw mistyped();
  }
}

/** Says nothing of the key itself: most of it may be right. */
export function mistyped(): Fault {
  return new Fault('usage', 'A key that opens backups is mistyped: one of its characters is wrong.', {
    hint: 'Compare it with the page of the recovery kit, letter by letter.',
  });
}

/** A file of identities, as `age-keygen` writes it. */
export function identityText({ identity, recipient }: AgeKey, created: string): string {
  return `# created: ${created}\n# public key: ${recipient}\n${identity}\n`;
}

/**
 * The identities in a file: lines that begin with AGE-SECRET-KEY-1, wherever they stand, so that the recovery kit is such a file
 * too. Blanks in them and small letters are let pass, as they come from paper. None where there is no file.
 * @throws Fault `forbidden` when others may read it, `usage` when it has none, or one that is mistyped; never with the key
 */
export function readIdentities(file: string, { isBrought = false } = {}): string[] {
  const text = readPrivately(file, { isBrought });
  if (text === undefined) return [];
  const found = text.split('\n').flatMap((line, n) => {
    const typed = line.replace(/\s/g, '').toUpperCase();
    if (!typed.startsWith('AGE-SECRET-KEY-')) return [];
    if (identityForm.test(typed)) return [typed];
    const wrong = typed.slice('AGE-SECRET-KEY-1'.length).replace(/[02-9AC-HJ-NP-Z]/g, '');
    const why =
      typed.length !== identityLength
        ? `it has ${typed.length} characters instead of ${identityLength}`
        : `a character in it never occurs in a key${wrong === '' ? '' : ' (B, I, O and 1 do not)'}`;
    throw new Fault('usage', `${file}, line ${n + 1}: this key is mistyped: ${why}.`, {
      hint: 'Compare it with the page of the recovery kit, letter by letter.',
    });
  });
  if (found.length > 0) return [...new Set(found)];
  throw new Fault('usage', `${file} has no key of age in it.`, {
    hint: 'It must have a line that begins with AGE-SECRET-KEY-1.',
  });
}

/**
 * Recipients in a file as `age -R` reads it: one a line, comments begin with `#`. Undefined where there is no file.
 * @throws Fault `usage` with the number of a line that is none, or when it has none or cannot be read
 */
export function readRecipients(file: string): string[] | undefined {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new Fault('usage', `${file}, which says whom backups are encrypted to, cannot be read: ${reasonOf(error)}.`);
  }
  const found = text.split('\n').flatMap((line, n) => {
    const trimmed = line.trim();
    if (trimmed === '' || trimmed.startsWith('#')) return [];
    if (isRecipient(trimmed)) return [trimmed];
    throw new Fault('usage', `${file}, line ${n + 1}: this is no recipient of age.`, {
      hint: 'It is a line that begins with age1, as gaia key new made it, and nothing behind it.',
    });
  });
  if (found.length > 0) return [...new Set(found)];
  throw new Fault('usage', `${file} has no recipient in it, so nothing could be encrypted.`, {
    hint: 'Remove the file, and say encrypt_to: none, if backups shall not be encrypted.',
  });
}
