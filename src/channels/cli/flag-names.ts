import type { Mistake } from '../../base/fault.ts';

/** How the command line calls what the API calls a field or a parameter. */
const called: Readonly<Record<string, string>> = {
  action: 'the action',
  action_pattern: 'the pattern',
  after: '--after',
  agent: 'the agent',
  agent_name: 'the agent',
  name: 'the name',
  kind: '--kind',
  scopes: '--scope',
  per_minute: '--per-minute',
  expires_in_ms: '--expires',
  answerers: '--answerer',
  before: '--before',
  cancelled_by: '--as',
  causation_id: '--causation',
  correlation_id: '--correlation',
  delay_seconds: '--delay',
  deliver_at: '--deliver-at',
  details: '--details',
  except: '--except',
  free_text: '--free-text',
  from: '--from-start',
  human_fallback: '--fallback',
  human_options: '--option',
  human_question: 'the question',
  human_timeout_minutes: '--timeout',
  id: '--id',
  last: '--last',
  lease_seconds: '--lease',
  limit: '--limit',
  max: '--max',
  mode: '--mode',
  priority: '--priority',
  reason: '--reason',
  responder: '--as',
  response: 'the answer',
  source_agent: '--source',
  source_execution_id: '--execution',
  source_workflow_id: '--workflow',
  status: '--status',
  tags: '--tag',
  target: '--target',
  traceparent: '--traceparent',
  unacknowledged_only: '--unacknowledged',
  wait_seconds: '--wait',
};

/** Options that are given once for each entry of a list. */
const repeated = ['answerers', 'except', 'human_options', 'scopes', 'tags'];

/** Fields that no word of plain English is mistaken for. */
const unmistakable = new RegExp(
  `\\b(${Object.keys(called)
    .filter((field) => field.includes('_'))
    .join('|')})\\b`,
  'g',
);

/** What a pointer of the API points at: `/human_options/1` is the 2nd --option, `/details/a/b` is a/b in --details. */
export function flagOf(pointer: string): string {
  const [field = '', ...below] = pointer.replace(/^\//, '').split('/');
  const flag = Object.hasOwn(called, field) ? (called[field] as string) : undefined;
  if (flag === undefined || below.length === 0) return flag ?? pointer;
  const [index = ''] = below;
  if (repeated.includes(field) && /^\d+$/.test(index)) return `the ${ordinal(Number(index) + 1)} ${flag}`;
  return `${below.join('/')} in ${flag}`;
}

/** A mistake or a warning as the command line says it. */
export function withFlags({ pointer, detail }: Mistake): Mistake {
  return { pointer: flagOf(pointer), detail: detail.replace(unmistakable, (field) => called[field] as string) };
}

function ordinal(n: number): string {
  const end = n % 100 >= 11 && n % 100 <= 13 ? 'th' : (['th', 'st', 'nd', 'rd'][n % 10] ?? 'th');
  return `${n}${end}`;
}
