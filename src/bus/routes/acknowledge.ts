import { z } from 'zod';
import { name } from '../../events/name.ts';
import type { Bus } from '../bus.ts';
import { noSuchEvent } from '../refusals.ts';
import { type Route, route } from '../route.ts';
import { warningsSchema } from './warnings.ts';

const acknowledgedSchema = z
  .object({
    status: z.literal('acknowledged'),
    agent: z.string(),
    acknowledged_at: z.string().meta({ format: 'date-time', description: 'The first time it did' }),
    warnings: warningsSchema,
  })
  .meta({ id: 'Acknowledged' });

/** POST /events/{id}/acknowledge: this agent has taken note. Safe to repeat; a body is ignored. */
export function acknowledge({ store }: Bus): Route {
  return route({
    method: 'POST',
    path: '/events/{id}/acknowledge',
    operationId: 'acknowledge',
    tag: 'Agents',
    summary: 'Say that an agent has taken note of an event',
    description: 'Safe to repeat. Needs no body.',
    params: { id: 'The event’s id' },
    query: z.object({ agent: name.meta({ description: 'Who has taken note', examples: ['HERMES'] }) }),
    answers: { 200: { description: 'Noted', schema: acknowledgedSchema } },
    faults: ['not-found', 'conflict'],
    async handle({ params, query: { agent } }) {
      const id = params.id as string;
      const outcome = await store.acknowledge(id, agent);
      if (outcome.kind === 'unknown') throw noSuchEvent(id);
      return { status: 200, body: { status: 'acknowledged', agent, acknowledged_at: outcome.at } };
    },
  });
}
