import { z } from 'zod';
import { pendingSchema } from '../../events/event.ts';
import type { Bus } from '../bus.ts';
import { after, cursorOf, pageMayBeShort, placeOf } from '../paging.ts';
import { limit } from '../query.ts';
import { type Route, route } from '../route.ts';
import { warningsSchema } from './warnings.ts';

const pendingPageSchema = z
  .object({
    pending: z.array(pendingSchema),
    count: z.int().min(0),
    next: z.string().nullable().meta({ description: 'Give it as after for the following page; null at the end' }),
    warnings: warningsSchema,
  })
  .meta({ id: 'PendingPage' });

/** GET /events/pending/human: open questions, soonest deadline first. */
export function pending({ store }: Bus): Route {
  return route({
    method: 'GET',
    path: '/events/pending/human',
    operationId: 'pending',
    tag: 'Questions',
    needs: 'read',
    summary: 'List the open questions, soonest deadline first',
    description: pageMayBeShort,
    query: z.object({ limit: limit(1000), after }),
    answers: { 200: { description: 'The open questions', schema: pendingPageSchema } },
    faults: ['cursor-invalid'],
    async handle({ query }) {
      const { pending, next } = await store.pending({ limit: query.limit, after: placeOf(query.after, store.epoch) });
      return {
        status: 200,
        body: { pending, count: pending.length, next: next === null ? null : cursorOf(next, store.epoch) },
      };
    },
  });
}
