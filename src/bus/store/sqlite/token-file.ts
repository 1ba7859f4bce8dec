import { rmSync, statSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import type { Clock } from '../../../base/clock.ts';
import { Fault } from '../../../base/fault.ts';
import { writePrivately } from '../../../base/private-file.ts';
import { uuidV7Maker } from '../../../base/uuid-v7.ts';
import { hashOfSecret, type NewToken, newSecret, type Token } from '../../../events/token.ts';
import { applicationId, foreign, latestSchema, newerSchema, openDatabase } from './database.ts';
import { sqliteFault } from './sqlite-fault.ts';
import { putToken, readTokens, revokeToken } from './token-rows.ts';

const busyTimeoutMs = 5000;
/** A shorter beginning of an id would hit a token that nobody meant. */
const shortestPrefix = 4;

/** A token that was just made. `secret` is shown nowhere else and kept nowhere. */
export type MadeToken = { token: Token; secret: string };

/**
 * Makes a token in the database file of a bus, whether that runs or not; a file that is not there is made. With `to` the
 * secret is written there first, for its owner alone (0600), so that no token is stored that nobody holds.
 * @throws Fault `conflict` when `to` exists, `newer-schema`, `damaged`, `unavailable`, `storage-full`; nothing is made then
 */
export async function createToken(file: string, wanted: NewToken, clock: Clock, to?: string): Promise<MadeToken> {
  const db = await openForWriting(file, clock);
  const secret = newSecret();
  const now = clock();
  const token: Token = {
    id: uuidV7Maker(clock)(),
    name: wanted.name,
    kind: wanted.kind,
    scopes: wanted.scopes,
    perMinute: wanted.per_minute,
    createdAt: now,
    expiresAt: wanted.expires_in_ms === null ? null : now + wanted.expires_in_ms,
    lastUsedAt: null,
    revokedAt: null,
  };
  let isWritten = false;
  try {
    if (to !== undefined) {
      writePrivately(to, `${secret}\n`);
      isWritten = true;
    }
    putToken(db, token, hashOfSecret(secret));
    return { token, secret };
  } catch (error) {
    if (to !== undefined && isWritten) rmSync(to, { force: true });
    throw sqliteFault(error, file);
  } finally {
    db.close();
  }
}

/**
 * Every token, also the expired and revoked ones.
 * @throws Fault as `createToken`
 */
export async function listTokens(file: string, clock: Clock): Promise<Token[]> {
  const db = await openForWriting(file, clock);
  try {
    return readTokens(db);
  } catch (error) {
    throw sqliteFault(error, file);
  } finally {
    db.close();
  }
}

/**
 * Revokes the token with this id or beginning of one, or all with this name that are not revoked yet, and answers which
 * those were. It counts from the next call on, in a bus that runs too. Safe to repeat with an id.
 * @throws Fault `not-found`, `usage` when several ids begin so, else as `createToken`
 */
export async function revokeTokens(file: string, which: string, clock: Clock): Promise<Token[]> {
  const db = await openForWriting(file, clock);
  try {
    db.exec('BEGIN IMMEDIATE');
    const now = clock();
    const meant = pick(readTokens(db), which);
    for (const { id } of meant) revokeToken(db, id, now);
    const ids = new Set(meant.map(({ id }) => id));
    const revoked = readTokens(db).filter(({ id }) => ids.has(id));
    db.exec('COMMIT');
    return revoked;
  } catch (error) {
    throw sqliteFault(error, file);
  } finally {
    db.close();
  }
}

function pick(tokens: readonly Token[], which: string): Token[] {
  const exact = tokens.filter(({ id }) => id === which);
  if (exact.length > 0) return exact;
  const named = tokens.filter(({ name, revokedAt }) => name === which && revokedAt === null);
  if (named.length > 0) return named;
  const begun = which.length >= shortestPrefix ? tokens.filter(({ id }) => id.startsWith(which)) : [];
  const hint = 'See: leveredge token list';
  if (begun.length > 1)
    throw new Fault('usage', `Several tokens have an id that begins with ${JSON.stringify(which)}.`, { hint });
  if (begun.length === 0)
    throw new Fault('not-found', `There is no token with the id or name ${JSON.stringify(which)} left to revoke.`, {
      hint,
    });
  return begun;
}

async function openForWriting(file: string, clock: Clock): Promise<DatabaseSync> {
  // Made as its first start would make it; an older one is left for a start, which copies and migrates.
  if (!statSync(file, { throwIfNoEntry: false })?.size) return (await openDatabase(file, clock)).db;
  let db: DatabaseSync | undefined;
  try {
    db = new DatabaseSync(file, { timeout: busyTimeoutMs });
    const pragma = (name: string) => db?.prepare(`PRAGMA ${name}`).get()?.[name] as number;
    const [owner, version, latest] = [pragma('application_id'), pragma('user_version'), latestSchema()];
    if (owner !== 0 && owner !== applicationId) throw foreign(file);
    if (version > latest) throw newerSchema(file, version, latest);
    if (version < latest)
      throw new Fault('unavailable', `${file} is of an older version, which a start of the bus brings up to date.`, {
        hint: 'Start the bus, or restart it: leveredge bus',
      });
    db.exec('PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0');
    return db;
  } catch (error) {
    db?.close();
    throw sqliteFault(error, file);
  }
}
