import type { DatabaseSync } from 'node:sqlite';
import { busActions, busAgent } from '../../../events/event.ts';
import { noHash } from '../chain.ts';
import { isKept, isYetToCome, maxPurged, type Purged } from '../retention.ts';
import { rangesOf, type SeqRange, writeRanges } from '../seq-ranges.ts';
import type { DeliveryRows } from './delivery-rows.ts';
import { owedOf } from './event-deliveries.ts';
import { heldByQuestionsOf } from './held-by-questions.ts';
import type { Ledger } from './ledger.ts';
import { tailRunTrimmerOf } from './trim-tail-runs.ts';
import type { EventWriter } from './write-event.ts';

/** Hexadecimal digits of a hash in an announcement: half of it, which nobody can hit. */
const announcedDigits = 32;

type Row = {
  seq: number;
  hash: string;
  source_agent: string;
  action: string;
  state: string | null;
  deliver_at: number | null;
};

/**
 * Purges events with all that hangs on them, as far as nothing keeps them, and says so in an event of the same
 * transaction. What is left is the hash of the last of each run of them, so that the chain stays whole.
 */
export function purgerOf(ledger: Ledger, rows: DeliveryRows, events: EventWriter): (seqs: readonly number[]) => Purged {
  const { db } = ledger;
  const find = db.prepare(
    `SELECT e.seq, hex(e.hash) AS hash, f.source_agent, f.action, q.state, e.deliver_at
     FROM event_log e JOIN facets f USING (facet_id) LEFT JOIN questions q USING (seq) WHERE e.seq = ?`,
  );
  const deletes = ['event_log', 'questions', 'acknowledgements'].map((table) =>
    db.prepare(`DELETE FROM ${table} WHERE seq = ?`),
  );
  const owedFor = owedOf(db);
  const heldByQuestions = heldByQuestionsOf(db);
  const noteRun = runNoterOf(ledger);
  const hashBefore = hashBeforeOf(ledger);
  const trimTailRuns = tailRunTrimmerOf(db);

  return (seqs) => {
    const byAction: Record<string, number> = {};
    const dropped: Record<string, number> = {};
    const hashes = new Map<number, string>();
    const held = heldByQuestions();
    for (const seq of seqs.slice(0, maxPurged)) {
      const row = find.get(seq) as Row | undefined;
      // What has no hash is damage, which must stay to be seen.
      if (!row || row.hash === '' || row.state === 'open' || held.has(seq) || isKept(row.source_agent, row.action))
        continue;
      if (isYetToCome(row.deliver_at, ledger.clock())) continue;
      const owed = owedFor(seq);
      // What somebody works on just now is not taken from under their hands; a later run finds it.
      if (owed.some(({ priority, leased }) => priority === 1 || leased === 1)) continue;
      for (const { agent, priority } of owed) {
        rows.settle(agent, { seq, priority });
        dropped[agent] = (dropped[agent] ?? 0) + 1;
      }
      for (const remove of deletes) remove.run(seq);
      byAction[row.action] = (byAction[row.action] ?? 0) + 1;
      hashes.set(seq, row.hash);
    }
    const purged = rangesOf([...hashes.keys()]);
    const follows = purged.map(([from]) => hashBefore(from).slice(0, announcedDigits)).join(',');
    for (const range of purged) {
      noteRun(range, hashes.get(range[1]) as string);
      trimTailRuns(range);
    }
    if (purged.length > 0) {
      const details = {
        count: hashes.size,
        seqs: writeRanges(purged),
        follows,
        by_action: byAction,
        dropped_deliveries: dropped,
      };
      events.announce({ source_agent: busAgent, action: busActions.eventsPurged, details: JSON.stringify(details) });
    }
    return { purged: hashes.size, by_action: byAction, dropped_deliveries: dropped };
  };
}

/** The hash that an event was chained to. An announcement holds it, so that what lies before a gap is bound to what follows it. */
function hashBeforeOf({ db }: Ledger): (seq: number) => string {
  const ofEvent = db.prepare('SELECT lower(hex(hash)) AS hash FROM event_log WHERE seq = ?');
  const runBefore = runBeforeOf(db);
  return (seq) => ((ofEvent.get(seq - 1)?.hash as string | undefined) ?? runBefore(seq)?.hash ?? noHash).toLowerCase();
}

type Run = { from_seq: number; to_seq: number; hash: string };

/** The run that ends just before an event, found by its beginning, since that is what runs are looked up by. */
function runBeforeOf(db: DatabaseSync): (seq: number) => Run | undefined {
  const below = db.prepare(
    'SELECT from_seq, to_seq, hex(hash) AS hash FROM purged_runs WHERE from_seq < ? ORDER BY from_seq DESC LIMIT 1',
  );
  return (seq) => {
    const run = below.get(seq) as Run | undefined;
    return run?.to_seq === seq - 1 ? run : undefined;
  };
}

/** Adds a run to those of before, and joins it with the neighbours it touches. */
function runNoterOf({ db }: Ledger): (range: SeqRange, hash: string) => void {
  const runBefore = runBeforeOf(db);
  const above = db.prepare('SELECT from_seq, to_seq, hex(hash) AS hash FROM purged_runs WHERE from_seq = ?');
  const remove = db.prepare('DELETE FROM purged_runs WHERE from_seq = ?');
  const add = db.prepare('INSERT OR REPLACE INTO purged_runs (from_seq, to_seq, hash) VALUES (?, ?, ?)');
  return ([from, to], hash) => {
    const before = runBefore(from);
    const after = above.get(to + 1) as Run | undefined;
    if (after) remove.run(to + 1);
    add.run(before?.from_seq ?? from, after?.to_seq ?? to, Buffer.from(after?.hash ?? hash, 'hex'));
  };
}
