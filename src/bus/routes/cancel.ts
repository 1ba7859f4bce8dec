import { z } from 'zod';
import { Fault } from '../../base/fault.ts';
import { cancelSchema, resolutionSchema } from '../../events/answer.ts';
import { isAdmin } from '../../events/scope.ts';
import type { Bus } from '../bus.ts';
import { actingName } from '../permission.ts';
import { alreadyResolved, asksNothing, noSuchEvent, quoted } from '../refusals.ts';
import { bodyOf, type Route, route } from '../route.ts';
import { warningsSchema } from './warnings.ts';

const cancelledSchema = z
  .object({ status: z.literal('cancelled'), resolution: resolutionSchema, warnings: warningsSchema })
  .meta({ id: 'Cancelled' });

/** POST /events/{id}:cancel: the asker takes its question back. */
export function cancel({ store }: Bus): Route {
  return route({
    method: 'POST',
    path: '/events/{id}:cancel',
    operationId: 'cancel',
    tag: 'Questions',
    needs: 'ask',
    summary: 'Take a question back',
    description:
      'Only the agent that asked may, and an admin. The event’s status becomes failed, and nobody can answer it any more.',
    params: { id: 'The id of the event that asks' },
    body: bodyOf(cancelSchema, 'The cancellation', { cancelled_by: 'HEPHAESTUS', reason: 'the deploy was withdrawn' }),
    answers: { 200: { description: 'The question is closed', schema: cancelledSchema } },
    faults: ['asks-nothing', 'not-found', 'already-resolved'],
    async handle({ params, body, principal }) {
      const id = params.id as string;
      const by = actingName(principal, body.cancelled_by, 'cancelled_by');
      if (by === undefined) throw nobody();
      const { via, reason } = body;
      const outcome = await store.cancel(id, by, via ?? 'http', reason ?? null, isAdmin(principal));
      switch (outcome.kind) {
        case 'unknown':
          throw noSuchEvent(id);
        case 'asks-nothing':
          throw asksNothing(id);
        case 'already-resolved':
          throw alreadyResolved(outcome.resolution);
        case 'not-the-asker':
          throw new Fault(
            'forbidden',
            `${quoted(by)} cannot take this question back; ${quoted(outcome.asker)} asked it.`,
            { hint: 'Answer it instead, or let the asker cancel it.' },
          );
        case 'cancelled':
          return { status: 200, body: { status: 'cancelled', resolution: outcome.resolution } };
      }
    },
  });
}

function nobody(): Fault {
  return new Fault('invalid', 'The cancellation makes no sense: /cancelled_by is missing.', {
    mistakes: [{ pointer: '/cancelled_by', detail: 'is missing' }],
  });
}
