import { isRecipient } from '../encryption/age-key.ts';
import type { Located } from './located.ts';

/** `encrypt_to`: recipients of age, or `none`, which is empty. Where it says nothing, what is usual. */
export function encryptToIn(at: Located, usual: readonly string[] | undefined): readonly string[] | undefined {
  const found = at.get('encrypt_to');
  if (found === undefined) return usual;
  if (found.value === 'none') return [];
  if (!found.isList) {
    found.wrong('must be a list of recipients of age (age1…), or none');
    return usual;
  }
  const recipients = at.texts('encrypt_to');
  if (recipients.length === 0) found.wrong('is empty; to encrypt nothing, say none');
  for (const text of recipients)
    if (/^AGE-SECRET-KEY/i.test(text))
      found.wrong(
        'has a secret key in it, which belongs to nobody here: name its public half (age1…), and make a new key',
      );
    else if (!isRecipient(text))
      found.wrong(
        `has ${JSON.stringify(text.slice(0, 20))}, which is no recipient of age (age1… and 58 characters more)`,
      );
  return [...new Set(recipients)];
}
