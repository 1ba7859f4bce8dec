import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Event } from '../../events/event.ts';
import { describeEvent } from './describe-event.ts';

describe('an event whole', () => {
  const event = {
    id: '0193e8c2-7b1f-7000-8abc-000000000000',
    action: 'a',
    source_agent: 'ME',
    status: 'pending',
    human_state: null,
    subscribed_agents: ['AEGIS', 'ARIA', 'ATHENA', 'HERMES'],
    acknowledged_by: {},
    target: 'many words\u009b that are wrapped',
    details: null,
  } as unknown as Event;

  it('is wrapped at words on a terminal, and no id is broken', () => {
    const lines = describeEvent(event, 40);
    assert.deepEqual(lines.slice(0, 2), ['id:', `  ${event.id}`]);
    assert.deepEqual(lines.slice(4, 6), ['target:           many words\\u009b that', '                  are wrapped']);
    assert.deepEqual(lines.slice(-2), ['heard by:         AEGIS, ARIA, ATHENA,', '                  HERMES']);
  });

  it('is a field a line in a pipe', () => {
    assert.ok(describeEvent(event).includes('heard by:         AEGIS, ARIA, ATHENA, HERMES'));
  });
});
