import { z } from 'zod';
import { answerSchema } from '../../events/answer.ts';
import { answerQuestion } from '../answer-question.ts';
import type { Bus } from '../bus.ts';
import { bodyOf, type Route, route } from '../route.ts';
import { warningsSchema } from './warnings.ts';

const respondedSchema = z
  .object({
    status: z.literal('responded'),
    response: z.string(),
    responder: z.string(),
    via: z.string(),
    responded_at: z.string().meta({ format: 'date-time' }),
    warnings: warningsSchema,
  })
  .meta({ id: 'Responded' });

/** POST /events/{id}/respond: a person's answer. Exactly one wins; every other is told who did. */
export function respond(bus: Bus): Route {
  return route({
    method: 'POST',
    path: '/events/{id}/respond',
    operationId: 'respond',
    tag: 'Questions',
    needs: 'answer',
    summary: 'Answer a question',
    description:
      'The first answer before the deadline counts; whoever comes later gets a 409 that says who was first. A question with a payload_hash is an approval: it needs the token of a person with approve, also on loopback, and the answer repeats the hash. One whose details say step_up takes from a token with approve:code a proof as well.',
    params: { id: 'The id of the event that asks' },
    body: bodyOf(answerSchema, 'The answer', { response: 'yes', responder: 'human' }),
    answers: { 200: { description: 'This answer counts', schema: respondedSchema } },
    faults: ['asks-nothing', 'not-found', 'already-resolved', 'conflict'],
    handle: async ({ params, body, principal }) => ({
      status: 200,
      body: { status: 'responded', ...(await answerQuestion(bus, params.id as string, body, principal)) },
    }),
  });
}
