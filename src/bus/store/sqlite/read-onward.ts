import type { DatabaseSync } from 'node:sqlite';
import type { Event } from '../../../events/event.ts';
import type { LookedBack, OnwardPage, Passes } from '../store.ts';
import { type EventRow, eventColumns, eventTables, toEvent } from './event-row.ts';

/** Reads the log in its own order, as streams do. */
export type OnwardReader = {
  /** The seq of the newest event in the file. */
  head(): number;
  /** `head`: what was the newest event before this call; where nothing is found, all up to there has been looked at. */
  readAfter(head: number, after: number, limit: number, passes: Passes | undefined): OnwardPage;
  lookBack(before: number, count: number, passes: Passes | undefined): LookedBack;
};

/** Events that one call looks at: about a millisecond, so that a reader who wants little of a long log stalls nobody. */
const maxLookedAt = 2_000;
/** Rows fetched in one go, at most 4 MB when all are as large as they may be. */
const rowsAtOnce = 16;
/** Characters of details in one page. Beyond them it ends early. */
const maxPageDetails = 256 * 1024;
/** Facets whose names are remembered. Emptied, not grown, beyond this. */
const maxRemembered = 20_000;

type Judged = Parameters<Passes>[0];
type Looked = [seq: number, facet: number];
/** `last`: the seq of the last event. */
type Fetched = { events: Event[]; last: number; isCut: boolean };

export function onwardReaderOf(db: DatabaseSync, epoch: string): OnwardReader {
  const readHead = db.prepare("SELECT value FROM bus_meta WHERE name = 'head'");
  const following = db.prepare(`SELECT ${eventColumns} FROM ${eventTables} WHERE e.seq > ? ORDER BY e.seq LIMIT ?`);
  const inOrder = db.prepare(
    `SELECT ${eventColumns} FROM json_each(?) list CROSS JOIN ${eventTables} WHERE e.seq = list.value`,
  );
  const ahead = db.prepare('SELECT seq, facet_id FROM event_log WHERE seq > ? ORDER BY seq LIMIT ?');
  const behind = db.prepare('SELECT seq, facet_id FROM event_log WHERE seq < ? ORDER BY seq DESC LIMIT ?');
  for (const statement of [ahead, behind]) statement.setReturnArrays(true);
  const judgedOf = facetReaderOf(db);

  /**
   * Up to `limit` events of the rows that `fetch` brings until it says undefined; fewer when they are large (`isCut`), and
   * then at least one.
   */
  function pageOf(limit: number, fetch: (count: number) => EventRow[] | undefined): Fetched {
    const events: Event[] = [];
    let last = 0;
    let size = 0;
    while (events.length < limit) {
      const rows = fetch(Math.min(rowsAtOnce, limit - events.length));
      if (rows === undefined) break;
      for (const row of rows) {
        if (events.length > 0 && size >= maxPageDetails) return { events, last, isCut: true };
        events.push(toEvent(row, epoch));
        last = row.seq;
        size += row.details?.length ?? 0;
      }
    }
    return { events, last, isCut: false };
  }

  function everything(after: number, limit: number): OnwardPage {
    let from = after;
    const { events, last } = pageOf(limit, (count) => {
      const rows = following.all(from, count) as EventRow[];
      from = rows.at(-1)?.seq ?? from;
      return rows.length > 0 ? rows : undefined;
    });
    return { events, upTo: Math.max(after, last) };
  }

  function some(after: number, limit: number, passes: Passes): OnwardPage {
    const looked = ahead.all(after, maxLookedAt) as unknown as Looked[];
    const passed: number[] = [];
    let upTo = after;
    for (const [seq, facet] of looked) {
      if (passes(judgedOf(facet)) && passed.push(seq) > limit) break;
      upTo = seq;
    }
    if (passed.length > limit) passed.pop();
    let taken = 0;
    // Of those some may have been purged since: they are missing, and those behind them come all the same.
    const { events, last, isCut } = pageOf(passed.length, (count) => {
      const seqs = passed.slice(taken, taken + count);
      taken += seqs.length;
      return seqs.length > 0 ? (inOrder.all(JSON.stringify(seqs)) as EventRow[]) : undefined;
    });
    return { events, upTo: isCut ? last : upTo };
  }

  return {
    head: () => readHead.get()?.value as number,
    readAfter(head, after, limit, passes) {
      const page = passes === undefined ? everything(after, limit) : some(after, limit, passes);
      return page.upTo > after ? page : { events: [], upTo: Math.max(after, head) };
    },
    lookBack(before, count, passes) {
      const looked = behind.all(before, maxLookedAt) as unknown as Looked[];
      let passed = 0;
      for (const [seq, facet] of looked)
        if ((passes === undefined || passes(judgedOf(facet))) && ++passed === count) return { passed, at: seq - 1 };
      return { passed, at: looked.length < maxLookedAt ? 0 : (looked.at(-1) as Looked)[0] - 1 };
    },
  };
}

/** What a facet says of its events, which never changes: it is read once. */
function facetReaderOf(db: DatabaseSync): (facet: number) => Judged {
  const read = db.prepare(
    'SELECT f.source_agent, f.action, a.agents FROM facets f JOIN audiences a USING (audience_id) WHERE f.facet_id = ?',
  );
  const remembered = new Map<number, Judged>();
  return (facet) => {
    let judged = remembered.get(facet);
    if (judged === undefined) {
      const { source_agent, action, agents } = read.get(facet) as Record<string, string>;
      judged = { source_agent, action, subscribed_agents: JSON.parse(agents as string) } as Judged;
      if (remembered.size >= maxRemembered) remembered.clear();
      remembered.set(facet, judged);
    }
    return judged;
  };
}
