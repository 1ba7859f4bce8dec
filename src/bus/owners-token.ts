import { join } from 'node:path';
import type { Clock } from '../base/clock.ts';
import { Fault, reasonOf } from '../base/fault.ts';
import { readPrivately, writePrivately } from '../base/private-file.ts';
import { uuidV7Maker } from '../base/uuid-v7.ts';
import { hashOfSecret, isSecret, newSecret } from '../events/token.ts';
import type { Store } from './store/store.ts';

/** What the owner's token may: everything. The other scopes stand there for whoever reads the table. */
const scopes = ['admin', 'approve', 'answer'];

/** Where the owner's token lies. */
export function ownersTokenIn(home: string): string {
  return join(home, 'shared', 'credentials', 'owner.token');
}

type Deps = { store: Pick<Store, 'ownersTokenWasMade' | 'addOwnersToken'>; home: string; name: string; clock: Clock };

/**
 * Makes the owner's token at the first start, and never again, whatever became of it. The file comes first: if this ends
 * in between, or a new database comes to a home whose owner has a token already, the next start takes over what lies there.
 * Answers undefined, or a sentence that says why there is none: that is no reason not to run.
 * @throws Fault as the store
 */
export async function giveOwnerToken({ store, home, name, clock }: Deps): Promise<string | undefined> {
  if (await store.ownersTokenWasMade()) return undefined;
  const file = ownersTokenIn(home);
  let secret: string;
  try {
    secret = secretIn(file) ?? newSecretIn(file);
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    return `The owner has no token yet: ${error.message} ${error.hint ?? ''}`.trim();
  }
  const now = clock();
  const token = { id: uuidV7Maker(clock)(), name, kind: 'person', scopes, perMinute: null, createdAt: now } as const;
  await store.addOwnersToken({ ...token, expiresAt: null, lastUsedAt: null, revokedAt: null }, hashOfSecret(secret));
  return undefined;
}

function secretIn(file: string): string | undefined {
  const text = readPrivately(file)?.trim();
  if (text === undefined || isSecret(text)) return text;
  throw new Fault('usage', `${file} holds no token.`, { hint: 'Move it away, and start the bus again.' });
}

function newSecretIn(file: string): string {
  const secret = newSecret();
  try {
    writePrivately(file, `${secret}\n`);
  } catch (error) {
    if (error instanceof Fault) throw error;
    throw new Fault('unavailable', `${file} cannot be written (${reasonOf(error)}).`, { cause: error });
  }
  return secret;
}
