import { z } from 'zod';
import type { Bus } from '../bus.ts';
import { type Route, route } from '../route.ts';
import { warningsSchema } from './warnings.ts';

const count = z.int().min(0);

const healthSchema = z
  .object({
    status: z.literal('healthy'),
    service: z.literal('event-bus'),
    port: z.int(),
    version: z.string(),
    epoch: z.string().optional().meta({ description: 'The log’s life; changes when it is restored from a backup' }),
    head: count.optional().meta({ description: 'Events published so far' }),
    open_questions: count.optional(),
    open_deliveries: count.optional().meta({ description: 'Deliveries that are ready, leased or put off' }),
    dead_letters: count.optional().meta({ description: 'Deliveries that were given up until a person looks' }),
    database_bytes: count.optional(),
    uptime_seconds: count.optional(),
    warnings: warningsSchema,
  })
  .meta({ id: 'Health' });

/** GET /health: alive, and able to read its database. */
export function health(bus: Bus): Route {
  return route({
    method: 'GET',
    path: '/health',
    operationId: 'health',
    tag: 'The bus',
    needs: null,
    summary: 'Tell whether the bus is alive',
    description: 'Where tokens are required, who has none learns no more than status, service, port and version.',
    answers: { 200: { description: 'Alive, and the database can be read', schema: healthSchema } },
    async handle({ principal }) {
      const { head, openQuestions, openDeliveries, deadLetters, bytes } = await bus.store.stats();
      const alive = { status: 'healthy', service: 'event-bus', port: bus.address().port, version: bus.version };
      if (bus.auth === 'required' && principal.kind === 'anonymous') return { status: 200, body: alive };
      return {
        status: 200,
        body: {
          ...alive,
          epoch: bus.store.epoch,
          head,
          open_questions: openQuestions,
          open_deliveries: openDeliveries,
          dead_letters: deadLetters,
          database_bytes: bytes,
          uptime_seconds: Math.max(0, Math.floor((bus.clock() - bus.startedAt) / 1000)),
        },
      };
    },
  });
}
