import type { DatabaseSync } from 'node:sqlite';
import type { Clock } from '../../../base/clock.ts';
import { uuidV7Maker } from '../../../base/uuid-v7.ts';
import type { Status } from '../../../events/event.ts';
import { type FanOut, fanOutOf } from '../../../events/fan-out.ts';
import { type ChainEnd, chainEndOf } from './chain-end.ts';
import type { Committed } from './commands.ts';
import { openCounts } from './counts.ts';
import { type Audience, type Interning, interningOf } from './interning.ts';
import { readSubscriptions } from './subscription-rows.ts';

/**
 * What the writer knows beside the tables: the head of the log, the counts of what is open, the compiled subscriptions.
 * All of it can be read back from the tables, which is what `reload` does after a rollback.
 */
export type Ledger = {
  readonly db: DatabaseSync;
  readonly clock: Clock;
  readonly newId: () => string;
  readonly interning: Interning;
  /** The end of the audit chain, to which each event is linked. */
  readonly chain: ChainEnd;
  readonly fanOut: FanOut;
  /** What the transaction under way has done so far. */
  readonly committed: Committed;
  /** Starts the account of a new transaction; call it inside. */
  begin(): void;
  /** Notes that a deadline or a rung is due at this time. */
  noteDue(at: number | null): void;
  /** Notes that something became ready for those of this audience who hear by queue. Cheap: it is part of each publish. */
  noteReadyFor(audience: Audience): void;
  noteReady(agent: string): void;
  /** Everybody for whom something became ready in this transaction, each once. */
  readyFor(): string[];
  /** Moves an event to another status. */
  setStatus(seq: number, status: Status): void;
  subscriptionsChanged(): void;
  reload(): void;
};

export function ledgerOf(db: DatabaseSync, clock: Clock): Ledger {
  const interning = interningOf(db);
  const readFacet = db.prepare(
    'SELECT f.source_agent, f.action, f.audience_id FROM event_log e JOIN facets f USING (facet_id) WHERE e.seq = ?',
  );
  const readVersion = db.prepare('PRAGMA data_version');
  let dataVersion: number | undefined;
  const readyAudiences = new Set<Audience>();
  const readyAgents = new Set<string>();
  const moveEvent = db.prepare('UPDATE event_log SET facet_id = ? WHERE seq = ?');
  const ledger = {
    db,
    clock,
    newId: uuidV7Maker(clock),
    interning,
    chain: chainEndOf(db),
    fanOut: fanOutOf([]),
    committed: nothingYet(),
    begin() {
      ledger.committed.resolved = [];
      ledger.committed.endedLeases = [];
      ledger.committed.dueAt = null;
      readyAudiences.clear();
      readyAgents.clear();
      // The owner may have changed the subscriptions in the sqlite3 shell; the table is the truth.
      const version = readVersion.get()?.data_version as number;
      if (version !== dataVersion) ledger.subscriptionsChanged();
      dataVersion = version;
    },
    noteDue(at: number | null) {
      const { dueAt } = ledger.committed;
      if (at !== null && (dueAt === null || at < dueAt)) ledger.committed.dueAt = at;
    },
    noteReadyFor: (audience: Audience) => void readyAudiences.add(audience),
    noteReady: (agent: string) => void readyAgents.add(agent),
    readyFor() {
      for (const { queues } of readyAudiences) for (const { agent } of queues) readyAgents.add(agent);
      return [...readyAgents];
    },
    setStatus(seq: number, status: Status) {
      const row = readFacet.get(seq) as { source_agent: string; action: string; audience_id: number };
      const facet = { source: row.source_agent, action: row.action, status, audienceId: row.audience_id };
      moveEvent.run(interning.facet(facet), seq);
    },
    subscriptionsChanged() {
      ledger.fanOut = fanOutOf(readSubscriptions(db, { deleted: false }));
    },
    reload() {
      interning.forget();
      ledger.committed.head = db.prepare("SELECT value AS n FROM bus_meta WHERE name = 'head'").get()?.n as number;
      ledger.chain.reload(ledger.committed.head);
      Object.assign(ledger.committed, openCounts(db));
      ledger.subscriptionsChanged();
    },
  };
  ledger.reload();
  return ledger;
}

function nothingYet(): Committed {
  return {
    head: 0,
    resolved: [],
    dueAt: null,
    readyFor: [],
    endedLeases: [],
    openQuestions: 0,
    openDeliveries: 0,
    deadLetters: 0,
  };
}
