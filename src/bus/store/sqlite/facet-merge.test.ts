import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { openDatabase } from './database.ts';
import { facetMergeOf } from './facet-merge.ts';

describe('merging facets', () => {
  it('finds the newest events of the chosen facets, whatever lies between', async () => {
    const { db } = await openDatabase(':memory:', Date.now);
    const add = db.prepare('INSERT INTO event_log (seq, id, facet_id, at) VALUES (?, ?, ?, 0)');
    const merge = facetMergeOf(db);
    const facet = fc.nat(5);
    const chosen = fc.subarray([0, 1, 2, 3, 4, 5]);
    fc.assert(
      fc.property(
        fc.array(facet, { maxLength: 60 }),
        chosen,
        fc.nat(61),
        fc.integer({ min: 1, max: 12 }),
        (log, facets, before, limit) => {
          db.exec('DELETE FROM event_log');
          for (const [i, facetId] of log.entries()) add.run(i + 1, String(i), facetId);
          const fits = log
            .map((facetId, i) => (facets.includes(facetId) && i + 1 < before ? i + 1 : 0))
            .filter((seq) => seq > 0);
          assert.deepEqual(merge.newest(facets, before, limit), fits.reverse().slice(0, limit));
        },
      ),
      { numRuns: 2000 },
    );
    db.close();
  });
});
