import type { DatabaseSync } from 'node:sqlite';
import {
  cutoffOf,
  isYetToCome,
  maxPurged,
  type RetentionPlace,
  type RetentionRule,
  type RetentionScan,
  type RuleCount,
  ruleFinder,
} from '../retention.ts';
import { owedOf } from './event-deliveries.ts';
import { heldByQuestionsOf } from './held-by-questions.ts';

/** Looks through a part of the log for what the rules no longer keep; begins anew without a place. Changes nothing. */
export type ScanRetention = (rules: readonly RetentionRule[], now: number, place?: RetentionPlace) => RetentionScan;

/** `at`: from when on its age counts. */
type Candidate = { seq: number; at: number; facet: number; deliver_at: number | null };
type Facet = { rule: number; mayBeOwed: boolean };
type Assigned = { upTo: number; facets: Map<number, Facet>; byRule: number[][] };

export function retentionScannerOf(db: DatabaseSync): ScanRetention {
  const assigned = facetAssignerOf(db);
  const oldest = oldestOf(db);
  const begin = beginnerOf(db);
  const isOpen = db.prepare("SELECT 1 FROM questions WHERE seq = ? AND state = 'open'");
  const owed = owedOf(db);
  const heldByQuestions = heldByQuestionsOf(db);

  return (rules, now, place) => {
    const { facets, byRule } = assigned(rules);
    const { after, excess, cutoffs } = place ?? begin(rules, byRule, now);
    const counts = rules.map<RuleCount>(() => ({ due: 0, open_questions: 0, owed_at_priority_1: 0 }));
    const left = [...excess];
    const active = byRule.filter((_, rule) => (left[rule] as number) > 0 || (cutoffs[rule]?.seq as number) > after + 1);
    const found = oldest(active.flat(), after, maxPurged);
    const due: number[] = [];
    const held = heldByQuestions();
    let last = after;
    for (const { seq, at, facet, deliver_at } of found) {
      last = seq;
      const { rule, mayBeOwed } = facets.get(facet) as Facet;
      const isTooMany = (left[rule] as number) > 0;
      if (isTooMany) left[rule] = (left[rule] as number) - 1;
      if (!isTooMany && at >= (cutoffs[rule]?.at as number)) continue;
      if (isYetToCome(deliver_at, now)) continue;
      const count = counts[rule] as RuleCount;
      const owing = mayBeOwed ? owed(seq) : [];
      if (isOpen.get(seq) || held.has(seq)) count.open_questions += 1;
      else if (owing.some(({ priority }) => priority === 1)) count.owed_at_priority_1 += 1;
      // What somebody works on just now will be due when that is over.
      else if (!owing.some(({ leased }) => leased === 1)) {
        count.due += 1;
        due.push(seq);
      }
    }
    return { due, counts, next: found.length < maxPurged ? null : { after: last, excess: left, cutoffs } };
  };
}

/** Where each rule ends, as the log is at the beginning of a scan. */
function beginnerOf(db: DatabaseSync) {
  const count = db.prepare('SELECT count(*) AS n FROM event_log WHERE facet_id = ?');
  const bySeq = db.prepare('SELECT seq, at FROM event_log WHERE seq >= ? ORDER BY seq LIMIT 1');
  const newest = db.prepare('SELECT max(seq) AS seq FROM event_log');

  /** The first event that is not older, found by halves: times follow the order but where the clock was set back. */
  function firstFrom(at: number): number {
    let [low, high] = [1, ((newest.get()?.seq as number | null) ?? 0) + 1];
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      const row = bySeq.get(middle) as { seq: number; at: number } | undefined;
      if (row && row.at < at) low = row.seq + 1;
      else high = middle;
    }
    return low;
  }

  return (rules: readonly RetentionRule[], byRule: readonly number[][], now: number): RetentionPlace => ({
    after: 0,
    excess: rules.map(({ maxCount }, rule) => {
      if (maxCount === null) return 0;
      const all = (byRule[rule] ?? []).reduce((sum, facet) => sum + (count.get(facet)?.n as number), 0);
      return Math.max(0, all - maxCount);
    }),
    cutoffs: rules.map((rule) => {
      const at = cutoffOf(rule, now);
      return { at, seq: rule.maxAgeDays === null ? 0 : firstFrom(at) };
    }),
  });
}

/** The oldest events of some facets after a seq: as `newest` in facet-merge.ts, from the other end. */
function oldestOf(db: DatabaseSync): (facets: readonly number[], after: number, limit: number) => Candidate[] {
  const firsts = db.prepare(
    `SELECT value AS facet, (SELECT min(seq) FROM event_log WHERE facet_id = value AND seq > ?2) AS first
     FROM json_each(?1) WHERE first IS NOT NULL ORDER BY first LIMIT ?3`,
  );
  const above = db.prepare(
    `SELECT seq, max(at, coalesce(deliver_at, at)) AS at, facet_id AS facet, deliver_at
     FROM event_log WHERE facet_id = ? AND seq > ? AND seq < ? ORDER BY seq LIMIT ?`,
  );
  return (facets, after, limit) => {
    if (facets.length === 0) return [];
    const best = firsts.all(JSON.stringify(facets), after, limit) as { facet: number; first: number }[];
    let merged: Candidate[] = [];
    let ceiling = Number.MAX_SAFE_INTEGER;
    for (const { facet, first } of best) {
      if (first >= ceiling) break;
      merged = merged.concat(above.all(facet, after, ceiling, limit) as Candidate[]);
      if (merged.length < limit) continue;
      merged = merged.sort((a, b) => a.seq - b.seq).slice(0, limit);
      ceiling = (merged.at(-1) as Candidate).seq + 1;
    }
    return merged.sort((a, b) => a.seq - b.seq).slice(0, limit);
  };
}

/** Facets are only ever added, so each is held against the rules once. */
function facetAssignerOf(db: DatabaseSync): (rules: readonly RetentionRule[]) => Assigned {
  const since = db.prepare(
    `SELECT f.facet_id AS facet, f.source_agent, f.action, instr(a.hearers, '"queue"') > 0 AS owed
     FROM facets f JOIN audiences a USING (audience_id) WHERE f.facet_id > ? ORDER BY f.facet_id`,
  );
  const known = new WeakMap<readonly RetentionRule[], Assigned>();
  return (rules) => {
    const all = known.get(rules) ?? { upTo: 0, facets: new Map(), byRule: rules.map((): number[] => []) };
    const find = ruleFinder(rules);
    for (const row of since.iterate(all.upTo)) {
      all.upTo = row.facet as number;
      const rule = find(row.source_agent as string, row.action as string);
      if (rule === -1) continue;
      all.facets.set(all.upTo, { rule, mayBeOwed: row.owed === 1 });
      all.byRule[rule]?.push(all.upTo);
    }
    known.set(rules, all);
    return all;
  };
}
