import type { Event } from '../../events/event.ts';
import { linesOf } from './line-breaks.ts';

const nameWidth = 18;

/** Everything about one event, a field a line; what is empty is left out. */
export function describeEvent(event: Event): string[] {
  const lines: string[] = [];
  const add = (name: string, value: unknown) => {
    if (value === null || value === undefined || (Array.isArray(value) && value.length === 0)) return;
    const [first, ...rest] = linesOf(Array.isArray(value) ? value.join(', ') : String(value));
    lines.push(`${`${name}:`.padEnd(nameWidth)}${first}`, ...rest.map((line) => ' '.repeat(nameWidth) + line));
  };
  add('id', event.id);
  add('action', event.action);
  add('source', event.source_agent);
  add('target', event.target);
  add('time', event.timestamp);
  add('status', event.status);
  addQuestion(event, add);
  add('heard by', event.subscribed_agents);
  for (const [agent, time] of Object.entries(event.acknowledged_by)) add('acknowledged', `${agent} at ${time}`);
  add('workflow', event.source_workflow_id);
  add('execution', event.source_execution_id);
  add('correlation', event.correlation_id);
  add('caused by', event.causation_id);
  add('traceparent', event.traceparent);
  add('tags', event.tags);
  add('bookmark', event.bookmark);
  if (event.details !== null && Object.keys(event.details).length > 0)
    lines.push(
      'details:',
      ...JSON.stringify(event.details, null, 2)
        .split('\n')
        .map((line) => `  ${line}`),
    );
  return lines;
}

function addQuestion(event: Event, add: (name: string, value: unknown) => void): void {
  if (event.human_state === null) return;
  add('question', event.human_question);
  add(
    'options',
    event.human_options?.map((option) => JSON.stringify(option)),
  );
  add('free text', event.free_text ? 'yes' : null);
  add('answerers', event.answerers);
  add('deadline', event.timeout_at ?? 'never');
  add('fallback', event.human_fallback);
  add('state', event.human_state);
  add('answer', event.human_response);
  add('answered by', event.human_responded_by);
  add('answered via', event.human_responded_via);
  add('answered at', event.human_responded_at);
  for (const { after_minutes, notify, fired_at } of event.escalation ?? [])
    add('escalation', `after ${after_minutes} min to ${notify.join(', ')}${fired_at ? ` (told at ${fired_at})` : ''}`);
}
