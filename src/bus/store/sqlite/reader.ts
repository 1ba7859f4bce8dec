import type { DatabaseSync } from 'node:sqlite';
import type { Event } from '../../../events/event.ts';
import { fanOutOf } from '../../../events/fan-out.ts';
import type { Explanation, Subscription } from '../../../events/subscription.ts';
import type { Token } from '../../../events/token.ts';
import type { DeadLetter, DeadLetterPage, DeadLetterPageRequest } from '../deliveries.ts';
import type { EventFilter, EventPage, Page, PendingPage, PendingPageRequest } from '../store.ts';
import { type AuditReader, auditReaderOf } from './audit-reader.ts';
import { type CallSecretReader, callSecretReaderOf } from './call-secret-rows.ts';
import { type EventRow, eventColumns, eventTables, toEvent, toPending } from './event-row.ts';
import { facetMergeOf } from './facet-merge.ts';
import { type HeartbeatReader, heartbeatReaderOf } from './heartbeat-rows.ts';
import { deadLetterFinderOf, deadLetterPage, deadLetterRowsOf } from './read-dead-letters.ts';
import { type OnwardReader, onwardReaderOf } from './read-onward.ts';
import { readSubscriptions } from './subscription-rows.ts';
import { ownersTokenWasMade, tokenFinderOf } from './token-rows.ts';
import { unacknowledgedOf } from './unacknowledged.ts';

/** Everything that is read, by index only. Synchronous; may share the writer's connection or have its own. */
export type Reader = OnwardReader & {
  event(id: string): Event | undefined;
  events(filter: EventFilter, page: Page): EventPage;
  inbox(agent: string, unacknowledgedOnly: boolean, page: Page): EventPage;
  pending(page: PendingPageRequest): PendingPage;
  subscriptions(filter: { agent?: string | undefined; deleted: boolean }): Subscription[];
  explain(action: string, requiresHuman: boolean): Explanation;
  token(hash: string): Token | undefined;
  tokenWithId(id: string): Token | undefined;
  ownersTokenWasMade(): boolean;
  bytes(): number;
  /** In this order; those that are not there are left out. */
  eventsAt(seqs: readonly number[]): { seq: number; event: Event }[];
  deadLetters(agent: string | undefined, page: DeadLetterPageRequest): DeadLetterPage;
  deadLetterOf(agent: string, event: string, because: string | undefined): DeadLetter | undefined;
} & AuditReader &
  HeartbeatReader &
  CallSecretReader;

/** Rows fetched in one go: much faster than one by one, and at most 16 MB when all are as large as they may be. */
const rowsAtOnce = 64;
const noDeadline = Number.MAX_SAFE_INTEGER;

/** Characters of details in one page. Beyond them it ends early: a list must not stall everyone else. */
const maxPageDetails = 4 * 1024 * 1024;

export function readerOf(db: DatabaseSync, epoch: string): Reader {
  const byId = db.prepare(`SELECT ${eventColumns} FROM ${eventTables} WHERE e.id = ?`);
  // CROSS JOIN keeps the order of the list without a sort.
  const inOrder = db.prepare(
    `SELECT ${eventColumns} FROM json_each(?) list CROSS JOIN ${eventTables} WHERE e.seq = list.value`,
  );
  const newest = db.prepare(`SELECT ${eventColumns} FROM ${eventTables} WHERE e.seq < ? ORDER BY e.seq DESC LIMIT ?`);
  const open = db.prepare(
    `SELECT ${eventColumns} FROM questions q JOIN event_log e USING (seq) JOIN facets f USING (facet_id)
       JOIN audiences a USING (audience_id)
     WHERE q.state = 'open' AND (coalesce(q.deadline, ${noDeadline}), q.seq) > (?, ?)
     ORDER BY coalesce(q.deadline, ${noDeadline}), q.seq LIMIT ?`,
  );
  const size = db.prepare('SELECT page_count * page_size AS n FROM pragma_page_count(), pragma_page_size()');
  const merge = facetMergeOf(db);
  const unacknowledged = unacknowledgedOf(db, merge);
  const deadLetters = deadLetterRowsOf(db);

  /** At most `limit` of the rows, fewer when they are large, and always one. */
  const page = <R extends EventRow>(rows: Iterable<R>, limit: number): { rows: R[]; isLast: boolean } => {
    const shown: R[] = [];
    let size = 0;
    for (const row of rows) {
      if (shown.length === limit || (shown.length > 0 && size >= maxPageDetails)) return { rows: shown, isLast: false };
      shown.push(row);
      size += row.details?.length ?? 0;
    }
    return { rows: shown, isLast: true };
  };
  const eventPage = (found: Iterable<EventRow>, limit: number): EventPage => {
    const { rows, isLast } = page(found, limit);
    const events = rows.map((row) => toEvent(row, epoch));
    return { events, next: isLast ? null : (rows.at(-1) as EventRow).seq };
  };
  function* rowsOf(seqs: readonly number[]): Generator<EventRow> {
    for (let i = 0; i < seqs.length; i += rowsAtOnce)
      yield* inOrder.all(JSON.stringify(seqs.slice(i, i + rowsAtOnce))) as EventRow[];
  }
  function* newestBefore(before: number, limit: number): Generator<EventRow> {
    for (let [from, left] = [before, limit]; left > 0; left -= rowsAtOnce) {
      const rows = newest.all(from, Math.min(left, rowsAtOnce)) as EventRow[];
      yield* rows;
      if (rows.length < rowsAtOnce) return;
      from = (rows.at(-1) as EventRow).seq;
    }
  }

  return {
    event(id) {
      const row = byId.get(id) as EventRow | undefined;
      return row && toEvent(row, epoch);
    },
    events(filter, { limit, before = noDeadline }) {
      const isFiltered = Object.values(filter).some((value) => value !== undefined);
      if (!isFiltered) return eventPage(newestBefore(before, limit + 1), limit);
      return eventPage(rowsOf(merge.newest(merge.facetsFor(filter), before, limit + 1)), limit);
    },
    inbox(agent, unacknowledgedOnly, { limit, before = noDeadline }) {
      const seqs = unacknowledgedOnly
        ? unacknowledged(agent, before, limit + 1)
        : merge.newest(merge.facetsHeardBy(agent), before, limit + 1);
      return eventPage(rowsOf(seqs), limit);
    },
    pending({ limit, after }) {
      const from = after ? [after.deadline ?? noDeadline, after.seq] : [-noDeadline, 0];
      const found = open.iterate(from[0] as number, from[1] as number, limit + 1) as Iterable<EventRow>;
      const { rows, isLast } = page(found, limit);
      const last = rows.at(-1);
      return {
        pending: rows.map((row) => toPending(toEvent(row, epoch))),
        next: isLast || !last ? null : { deadline: last.deadline, seq: last.seq },
      };
    },
    subscriptions: (filter) => readSubscriptions(db, filter),
    explain: (action, requiresHuman) =>
      fanOutOf(readSubscriptions(db, { deleted: false })).explain(action, requiresHuman),
    token: tokenFinderOf(db, 'hash'),
    tokenWithId: tokenFinderOf(db, 'id'),
    ownersTokenWasMade: () => ownersTokenWasMade(db),
    bytes: () => size.get()?.n as number,
    eventsAt: (seqs) => [...rowsOf(seqs)].map((row) => ({ seq: row.seq, event: toEvent(row, epoch) })),
    deadLetters: (agent, { limit, after }) => {
      const found = page(deadLetters(agent, limit + 1, after), limit);
      return deadLetterPage(found.rows, found.isLast, epoch);
    },
    deadLetterOf: deadLetterFinderOf(db, epoch),
    ...onwardReaderOf(db, epoch),
    ...auditReaderOf(db),
    ...heartbeatReaderOf(db),
    ...callSecretReaderOf(db),
  };
}
