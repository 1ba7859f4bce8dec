import { keptOutcomeMs, maxSweep, type Once } from '../store.ts';
import { textOfOutcomes } from './batch-text.ts';
import type { WrittenBatch, WrittenDraft } from './commands.ts';
import type { Ledger } from './ledger.ts';
import type { EventWriter } from './write-event.ts';

type PublishBatch = (drafts: readonly (WrittenDraft | null)[], once: Once | null) => WrittenBatch;

/** Stores many events in the transaction under way, once for each key. */
export function batchPublisherOf({ publish }: EventWriter, kept: KeptOutcomes): PublishBatch {
  const publishAll = (drafts: readonly (WrittenDraft | null)[]) =>
    textOfOutcomes(drafts.map((draft) => draft && publish(draft)));
  return (drafts, once) => {
    if (once === null) return { kind: 'published', outcomes: publishAll(drafts), replayed: false };
    const before = kept.find(once);
    if (before === 'another-request') return { kind: 'key-taken' };
    if (before !== undefined) return { kind: 'published', outcomes: before.outcomes, replayed: true };
    const outcomes = publishAll(drafts);
    kept.keep(once, outcomes);
    return { kind: 'published', outcomes, replayed: false };
  };
}

export type KeptOutcomes = {
  find(once: Once): { outcomes: string } | 'another-request' | undefined;
  keep(once: Once, outcomes: string): void;
  /** Forgets those whose time is over, at most `maxSweep` of them, and returns how many. */
  forget(): number;
};

/** What became of requests that came with a key. */
export function keptOutcomesOf({ db, clock }: Ledger): KeptOutcomes {
  const find = db.prepare('SELECT request, outcomes FROM idempotency_keys WHERE owner = ? AND key = ? AND at > ?');
  const keep = db.prepare(
    'INSERT OR REPLACE INTO idempotency_keys (owner, key, request, outcomes, at) VALUES (?, ?, ?, ?, ?)',
  );
  const forget = db.prepare(
    `DELETE FROM idempotency_keys WHERE key_id IN
       (SELECT key_id FROM idempotency_keys WHERE at <= ? ORDER BY at LIMIT ${maxSweep})`,
  );
  return {
    find({ owner, key, request }) {
      const row = find.get(owner, key, clock() - keptOutcomeMs);
      if (row === undefined) return undefined;
      return row.request === request ? { outcomes: row.outcomes as string } : 'another-request';
    },
    keep({ owner, key, request }, outcomes) {
      keep.run(owner, key, request, outcomes, clock());
    },
    forget: () => Number(forget.run(clock() - keptOutcomeMs).changes),
  };
}
