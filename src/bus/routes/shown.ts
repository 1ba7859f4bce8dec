import { z } from 'zod';
import { notifiedSchema } from '../../events/answer.ts';
import type { Bus } from '../bus.ts';
import { asksNothing, noSuchEvent } from '../refusals.ts';
import { bodyOf, type Route, route } from '../route.ts';
import { warningsSchema } from './warnings.ts';

const notedSchema = z.object({ status: z.literal('noted'), warnings: warningsSchema }).meta({ id: 'Noted' });

/** POST /events/{id}:shown: a channel has shown the question to a person. Safe to repeat. */
export function shown({ store }: Bus): Route {
  return route({
    method: 'POST',
    path: '/events/{id}:shown',
    operationId: 'shown',
    tag: 'Questions',
    needs: 'answer',
    summary: 'Say that a question was shown to a person',
    description: 'For channels. Sets human_notified. Safe to repeat.',
    params: { id: 'The id of the event that asks' },
    body: bodyOf(notifiedSchema, 'The note', { via: 'telegram' }),
    answers: { 200: { description: 'Noted', schema: notedSchema } },
    faults: ['asks-nothing', 'not-found'],
    async handle({ params, body }) {
      const id = params.id as string;
      const outcome = await store.noteShown(id, body.via);
      if (outcome.kind === 'unknown') throw noSuchEvent(id);
      if (outcome.kind === 'asks-nothing') throw asksNothing(id);
      return { status: 200, body: { status: 'noted' } };
    },
  });
}
