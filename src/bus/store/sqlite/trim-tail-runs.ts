import type { DatabaseSync } from 'node:sqlite';
import type { SeqRange } from '../seq-ranges.ts';

/** Takes a range of purged events off the runs of acknowledged events that begin or end in it. */
export function tailRunTrimmerOf(db: DatabaseSync): (range: SeqRange) => void {
  const nextAgent = db.prepare('SELECT min(agent) AS agent FROM tail_runs WHERE agent > ?');
  const touching = db.prepare('SELECT from_seq, to_seq FROM tail_runs WHERE agent = ? AND to_seq >= ? ORDER BY to_seq');
  const remove = db.prepare('DELETE FROM tail_runs WHERE agent = ? AND to_seq = ?');
  const add = db.prepare('INSERT INTO tail_runs (agent, to_seq, from_seq) VALUES (?, ?, ?)');

  function trim(agent: string, [from, to]: SeqRange): void {
    const runs: SeqRange[] = [];
    for (const row of touching.iterate(agent, from)) {
      if ((row.from_seq as number) > to) break;
      runs.push([row.from_seq as number, row.to_seq as number]);
    }
    for (const [first, last] of runs) {
      const [newFirst, newLast] = [first >= from ? to + 1 : first, last <= to ? from - 1 : last];
      if (newFirst === first && newLast === last) continue;
      remove.run(agent, last);
      if (newFirst <= newLast) add.run(agent, newLast, newFirst);
    }
  }

  return (range) => {
    for (let agent = ''; ; ) {
      const next = nextAgent.get(agent)?.agent as string | null;
      if (next === null) return;
      trim(next, range);
      agent = next;
    }
  };
}
