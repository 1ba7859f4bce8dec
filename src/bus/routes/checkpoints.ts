import { z } from 'zod';
import { Fault } from '../../base/fault.ts';
import type { Bus } from '../bus.ts';
import { limit } from '../query.ts';
import { type Route, route } from '../route.ts';
import { checkpointSchema, toWire } from '../store/signed-checkpoint.ts';
import { warningsSchema } from './warnings.ts';

/** POST /audit/checkpoint: signs what the chain is now. Made where nothing is new, it answers the newest there is. */
export function makeCheckpoint({ checkpointer }: Bus): Route {
  return route({
    method: 'POST',
    path: '/audit/checkpoint',
    operationId: 'makeCheckpoint',
    tag: 'Audit',
    needs: 'admin',
    summary: 'Sign what the audit chain is now',
    description:
      'Keep the answer elsewhere: it finds later what a changed database alone could not show. Safe to repeat.',
    answers: {
      200: { description: 'The newest checkpoint', schema: checkpointSchema.extend({ warnings: warningsSchema }) },
    },
    faults: ['not-found', 'unavailable'],
    async handle() {
      if (!checkpointer) throw new Fault('unavailable', 'The log is only read here.');
      const made = await checkpointer.make();
      if (made === null)
        throw new Fault('not-found', 'There is no event yet, and so nothing to sign.', { hint: 'Publish one first.' });
      return { status: 200, body: toWire(made) };
    },
  });
}

const pageSchema = z
  .object({
    checkpoints: z.array(checkpointSchema),
    count: z.int().min(0),
    next: z.int().nullable().meta({ description: 'Give it as after for the following page; null at the end' }),
    warnings: warningsSchema,
  })
  .meta({ id: 'Checkpoints' });

const after = z.coerce
  .number('must be the next of the page before')
  .int('must be the next of the page before')
  .min(0, 'must be the next of the page before')
  .default(0)
  .meta({ description: 'Only those of later events: the next of the page before' });

/** GET /audit/checkpoints: the signed checkpoints, oldest first. */
export function listCheckpoints({ store }: Bus): Route {
  return route({
    method: 'GET',
    path: '/audit/checkpoints',
    operationId: 'listCheckpoints',
    tag: 'Audit',
    needs: 'read',
    summary: 'List the signed checkpoints, oldest first',
    query: z.object({ limit: limit(100), after }),
    answers: { 200: { description: 'A page of checkpoints', schema: pageSchema } },
    async handle({ query }) {
      const found = await store.checkpoints(query.after, query.limit + 1);
      const checkpoints = found.slice(0, query.limit).map(toWire);
      const next = found.length > query.limit ? (checkpoints.at(-1)?.seq ?? null) : null;
      return { status: 200, body: { checkpoints, count: checkpoints.length, next } };
    },
  });
}
