import assert from 'node:assert';
import { createHash } from 'node:crypto';
import type { Draft } from '../events/draft.ts';
import type { Event } from '../events/event.ts';
import type { Said } from './agent.ts';

/**
 * What an agent says because of an event, as it is published. The id comes from who says what because of which event, so
 * that a redelivery says it once on the bus.
 */
export function draftsOf(agent: string, cause: Event, says: readonly Said[]): Draft[] {
  const drafts = says.map(({ action, target, details }) => ({
    id: idOf(agent, cause.id, action, target),
    source_agent: agent,
    action,
    target,
    details,
    causation_id: cause.id,
    correlation_id: cause.correlation_id ?? cause.id,
  }));
  assert.equal(new Set(drafts.map(({ id }) => id)).size, drafts.length, 'an action is said once for a target');
  return drafts;
}

function idOf(agent: string, cause: string, action: string, target: string | null): string {
  const digest = createHash('sha256').update(JSON.stringify([agent, cause, action, target]));
  return `${agent.toLowerCase()}-${digest.digest('hex').slice(0, 40)}`;
}
