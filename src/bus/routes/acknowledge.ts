import { z } from 'zod';
import { Fault } from '../../base/fault.ts';
import { name } from '../../events/name.ts';
import type { Bus } from '../bus.ts';
import { noSuchEvent, quoted } from '../refusals.ts';
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
    needs: 'ack',
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
      if (outcome.kind === 'noted-by-too-many') throw notedByTooMany(id, outcome.limit);
      return { status: 200, body: { status: 'acknowledged', agent, acknowledged_at: outcome.at } };
    },
  });
}

function notedByTooMany(id: string, limit: number): Fault {
  return new Fault(
    'conflict',
    `The event ${quoted(id)} is acknowledged by ${limit} agents already, which is the limit.`,
    {
      hint: 'Acknowledge under the name of the agent that hears it, not under a new name each time.',
    },
  );
}
