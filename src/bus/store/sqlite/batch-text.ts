import type { Published, Receipt } from '../store.ts';

type Outcomes = readonly (Published | null)[];

/** One outcome: of an event that is in the log, of one whose id is taken, or the place of one that was not tried. */
type Row =
  | [kind: 'stored' | 'duplicate', id: string, seq: number, timestamp: string, heard: number, timeoutAt: string | null]
  | [kind: 'id-taken', by: string]
  | [kind: 'too-far-ahead']
  | null;

/** The lists of hearers stand once each, because most events of a batch share them. */
type Text = { heard: (readonly string[])[]; rows: Row[] };

/**
 * What became of a batch as one text: so it crosses to another thread at a tenth of the cost of so many objects, and lies
 * in the table as it is.
 */
export function textOfOutcomes(outcomes: Outcomes): string {
  const heard: (readonly string[])[] = [];
  const known = new Map<readonly string[], number>();
  const rows = outcomes.map((outcome): Row => {
    if (outcome === null) return null;
    if (outcome.kind === 'id-taken') return [outcome.kind, outcome.by];
    if (outcome.kind === 'too-far-ahead') return [outcome.kind];
    const { id, seq, timestamp, subscribedAgents, timeoutAt } = outcome.receipt;
    let place = known.get(subscribedAgents);
    if (place === undefined) {
      place = heard.push(subscribedAgents) - 1;
      known.set(subscribedAgents, place);
    }
    return [outcome.kind, id, seq, timestamp, place, timeoutAt];
  });
  return JSON.stringify({ heard, rows } satisfies Text);
}

export function outcomesIn(text: string): Outcomes {
  const { heard, rows } = JSON.parse(text) as Text;
  return rows.map((row) => {
    if (row === null) return null;
    if (row[0] === 'id-taken') return { kind: row[0], by: row[1] };
    if (row[0] === 'too-far-ahead') return { kind: row[0] };
    const [kind, id, seq, timestamp, place, timeoutAt] = row;
    const receipt: Receipt = { id, seq, timestamp, subscribedAgents: heard[place] as readonly string[], timeoutAt };
    return { kind, receipt };
  });
}
