import type { DatabaseSync } from 'node:sqlite';
import { chained, noHash } from '../chain.ts';

/** Where the chain ends, in memory: what the next event is linked to. */
export type ChainEnd = {
  /** Links an event by its envelope and returns its hash as it is stored. */
  link(envelope: string): Uint8Array;
  /** Forgets what a rolled back transaction linked. `head`: the newest event that is on disk. */
  reload(head: number): void;
};

export function chainEndOf(db: DatabaseSync): ChainEnd {
  const ofEvent = db.prepare('SELECT lower(hex(hash)) AS hash FROM event_log WHERE seq = ? AND hash IS NOT NULL');
  const ofRun = db.prepare(
    'SELECT to_seq, lower(hex(hash)) AS hash FROM purged_runs WHERE from_seq <= ? ORDER BY from_seq DESC LIMIT 1',
  );
  let last = noHash;
  return {
    link(envelope) {
      last = chained(last, envelope);
      return Buffer.from(last, 'hex');
    },
    reload(head) {
      // A head without a hash is damage, which `audit verify` names; the chain begins anew there, and the bus runs on.
      const run = ofRun.get(head);
      const found = ofEvent.get(head)?.hash ?? (run?.to_seq === head ? run.hash : undefined);
      last = (found as string | undefined) ?? noHash;
    },
  };
}
