import { z } from 'zod';
import { cloudEventBatchType, cloudEventSchema } from '../../events/cloud-event.ts';
import { eventSchema, statuses } from '../../events/event.ts';
import { name } from '../../events/name.ts';
import type { Bus } from '../bus.ts';
import { asksFor, cloudEventPage, linkHelp, pageAsCloudEvents } from '../cloud-event-answer.ts';
import { before, nextBookmark, pageMayBeShort, seqOf } from '../paging.ts';
import { limit } from '../query.ts';
import { type Route, route } from '../route.ts';
import { warningsSchema } from './warnings.ts';

const pageSchema = z
  .object({
    events: z.array(eventSchema),
    count: z.int().min(0),
    next: z.string().nullable().meta({ description: 'Give it as before for the following page; null at the end' }),
    warnings: warningsSchema,
  })
  .meta({ id: 'EventPage' });

/** GET /events: newest first, filters exact. */
export function listEvents({ store }: Bus): Route {
  return route({
    method: 'GET',
    path: '/events',
    operationId: 'listEvents',
    tag: 'Events',
    needs: 'read',
    summary: 'List events, newest first',
    description: `${pageMayBeShort} ${pageAsCloudEvents}`,
    query: z.object({
      limit: limit(50),
      source_agent: name.optional().meta({ description: 'Only what this agent published; exact' }),
      action: name.optional().meta({ description: 'Only this action; exact, no pattern' }),
      status: z
        .enum(statuses, `must be one of ${statuses.join(', ')}`)
        .optional()
        .meta({ description: 'Only events in this state' }),
      before,
    }),
    answers: {
      200: {
        description: 'A page of events',
        schema: pageSchema,
        also: { [cloudEventBatchType]: z.array(cloudEventSchema) },
        headers: linkHelp,
      },
    },
    faults: ['cursor-invalid'],
    async handle({ query, headers }) {
      const { limit, before, ...filter } = query;
      const page = await store.events(filter, { limit, before: seqOf(before, store.epoch) });
      const { events } = page;
      const next = nextBookmark(store.epoch, page.next);
      if (asksFor(cloudEventBatchType, headers.accept)) return cloudEventPage(events, '/events', query, next);
      return { status: 200, body: { events, count: events.length, next } };
    },
  });
}
