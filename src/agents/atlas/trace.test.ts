import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Fault } from '../../base/fault.ts';
import type { Client } from '../../client/client.ts';
import type { Event } from '../../events/event.ts';
import { anEvent } from '../agent.fixtures.ts';
import { traceOf } from './trace.ts';

type Link = Pick<Event, 'id'> & Partial<Pick<Event, 'causation_id' | 'correlation_id'>>;

/** A bus with these events, the oldest first. */
function busOf(...links: Link[]): Pick<Client, 'event' | 'events'> {
  const all = links.map((link, n) => ({
    ...anEvent(link),
    timestamp: `2026-01-01T00:00:0${n}.000Z`,
    human_question: null,
  }));
  return {
    async event(id) {
      const found = all.find((each) => each.id === id);
      if (found === undefined) throw new Fault('not-found', 'There is no such event.');
      return found;
    },
    events: async () => ({ events: all.toReversed(), count: all.length, next: null }) as never,
  };
}

const restored: readonly Link[] = [
  { id: 'unrelated' },
  { id: 'deploy' },
  { id: 'failed', causation_id: 'deploy', correlation_id: 'deploy' },
  { id: 'call', causation_id: 'failed', correlation_id: 'deploy' },
  // A run has a name of its own.
  { id: 'began', causation_id: 'call', correlation_id: 'run' },
  { id: 'ended', causation_id: 'call', correlation_id: 'run' },
  { id: 'noted', correlation_id: 'run' },
  { id: 'audited', causation_id: 'ended' },
];

async function told(id: string, ...links: readonly Link[]) {
  const { matter, trace } = await traceOf(busOf(...links), id, new AbortController().signal);
  return [matter, ...(trace as { id: string }[]).map((each) => each.id)];
}

describe('a trace', () => {
  it('is the whole matter, from whichever event of it', async () => {
    const whole = ['deploy', 'deploy', 'failed', 'call', 'began', 'ended'];
    for (const id of ['deploy', 'failed', 'call']) assert.deepEqual(await told(id, ...restored), [...whole, 'audited']);
    for (const id of ['began', 'ended']) assert.deepEqual(await told(id, ...restored), [...whole, 'noted', 'audited']);
    assert.deepEqual(await told('audited', ...restored), [...whole, 'noted', 'audited']);
  });

  it('begins with what is still known, and ends where causes go in a circle', async () => {
    assert.deepEqual(await told('b', { id: 'b', causation_id: 'purged' }, { id: 'c', causation_id: 'b' }), [
      'b',
      'b',
      'c',
    ]);
    const circle = [
      { id: 'a', causation_id: 'b' },
      { id: 'b', causation_id: 'a' },
    ];
    assert.deepEqual((await told('a', ...circle)).slice(1), ['a', 'b']);
  });
});
