import { z } from 'zod';
import { maxLeaseSeconds, usualLeaseSeconds } from '../../events/delivery.ts';
import type { Bus } from '../bus.ts';
import { wholeNumber } from '../query.ts';
import { type Route, route } from '../route.ts';
import { watchToken } from '../watch-token.ts';
import { agentOf } from './agent-param.ts';
import { deliveryOnTheWire } from './claim.ts';

const maxInFlight = 100;

/** GET /agents/{agent}/stream: an agent's deliveries as they become ready, each leased to the reader. */
export function streamDeliveries(bus: Bus): Route {
  const { streams } = bus;
  return route({
    method: 'GET',
    path: '/agents/{agent}/stream',
    operationId: 'streamDeliveries',
    tag: 'Agents',
    needs: 'ack',
    summary: 'Take an agent’s deliveries as they become ready, under a lease',
    description:
      'Server-sent events without an end. Each message is a delivery as a claim gives it: acknowledge, extend or give it back with its id and lease before leased_until. The next one comes when fewer than max_in_flight are out. When the stream closes, whatever its reader still holds is ready again at once, and counts as an attempt. The messages have no id: what was not acknowledged comes again by itself. A comment shows every 15 seconds that all is well; a message named goaway says that the bus ends the stream: connect again.',
    params: { agent: 'The agent’s name; case counts' },
    query: z.object({
      lease_seconds: wholeNumber(1, maxLeaseSeconds)
        .default(usualLeaseSeconds)
        .meta({ description: 'How long each delivery is the reader’s; extend what takes longer' }),
      max_in_flight: wholeNumber(1, maxInFlight)
        .default(1)
        .meta({ description: 'How many may be out at once. More than one share the fate of a reader that dies' }),
    }),
    answers: { 200: { description: 'The deliveries, one message each', contentType: 'text/event-stream' } },
    faults: ['queue-full'],
    handle({ params, query, principal }) {
      const agent = agentOf(params.agent as string);
      streams.requireRoom();
      const leaseMs = query.lease_seconds * 1000;
      return {
        stream(outlet) {
          watchToken(bus, principal, outlet);
          streams.deliver(outlet, { agent, leaseMs, maxInFlight: query.max_in_flight, show: deliveryOnTheWire });
        },
      };
    },
  });
}
