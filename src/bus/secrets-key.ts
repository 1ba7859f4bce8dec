import { hkdfSync, randomBytes } from 'node:crypto';
import { renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Fault } from '../base/fault.ts';
import { readPrivately, writePrivately } from '../base/private-file.ts';

/** What seals the secrets of calls, and what binds their placeholders to them. */
export type SecretsKey = { seal: Buffer; bind: Buffer };

const keyBytes = 32;

const keyFile = (home: string) => join(home, 'shared', 'credentials', 'event-bus-secrets.key');

/**
 * The key of a home for the secrets of calls, made when there is none: for the owner alone, and apart from the database, so
 * that a copy of that shows nothing.
 * @throws Fault `unavailable` when it cannot be read or made
 */
export function openSecretsKey(home: string): SecretsKey {
  const file = keyFile(home);
  try {
    const text = readPrivately(file)?.trim() ?? newKeyIn(file);
    const key = Buffer.from(text, 'base64');
    if (key.length !== keyBytes) throw new Fault('usage', `${file} holds no key of ${keyBytes} bytes.`);
    return keyOf(key);
  } catch (error) {
    throw new Fault('unavailable', `The key that seals the secrets of calls cannot be used, ${file}.`, {
      hint: `Put the right one back with mode 0600, or move it away: the next call makes another, and what was sealed with this one is lost.`,
      cause: error,
    });
  }
}

function newKeyIn(file: string): string {
  const text = randomBytes(keyBytes).toString('base64');
  // Under its name only once it is whole: half a key would keep the bus from making another.
  rmSync(`${file}.new`, { force: true });
  writePrivately(`${file}.new`, `${text}\n`);
  renameSync(`${file}.new`, file);
  return text;
}

/** One key for each purpose, so that neither says anything of the other (RFC 5869). */
function keyOf(secret: Buffer): SecretsKey {
  const derive = (purpose: string) => Buffer.from(hkdfSync('sha256', secret, '', `leveredge ${purpose}`, keyBytes));
  return { seal: derive('call secret seal'), bind: derive('call secret placeholder') };
}
