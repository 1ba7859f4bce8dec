import type { Event } from '../../events/event.ts';

/** An event in short. */
export function lineOf({ id, timestamp, source_agent, action, target, status }: Event) {
  return { id, timestamp, source_agent, action, target, status };
}
