import type { DatabaseSync } from 'node:sqlite';
import type { Token } from '../../../events/token.ts';

const columns =
  'id, name, kind, scopes, per_minute AS perMinute, created_at AS createdAt, expires_at AS expiresAt, last_used_at AS lastUsedAt, revoked_at AS revokedAt';

type Row = Omit<Token, 'scopes'> & { scopes: string };

/** How many lists of scopes are remembered. The memory is emptied, not grown, beyond this. */
const maxRemembered = 1000;

/** Looks a token up in the table each time: what was revoked is so at once. */
export function tokenFinderOf(db: DatabaseSync, by: 'hash' | 'id'): (value: string) => Token | undefined {
  const find = db.prepare(`SELECT ${columns} FROM tokens WHERE ${by} = ?`);
  const lists = new Map<string, readonly string[]>();
  return (value) => {
    const row = find.get(value) as Row | undefined;
    if (row === undefined) return undefined;
    let scopes = lists.get(row.scopes);
    if (scopes === undefined) {
      scopes = JSON.parse(row.scopes) as string[];
      if (lists.size >= maxRemembered) lists.clear();
      lists.set(row.scopes, scopes);
    }
    return { ...row, scopes };
  };
}

/** Every token, also the expired and revoked ones, by name and then by age. */
export function readTokens(db: DatabaseSync): Token[] {
  const rows = db.prepare(`SELECT ${columns} FROM tokens ORDER BY name, created_at, id`).all() as Row[];
  return rows.map((row) => ({ ...row, scopes: JSON.parse(row.scopes) as string[] }));
}

export function putToken(db: DatabaseSync, token: Token, hash: string): void {
  db.prepare(
    `INSERT INTO tokens (id, hash, name, kind, scopes, per_minute, created_at, expires_at, last_used_at, revoked_at)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  ).run(
    token.id,
    hash,
    token.name,
    token.kind,
    JSON.stringify(token.scopes),
    token.perMinute,
    token.createdAt,
    token.expiresAt,
    token.lastUsedAt,
    token.revokedAt,
  );
}

/** The first revocation counts. */
export function revokeToken(db: DatabaseSync, id: string, at: number): void {
  db.prepare('UPDATE tokens SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL').run(at, id);
}

/** Never back in time, so that notes may arrive in any order. */
export function noteTokenUsed(db: DatabaseSync, id: string, at: number): void {
  db.prepare('UPDATE tokens SET last_used_at = max(?, coalesce(last_used_at, 0)) WHERE id = ?').run(at, id);
}

const ownersMark = 'owners_token_made';

/** Whether the owner's first token was ever made here, whatever became of it. */
export function ownersTokenWasMade(db: DatabaseSync): boolean {
  return db.prepare('SELECT 1 FROM bus_meta WHERE name = ?').get(ownersMark) !== undefined;
}

/** Stores the owner's first token, unless one ever was. */
export function addOwnersToken(db: DatabaseSync, token: Token, hash: string): boolean {
  if (ownersTokenWasMade(db)) return false;
  putToken(db, token, hash);
  db.prepare('INSERT INTO bus_meta (name, value) VALUES (?, ?)').run(ownersMark, token.createdAt);
  return true;
}
