import type { DatabaseSync } from 'node:sqlite';
import type { Checkpoint } from '../signed-checkpoint.ts';
import type { ChainEnd } from '../store.ts';
import type { ChainLink } from '../verify-chain.ts';
import { linksOf } from './chain-rows.ts';
import { retentionScannerOf, type ScanRetention } from './retention-scan.ts';

/** What is read of the audit chain, and for retention. */
export type AuditReader = {
  chain(after: number, limit: number): ChainLink[];
  checkpoints(after: number, limit: number): Checkpoint[];
  chainEnd(): ChainEnd;
  scanRetention: ScanRetention;
};

const checkpointColumns = 'seq, hash, at, epoch, key_id, signature';

/** Prepared at the first use: most connections never ask. */
export function auditReaderOf(db: DatabaseSync): AuditReader {
  let prepared: AuditReader | undefined;
  const ready = () => {
    prepared ??= prepare(db);
    return prepared;
  };
  return {
    chain: (after, limit) => ready().chain(after, limit),
    checkpoints: (after, limit) => ready().checkpoints(after, limit),
    chainEnd: () => ready().chainEnd(),
    scanRetention: (rules, now, place) => ready().scanRetention(rules, now, place),
  };
}

function prepare(db: DatabaseSync): AuditReader {
  const links = linksOf(db);
  const some = db.prepare(`SELECT ${checkpointColumns} FROM checkpoints WHERE seq > ? ORDER BY seq LIMIT ?`);
  const newest = db.prepare(`SELECT ${checkpointColumns} FROM checkpoints ORDER BY seq DESC LIMIT 1`);
  const end = db.prepare('SELECT seq, lower(hex(hash)) AS hash FROM event_log ORDER BY seq DESC LIMIT 1');
  return {
    chain: (after, limit) => links(after).take(limit).toArray(),
    checkpoints: (after, limit) => some.all(after, limit).map((row) => ({ ...row }) as Checkpoint),
    chainEnd() {
      const row = end.get() as { seq: number; hash: string } | undefined;
      const checkpoint = newest.get() as Checkpoint | undefined;
      return { seq: row?.seq ?? 0, hash: row?.hash || null, checkpoint: checkpoint ? { ...checkpoint } : null };
    },
    scanRetention: retentionScannerOf(db),
  };
}
