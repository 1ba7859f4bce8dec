import { z } from 'zod';
import { Fault } from '../../base/fault.ts';
import type { Bus } from '../bus.ts';
import type { Retention } from '../retention-loop.ts';
import { type Route, route } from '../route.ts';
import { warningsSchema } from './warnings.ts';

const count = z.int().min(0);

const planSchema = z
  .object({
    rules: z.array(
      z.object({
        actions: z.string().meta({ description: 'The pattern; the first rule that matches an action counts' }),
        max_age_days: z.number().nullable(),
        max_count: z.number().nullable(),
        due: count.meta({ description: 'Events that a run would purge now' }),
        kept_open_questions: count.meta({ description: 'Due, but still open, or what an open question follows from' }),
        kept_owed_at_priority_1: count.meta({ description: 'Due, but a hearer at priority 1 has not acknowledged' }),
      }),
    ),
    warnings: warningsSchema,
  })
  .meta({ id: 'RetentionPlan' });

/** GET /retention: what a run would purge now, and what keeps the rest. Purges nothing. */
export function planRetention({ retention }: Bus): Route {
  return route({
    method: 'GET',
    path: '/retention',
    operationId: 'planRetention',
    tag: 'Audit',
    needs: 'read',
    summary: 'Tell what retention would purge now',
    description: 'Purges nothing. Without rules in the settings everything is kept for ever.',
    answers: { 200: { description: 'For each rule what it would take and leave', schema: planSchema } },
    faults: ['unavailable'],
    async handle() {
      const rules = (await of(retention).plan()).map((rule) => ({
        actions: rule.actions,
        max_age_days: rule.maxAgeDays,
        max_count: rule.maxCount,
        due: rule.due,
        kept_open_questions: rule.open_questions,
        kept_owed_at_priority_1: rule.owed_at_priority_1,
      }));
      return { status: 200, body: { rules } };
    },
  });
}

const runSchema = z
  .object({
    status: z.enum(['done', 'running']).meta({ description: 'A long run goes on after the answer' }),
    purged: count,
    by_action: z.record(z.string(), count),
    dropped_deliveries: z.record(z.string(), count).meta({ description: 'What went unacknowledged, by agent' }),
    warnings: warningsSchema,
  })
  .meta({ id: 'RetentionRun' });

/** A run may take minutes at the first time; the caller is answered before the network gives up. */
const maxWaitMs = 20_000;

/** POST /retention:run: purges now what the rules no longer keep. */
export function runRetention({ retention }: Bus): Route {
  return route({
    method: 'POST',
    path: '/retention:run',
    operationId: 'runRetention',
    tag: 'Audit',
    needs: 'admin',
    summary: 'Purge now what the rules no longer keep',
    description:
      'The bus does so by itself at its start and every ten minutes. What goes is announced as events_purged.',
    answers: { 200: { description: 'What was purged', schema: runSchema } },
    faults: ['unavailable'],
    async handle() {
      const running = of(retention);
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, maxWaitMs);
      });
      const run = await Promise.race([running.run(), late]);
      clearTimeout(timer);
      return { status: 200, body: { status: run ? 'done' : 'running', ...(run ?? running.soFar()) } };
    },
  });
}

function of(retention: Bus['retention']): Omit<Retention, 'stop'> {
  if (!retention)
    throw new Fault('unavailable', 'The log is only read here.', { hint: 'Start the bus: leveredge bus' });
  return retention;
}
