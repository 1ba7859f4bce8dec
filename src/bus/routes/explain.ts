import { z } from 'zod';
import { name } from '../../events/name.ts';
import { explanationSchema } from '../../events/subscription.ts';
import type { Bus } from '../bus.ts';
import { flag } from '../query.ts';
import { type Route, route } from '../route.ts';
import { warningsSchema } from './warnings.ts';

/** GET /explain: who would hear an action, by which pattern, at what priority. Publishes nothing. */
export function explain({ store }: Bus): Route {
  return route({
    method: 'GET',
    path: '/explain',
    operationId: 'explain',
    tag: 'Subscriptions',
    needs: 'read',
    summary: 'Tell who would hear an action, and why',
    description: 'Publishes nothing. silent lists whose pattern matches but who would hear nothing all the same.',
    query: z.object({
      action: name.meta({ description: 'The action, as it would be published', examples: ['backup_failed'] }),
      requires_human: flag('As a question to a person'),
    }),
    answers: { 200: { description: 'The hearers', schema: explanationSchema.extend({ warnings: warningsSchema }) } },
    async handle({ query }) {
      return { status: 200, body: await store.explain(query.action, query.requires_human) };
    },
  });
}
