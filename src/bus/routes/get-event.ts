import { z } from 'zod';
import { cloudEventOf, cloudEventSchema, cloudEventType } from '../../events/cloud-event.ts';
import { type Event, eventSchema } from '../../events/event.ts';
import type { Bus } from '../bus.ts';
import { asksFor } from '../cloud-event-answer.ts';
import { requireStillGood } from '../gate.ts';
import { wholeNumber } from '../query.ts';
import { noSuchEvent } from '../refusals.ts';
import { type Ask, type Route, route } from '../route.ts';
import { warningsSchema } from './warnings.ts';

/** Under the minute after which many proxies give up. */
const maxWaitSeconds = 50;

/** GET /events/{id}: one event; with `wait`, an open question is answered when it ends or when the time is over. */
export function getEvent(bus: Bus): Route {
  return route({
    method: 'GET',
    path: '/events/{id}',
    operationId: 'getEvent',
    tag: 'Events',
    needs: 'read',
    summary: 'Read one event, or wait for the answer to a question',
    description:
      'With wait, an open question is held until it is answered, cancelled or out of time, at most this many seconds; then the event is returned as it is. Ask again to wait longer, also after a crash. With Accept: application/cloudevents+json it is a CloudEvent 1.0.',
    params: { id: 'The event’s id' },
    query: z.object({
      wait: wholeNumber(0, maxWaitSeconds).default(0).meta({ description: 'Seconds to wait for a question to end' }),
    }),
    answers: {
      200: {
        description: 'The event',
        schema: eventSchema.extend({ warnings: warningsSchema }),
        also: { [cloudEventType]: cloudEventSchema },
      },
    },
    faults: ['not-found', 'queue-full'],
    async handle(ask) {
      const id = ask.params.id as string;
      const event = await readOrWait(bus, id, ask);
      if (event === undefined) throw noSuchEvent(id);
      if (asksFor(cloudEventType, ask.headers.accept))
        return { status: 200, body: cloudEventOf(event), mediaType: cloudEventType };
      return { status: 200, body: event };
    },
  });
}

async function readOrWait(
  { store, waiters, clock }: Bus,
  id: string,
  { query, principal, gone, left }: Ask<{ wait: number }, undefined>,
): Promise<Event | undefined> {
  const event = await store.event(id);
  if (query.wait === 0 || event?.human_state !== 'open') return event;
  const waiting = waiters.listen(id, left);
  try {
    const still = await store.event(id);
    if (still?.human_state !== 'open') return still;
    await waiting.ended(query.wait * 1000, gone());
  } finally {
    waiting.stop();
  }
  await requireStillGood({ store, clock }, principal);
  return store.event(id);
}
