import assert from 'node:assert/strict';
import { DatabaseSync } from 'node:sqlite';
import { describe, it } from 'node:test';
import type { SeqRange } from '../seq-ranges.ts';
import { tailRunTrimmerOf } from './trim-tail-runs.ts';

describe('runs of acknowledged events', () => {
  it('lose what was purged at their ends, and go when nothing of them is left', () => {
    const cases: [purged: SeqRange, left: SeqRange[]][] = [
      [
        [1, 9],
        [
          [10, 19],
          [30, 39],
        ],
      ],
      [
        [1, 10],
        [
          [11, 19],
          [30, 39],
        ],
      ],
      [[10, 19], [[30, 39]]],
      [[5, 25], [[30, 39]]],
      [
        [15, 34],
        [
          [10, 14],
          [35, 39],
        ],
      ],
      [
        [12, 13],
        [
          [10, 19],
          [30, 39],
        ],
      ],
      [[1, 99], []],
      [
        [40, 50],
        [
          [10, 19],
          [30, 39],
        ],
      ],
    ];
    for (const [purged, left] of cases) {
      const db = new DatabaseSync(':memory:');
      db.exec(`CREATE TABLE tail_runs (agent TEXT, to_seq INTEGER, from_seq INTEGER, PRIMARY KEY (agent, to_seq));
        INSERT INTO tail_runs VALUES ('A', 19, 10), ('A', 39, 30), ('é', 19, 10), ('é', 39, 30)`);
      tailRunTrimmerOf(db)(purged);
      for (const agent of ['A', 'é']) {
        const rows = db.prepare('SELECT from_seq, to_seq FROM tail_runs WHERE agent = ? ORDER BY to_seq').all(agent);
        assert.deepEqual(
          rows.map((row) => [row.from_seq, row.to_seq]),
          left,
          `${agent} after ${purged}`,
        );
      }
      db.close();
    }
  });
});
