import type { DatabaseSync } from 'node:sqlite';
import type { Event } from '../../../events/event.ts';
import { fanOutOf } from '../../../events/fan-out.ts';
import type { Explanation, Subscription } from '../../../events/subscription.ts';
import type { EventFilter, EventPage, Page, PendingPage, PendingPageRequest } from '../store.ts';
import { type EventRow, eventColumns, eventTables, toEvent, toPending } from './event-row.ts';
import { facetMergeOf } from './facet-merge.ts';
import { readSubscriptions } from './subscription-rows.ts';
import { unacknowledgedOf } from './unacknowledged.ts';

/** Everything that is read, by index only. Synchronous; may share the writer's connection or have its own. */
export type Reader = {
  event(id: string): Event | undefined;
  events(filter: EventFilter, page: Page): EventPage;
  inbox(agent: string, unacknowledgedOnly: boolean, page: Page): EventPage;
  pending(page: PendingPageRequest): PendingPage;
  subscriptions(filter: { agent?: string | undefined; deleted: boolean }): Subscription[];
  explain(action: string, requiresHuman: boolean): Explanation;
  bytes(): number;
};

const noDeadline = Number.MAX_SAFE_INTEGER;

export function readerOf(db: DatabaseSync, epoch: string): Reader {
  const byId = db.prepare(`SELECT ${eventColumns} FROM ${eventTables} WHERE e.id = ?`);
  const bySeq = db.prepare(`SELECT ${eventColumns} FROM ${eventTables} WHERE e.seq = ?`);
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

  const page = (seqs: readonly number[], limit: number): EventPage => {
    const shown = seqs.slice(0, limit);
    const events = shown.map((seq) => toEvent(bySeq.get(seq) as EventRow, epoch));
    return { events, next: seqs.length > limit ? (shown.at(-1) as number) : null };
  };

  return {
    event(id) {
      const row = byId.get(id) as EventRow | undefined;
      return row && toEvent(row, epoch);
    },
    events(filter, { limit, before = noDeadline }) {
      if (Object.values(filter).some((value) => value !== undefined))
        return page(merge.newest(merge.facetsFor(filter), before, limit + 1), limit);
      const rows = newest.all(before, limit + 1) as EventRow[];
      const events = rows.slice(0, limit).map((row) => toEvent(row, epoch));
      return { events, next: rows.length > limit ? (rows[limit - 1] as EventRow).seq : null };
    },
    inbox(agent, unacknowledgedOnly, { limit, before = noDeadline }) {
      const seqs = unacknowledgedOnly
        ? unacknowledged(agent, before, limit + 1)
        : merge.newest(merge.facetsHeardBy(agent), before, limit + 1);
      return page(seqs, limit);
    },
    pending({ limit, after }) {
      const from = after ? [after.deadline ?? noDeadline, after.seq] : [-noDeadline, 0];
      const rows = open.all(from[0] as number, from[1] as number, limit + 1) as EventRow[];
      const shown = rows.slice(0, limit);
      const last = shown.at(-1);
      return {
        pending: shown.map((row) => toPending(toEvent(row, epoch))),
        next: rows.length > limit && last ? { deadline: last.deadline, seq: last.seq } : null,
      };
    },
    subscriptions: (filter) => readSubscriptions(db, filter),
    explain: (action, requiresHuman) =>
      fanOutOf(readSubscriptions(db, { deleted: false })).explain(action, requiresHuman),
    bytes: () => size.get()?.n as number,
  };
}
