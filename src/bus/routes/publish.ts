import { z } from 'zod';
import { Fault } from '../../base/fault.ts';
import { bookmarkOf } from '../../events/bookmark.ts';
import { draftSchema, maxDeliverAheadDays } from '../../events/draft.ts';
import { parseDraft } from '../../events/parse.ts';
import type { Bus } from '../bus.ts';
import { quoted } from '../refusals.ts';
import { type Route, route } from '../route.ts';
import type { Receipt } from '../store/store.ts';
import { warningsSchema } from './warnings.ts';

const receiptSchema = z
  .object({
    id: z.string(),
    status: z.literal('created'),
    duplicate: z.literal(true).optional().meta({ description: 'The same event was stored under this id before' }),
    subscribed_agents: z.array(z.string()).meta({ description: 'Who hears it, best priority first' }),
    timestamp: z.string().meta({ format: 'date-time' }),
    bookmark: z.string().meta({ description: 'Its place in the log, opaque' }),
    timeout_at: z.string().nullable().optional().meta({ description: 'Only for a question; null waits for ever' }),
    warnings: warningsSchema,
  })
  .meta({ id: 'Receipt' });

/**
 * POST /events: 201 once the event is on disk, 200 if the same event was stored under this id before. A sender that got
 * no answer may send the same id again: that is what the 200 is for.
 */
export function publish({ store }: Bus): Route {
  return route({
    method: 'POST',
    path: '/events',
    operationId: 'publish',
    tag: 'Events',
    needs: 'publish',
    summary: 'Publish an event',
    description:
      'Answered once the event is on disk. Give an id of your own to make sending again safe. With requires_human it is a question to a person; wait for the answer with GET /events/{id}?wait=50.',
    body: {
      schema: draftSchema,
      parse: parseDraft,
      example: { source_agent: 'HEPHAESTUS', action: 'deploy_started', target: 'dev', details: { version: '1.4.2' } },
    },
    answers: {
      201: { description: 'Stored', schema: receiptSchema },
      200: { description: 'The same event was stored under this id before', schema: receiptSchema },
    },
    faults: ['conflict'],
    async handle({ body }) {
      const published = await store.publish(body);
      if (published.kind === 'id-taken') throw idTaken(body.id ?? '', published.by);
      if (published.kind === 'too-far-ahead') throw tooFarAhead();
      const { receipt } = published;
      return published.kind === 'stored'
        ? { status: 201, body: onTheWire(receipt, store.epoch, body.requires_human), location: at(receipt) }
        : { status: 200, body: { ...onTheWire(receipt, store.epoch, body.requires_human), duplicate: true } };
    },
  });
}

function onTheWire(receipt: Receipt, epoch: string, question: boolean | null | undefined) {
  const answer = {
    id: receipt.id,
    status: 'created',
    subscribed_agents: receipt.subscribedAgents,
    timestamp: receipt.timestamp,
    bookmark: bookmarkOf(epoch, receipt.seq),
  };
  return question ? { ...answer, timeout_at: receipt.timeoutAt } : answer;
}

function at(receipt: Receipt): string {
  return `/events/${encodeURIComponent(receipt.id)}`;
}

function tooFarAhead(): Fault {
  const detail = `is more than ${maxDeliverAheadDays} days ahead`;
  return new Fault('invalid', `The event makes no sense: deliver_at ${detail}.`, {
    mistakes: [{ pointer: '/deliver_at', detail }],
  });
}

function idTaken(id: string, by: string): Fault {
  return new Fault('conflict', `The id ${quoted(id)} already names another event, published by ${quoted(by)}.`, {
    hint: 'Send this event under another id, or without one. Only the very same event may be sent again under its id.',
  });
}
