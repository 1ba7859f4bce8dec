import type { DatabaseSync } from 'node:sqlite';
import type { SecretSide } from '../../../events/secret.ts';
import type { KeptSecrets, SealedSecret } from '../call-secrets.ts';

const columns = 'call, side, member, placeholder, sealed, until';

export type CallSecretReader = {
  secretsOf(call: string): SealedSecret[];
  keptSecrets(limit: number, after: KeptSecrets | undefined): KeptSecrets[];
};

export function callSecretReaderOf(db: DatabaseSync): CallSecretReader {
  const ofCall = db.prepare(`SELECT ${columns} FROM call_secrets WHERE call = ? ORDER BY side, member`);
  const kept = db.prepare(
    `SELECT call, side, min(until) AS until FROM call_secrets WHERE (call, side) > (?, ?)
     GROUP BY call, side ORDER BY call, side LIMIT ?`,
  );
  return {
    secretsOf: (call) => (ofCall.all(call) as SealedSecret[]).map((row) => ({ ...row })),
    keptSecrets: (limit, after) =>
      (kept.all(after?.call ?? '', after?.side ?? '', limit) as KeptSecrets[]).map((row) => ({ ...row })),
  };
}

export type CallSecretWriter = {
  keep(secrets: readonly SealedSecret[]): void;
  drop(call: string, side: SecretSide): void;
};

export function callSecretWriterOf(db: DatabaseSync): CallSecretWriter {
  const put = db.prepare(`INSERT OR REPLACE INTO call_secrets (${columns}) VALUES (?, ?, ?, ?, ?, ?)`);
  const drop = db.prepare('DELETE FROM call_secrets WHERE call = ? AND side = ?');
  return {
    keep(secrets) {
      for (const { call, side, member, placeholder, sealed, until } of secrets)
        put.run(call, side, member, placeholder, sealed, until);
    },
    drop: (call, side) => void drop.run(call, side),
  };
}
