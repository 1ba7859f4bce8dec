import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { Published } from '../store.ts';
import { outcomesIn, textOfOutcomes } from './batch-text.ts';

describe('the outcomes of a batch as a text', () => {
  it('are the same again', () => {
    const hearers = fc.constantFrom<readonly string[]>([], ['A'], ['A', 'é"\\'], ['B', 'A']);
    const receipt = fc.record({
      id: fc.string(),
      seq: fc.nat(),
      timestamp: fc.string(),
      subscribedAgents: hearers,
      timeoutAt: fc.option(fc.string()),
    });
    const outcome: fc.Arbitrary<Published | null> = fc.oneof(
      fc.constant(null),
      fc.record({ kind: fc.constantFrom('stored' as const, 'duplicate' as const), receipt }),
      fc.record({ kind: fc.constant('id-taken' as const), by: fc.string() }),
    );
    fc.assert(
      fc.property(fc.array(outcome), (outcomes) => {
        const plain = JSON.parse(JSON.stringify(outcomes));
        assert.deepEqual(outcomesIn(textOfOutcomes(outcomes)), plain);
      }),
    );
  });

  it('name a list of hearers once, however many share it', () => {
    const subscribedAgents = ['HEARER'];
    const receipt = { id: 'x', seq: 1, timestamp: 't', subscribedAgents, timeoutAt: null };
    const text = textOfOutcomes(Array.from({ length: 50 }, () => ({ kind: 'stored', receipt }) as const));
    assert.equal(text.split('HEARER').length - 1, 1);
  });
});
