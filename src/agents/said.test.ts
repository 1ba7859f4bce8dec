import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isEventId } from '../events/draft.ts';
import { anEvent } from './agent.fixtures.ts';
import { draftsOf } from './said.ts';

const said = { action: 'backup_completed', target: 'dev', details: { n: 1 } };

describe('what an agent says', () => {
  it('carries its cause, and what belongs together', () => {
    const [first] = draftsOf('CHRONOS', anEvent({ id: 'e1' }), [said]);
    assert.deepEqual([first?.source_agent, first?.causation_id, first?.correlation_id], ['CHRONOS', 'e1', 'e1']);
    const [second] = draftsOf('CHRONOS', anEvent({ id: 'e2', correlation_id: 'release 7' }), [said]);
    assert.deepEqual([second?.causation_id, second?.correlation_id], ['e2', 'release 7']);
  });

  it('has the same id at each redelivery, whatever else is in it, and another for another cause, action or target', () => {
    const idOf = (cause: string, more: Partial<typeof said> = {}, agent = 'CHRONOS') =>
      draftsOf(agent, anEvent({ id: cause }), [{ ...said, ...more }])[0]?.id;
    assert.ok(isEventId(idOf('e1')));
    assert.equal(idOf('e1'), idOf('e1', { details: { n: 2 } }));
    const ids = [
      ...[idOf('e1'), idOf('e2'), idOf('e1', { action: 'backup_failed' })],
      ...[idOf('e1', { target: 'prod' }), idOf('e1', {}, 'HADES')],
    ];
    assert.equal(new Set(ids).size, ids.length);
  });

  it('is said once for a target', () => {
    assert.throws(() => draftsOf('CHRONOS', anEvent(), [said, said]), /said once/);
    assert.equal(draftsOf('CHRONOS', anEvent(), [said, { ...said, target: 'prod' }]).length, 2);
  });
});
