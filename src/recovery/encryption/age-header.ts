import { Fault, reasonOf } from '../../base/fault.ts';
import { mistyped } from './age-key.ts';

/** What a file in the format of age begins with (https://age-encryption.org/v1). */
export const ageMagic = 'age-encryption.org/v1\n';
/** More than twenty recipients need. */
export const maxHeaderBytes = 16 * 1024;
const maxRecipients = 100;
/** What stands behind the header of a file of nothing: a nonce, and the tag of an empty chunk. */
const emptyPayloadBytes = 32;

/** The header of a new file, and the key that it holds for each recipient. */
export type FileKey = { header: Buffer; fileKey: Uint8Array };

/**
 * A new file key, wrapped for each recipient. The header is made by the library; the key is taken where it shows it to a
 * recipient, since the payload is not the library's to write.
 * @throws Fault `usage` for what is no recipient
 */
export async function newHeader(recipients: readonly string[]): Promise<FileKey> {
  if (recipients.length > maxRecipients)
    throw new Fault('usage', `A backup can be encrypted to ${maxRecipients} keys, and ${recipients.length} are named.`);
  const { Encrypter } = await import('age-encryption');
  const encrypter = new Encrypter();
  let fileKey: Uint8Array | undefined;
  try {
    for (const recipient of recipients) encrypter.addRecipient(recipient);
    encrypter.addRecipient({
      wrapFileKey(key) {
        fileKey = Uint8Array.from(key);
        return [];
      },
    });
    const whole = await encrypter.encrypt(new Uint8Array());
    if (fileKey === undefined) throw new Error('no file key was made');
    return { header: Buffer.from(whole.subarray(0, whole.length - emptyPayloadBytes)), fileKey };
  } catch (error) {
    throw new Fault('usage', `A recipient that backups are to be encrypted to is mistyped: ${reasonOf(error)}.`, {
      hint: 'Look at recipients.txt beside the configuration, and at encrypt_to in it.',
    });
  }
}

/** How many bytes the header has at the beginning of a file; undefined when it has no end there. */
export function headerBytesIn(start: Buffer): number | undefined {
  const mac = start.indexOf('\n--- ');
  if (!start.subarray(0, ageMagic.length).equals(Buffer.from(ageMagic)) || mac < 0) return undefined;
  const end = start.indexOf('\n', mac + 1);
  return end < 0 ? undefined : end + 1;
}

/**
 * The key of a file, by the first identity that opens its header; undefined when none does.
 * @throws Fault `damaged` for a header that is none, or that was altered
 */
export async function openHeader(header: Buffer, identities: readonly string[]): Promise<Uint8Array | undefined> {
  const { Decrypter } = await import('age-encryption');
  const decrypter = new Decrypter();
  try {
    for (const identity of identities) decrypter.addIdentity(identity);
  } catch {
    // The library's own words have the key in them.
    throw mistyped();
  }
  try {
    return await decrypter.decryptHeader(header);
  } catch (error) {
    const why = reasonOf(error);
    if (/no identity matched/.test(why)) return undefined;
    throw new Fault('damaged', `The header of the encrypted archive is not what was written: ${why}.`);
  }
}
