import { displayWidth, wrap } from '../../base/display-width.ts';
import { linesOf } from '../../base/line-breaks.ts';
import { printable } from '../../base/log.ts';
import type { Event } from '../../events/event.ts';

const nameWidth = 18;

/**
 * Everything about one event, a field a line; what is empty is left out. On a terminal of `columns` what is longer is
 * wrapped at words; without `columns` nothing is.
 */
export function describeEvent(event: Event, columns?: number): string[] {
  const lines: string[] = [];
  const add = (name: string, value: unknown) => {
    if (value === null || value === undefined || (Array.isArray(value) && value.length === 0)) return;
    lines.push(...fieldOf(name, Array.isArray(value) ? value.join(', ') : String(value), columns));
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

/** The value beside the name, or below it where the terminal is too narrow for one of its words. */
function fieldOf(name: string, value: string, columns: number | undefined): string[] {
  const head = `${name}:`.padEnd(nameWidth);
  const wrapped = (width: number) => linesOf(value).flatMap((line) => wrap(printable(line), width));
  const beside = columns === undefined ? linesOf(value) : wrapped(Math.max(1, columns - nameWidth));
  if (columns !== undefined && beside.some((line) => displayWidth(line) > columns - nameWidth))
    return [head.trimEnd(), ...wrapped(Math.max(1, columns - 2)).map((line) => `  ${line}`)];
  return beside.map((line, i) => (i === 0 ? head : ' '.repeat(nameWidth)) + line);
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
