import assert from 'node:assert';
import { consequenceId } from '../events/capability.ts';
import type { Draft } from '../events/draft.ts';
import type { Event } from '../events/event.ts';
import type { Said, SaidByItself } from './agent.ts';

/**
 * What an agent says because of an event, as it is published. The id comes from who says what because of which event, so
 * that a redelivery says it once on the bus.
 */
export function draftsOf(agent: string, heard: Event, says: readonly Said[]): Draft[] {
  const drafts = says.map(({ action, target, details, because }) => {
    const cause = because ?? heard;
    return {
      // Of another cause it is said once, whatever the target.
      id: consequenceId(agent, cause.id, action, because === undefined ? target : null),
      source_agent: agent,
      action,
      target,
      details,
      causation_id: cause.id,
      correlation_id: cause.correlation_id ?? cause.id,
    };
  });
  assert.equal(new Set(drafts.map(({ id }) => id)).size, drafts.length, 'an action is said once for a target');
  return drafts;
}

/** What an agent says by itself, as it is published: no event is its cause, and its id comes from what it is of. */
export function ownDraftOf(agent: string, { of, action, target, details }: SaidByItself): Draft {
  return {
    id: consequenceId(agent, of, action, target),
    source_agent: agent,
    action,
    target,
    details,
    correlation_id: of,
  };
}
