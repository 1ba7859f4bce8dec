import { existsSync, readFileSync } from 'node:fs';
import { Fault } from '../../base/fault.ts';
import { readPrivately } from '../../base/private-file.ts';

/** A key of age: what opens archives (secret), and what they are encrypted to. */
export type AgeKey = { identity: string; recipient: string };

/** X25519 in Bech32: what every `age` understands. */
const recipientForm = /^age1[02-9ac-hj-np-z]{58}$/;
const identityForm = /^AGE-SECRET-KEY-1[02-9AC-HJ-NP-Z]{58}$/;

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
    throw new Fault('usage', 'This is no identity of age: one of its characters is wrong.', {
      hint: 'It is a line that begins with AGE-SECRET-KEY-1, as gaia key new or age-keygen made it.',
    });
  }
}

/** A file of identities, as `age-keygen` writes it. */
export function identityText({ identity, recipient }: AgeKey, created: string): string {
  return `# created: ${created}\n# public key: ${recipient}\n${identity}\n`;
}

/**
 * The identities in a file: lines that begin with AGE-SECRET-KEY-1, wherever they stand, so that the recovery kit is such a file
 * too. None where there is no file.
 * @throws Fault `forbidden` when others may read it, `usage` when it has none
 */
export function readIdentities(file: string, { isBrought = false } = {}): string[] {
  const text = readPrivately(file, { isBrought });
  if (text === undefined) return [];
  const found = text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => identityForm.test(line));
  if (found.length > 0) return [...new Set(found)];
  throw new Fault('usage', `${file} has no identity of age in it.`, {
    hint: 'It must have a line that begins with AGE-SECRET-KEY-1.',
  });
}

/**
 * Recipients in a file as `age -R` reads it: one a line, comments begin with `#`. None where there is no file.
 * @throws Fault `usage` with the number of a line that is none
 */
export function readRecipients(file: string): string[] {
  if (!existsSync(file)) return [];
  return readFileSync(file, 'utf8')
    .split('\n')
    .flatMap((line, n) => {
      const text = line.trim();
      if (text === '' || text.startsWith('#')) return [];
      if (isRecipient(text)) return [text];
      throw new Fault('usage', `${file}, line ${n + 1}: this is no recipient of age.`, {
        hint: 'It is a line that begins with age1, as gaia key new made it.',
      });
    });
}
