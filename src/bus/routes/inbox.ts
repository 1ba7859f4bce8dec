import { z } from 'zod';
import { cloudEventBatchType, cloudEventSchema } from '../../events/cloud-event.ts';
import { eventSchema } from '../../events/event.ts';
import type { Bus } from '../bus.ts';
import { asksFor, cloudEventPage, linkHelp, pageAsCloudEvents } from '../cloud-event-answer.ts';
import { before, nextBookmark, pageMayBeShort, seqOf } from '../paging.ts';
import { flag, limit } from '../query.ts';
import { type Route, route } from '../route.ts';
import { agentOf } from './agent-param.ts';
import { warningsSchema } from './warnings.ts';

const inboxSchema = z
  .object({
    agent: z.string(),
    events: z.array(eventSchema),
    count: z.int().min(0),
    next: z.string().nullable().meta({ description: 'Give it as before for the following page; null at the end' }),
    warnings: warningsSchema,
  })
  .meta({ id: 'Inbox' });

/** GET /agents/{agent}/events: what this agent heard, newest first. */
export function inbox({ store }: Bus): Route {
  return route({
    method: 'GET',
    path: '/agents/{agent}/events',
    operationId: 'inbox',
    tag: 'Agents',
    needs: 'read',
    summary: 'Read an agent’s inbox, newest first',
    description: `${pageMayBeShort} ${pageAsCloudEvents}`,
    params: { agent: 'The agent’s name; case counts' },
    query: z.object({
      limit: limit(20),
      unacknowledged_only: flag('Leave out what this agent has acknowledged'),
      before,
    }),
    answers: {
      200: {
        description: 'A page of what the agent heard',
        schema: inboxSchema,
        also: { [cloudEventBatchType]: z.array(cloudEventSchema) },
        headers: linkHelp,
      },
    },
    faults: ['cursor-invalid'],
    async handle({ params, query, headers }) {
      const agent = agentOf(params.agent as string);
      const page = await store.inbox(agent, query.unacknowledged_only, {
        limit: query.limit,
        before: seqOf(query.before, store.epoch),
      });
      const { events } = page;
      const next = nextBookmark(store.epoch, page.next);
      if (asksFor(cloudEventBatchType, headers.accept))
        return cloudEventPage(events, `/agents/${encodeURIComponent(agent)}/events`, query, next);
      return { status: 200, body: { agent, events, count: events.length, next } };
    },
  });
}
