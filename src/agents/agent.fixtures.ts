import type { Event } from '../events/event.ts';

/** An event as the bus gives it, as far as agents look at it. */
export function anEvent(fields: Partial<Event> = {}): Event {
  const plain = { id: 'e1', source_agent: 'HEPHAESTUS', action: 'deploy_started', target: 'dev', details: null };
  return { ...plain, causation_id: null, correlation_id: null, ...fields } as Event;
}
