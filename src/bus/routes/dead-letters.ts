import { z } from 'zod';
import { Fault } from '../../base/fault.ts';
import { deadLetterSchema, type WireDeadLetter } from '../../events/delivery.ts';
import { name } from '../../events/name.ts';
import type { Bus } from '../bus.ts';
import { after, deadLetterCursorOf, deadLetterPlaceOf, pageMayBeShort } from '../paging.ts';
import { limit } from '../query.ts';
import { quoted } from '../refusals.ts';
import { bodyOf, type Route, route } from '../route.ts';
import type { DeadLetter } from '../store/deliveries.ts';
import { agentOf } from './agent-param.ts';
import { warningsSchema } from './warnings.ts';

const params = { agent: 'Whose delivery it is; case counts', id: 'The delivery’s id' };

const pageSchema = z
  .object({
    dead_letters: z.array(deadLetterSchema),
    count: z.int().min(0),
    next: z.string().nullable().meta({ description: 'Give it as after for the following page; null at the end' }),
    warnings: warningsSchema,
  })
  .meta({ id: 'DeadLettersPage' });

/** GET /dead-letters: what was given up, and why, newest first. */
export function listDeadLetters({ store }: Bus): Route {
  return route({
    method: 'GET',
    path: '/dead-letters',
    operationId: 'listDeadLetters',
    tag: 'Deliveries',
    needs: 'read',
    summary: 'List the dead letters, newest first',
    description: pageMayBeShort,
    query: z.object({
      agent: name.optional().meta({ description: 'Only those of this agent' }),
      limit: limit(50),
      after,
    }),
    answers: { 200: { description: 'A page of dead letters', schema: pageSchema } },
    faults: ['cursor-invalid'],
    async handle({ query }) {
      const { deadLetters, next } = await store.deadLetters(
        { agent: query.agent },
        { limit: query.limit, after: deadLetterPlaceOf(query.after, store.epoch) },
      );
      return {
        status: 200,
        body: {
          dead_letters: deadLetters.map(onTheWire),
          count: deadLetters.length,
          next: next === null ? null : deadLetterCursorOf(next, store.epoch),
        },
      };
    },
  });
}

const which = { agent: z.string(), id: z.string(), warnings: warningsSchema };
const redrivenSchema = z.object({ status: z.literal('ready'), ...which }).meta({ id: 'Redriven' });

/** POST /dead-letters/{agent}/{id}:redrive: ready again, as if never tried. */
export function redriveOne({ store }: Bus): Route {
  return route({
    method: 'POST',
    path: '/dead-letters/{agent}/{id}:redrive',
    operationId: 'redrive',
    tag: 'Deliveries',
    needs: 'admin',
    summary: 'Deliver a dead letter again',
    description: 'It is ready again as if never tried. Its event is pending again when it has no other dead letter.',
    params,
    answers: { 200: { description: 'It is ready again', schema: redrivenSchema } },
    faults: ['not-found'],
    async handle(ask) {
      const [agent, id] = [agentOf(ask.params.agent as string), ask.params.id as string];
      const outcome = await store.redrive(agent, id);
      if (outcome.kind === 'unknown') throw noDeadLetter(agent, id);
      return { status: 200, body: { status: 'ready', agent, id } };
    },
  });
}

const redriveAllSchema = z
  .object({ agent: name.nullish().meta({ description: 'Only those of this agent' }) })
  .meta({ id: 'RedriveAll' });
const allRedrivenSchema = z
  .object({ redriven: z.int().min(0).meta({ description: 'How many are ready again' }), warnings: warningsSchema })
  .meta({ id: 'AllRedriven' });

/** POST /dead-letters:redrive: all that died before now, or all of one agent. */
export function redriveAll({ store }: Bus): Route {
  return route({
    method: 'POST',
    path: '/dead-letters:redrive',
    operationId: 'redriveAll',
    tag: 'Deliveries',
    needs: 'admin',
    summary: 'Deliver all dead letters again',
    description: 'All there are, or all of one agent. Needs no body.',
    body: { ...bodyOf(redriveAllSchema, 'The redrive', { agent: 'HADES' }), isOptional: true },
    answers: { 200: { description: 'They are ready again', schema: allRedrivenSchema } },
    async handle({ body }) {
      const redriven = await store.redriveAll({ agent: body.agent ?? undefined });
      return { status: 200, body: { redriven } };
    },
  });
}

const discardedSchema = z.object({ status: z.literal('discarded'), ...which }).meta({ id: 'Discarded' });

/** DELETE /dead-letters/{agent}/{id}: never to be delivered. */
export function discardDeadLetter({ store }: Bus): Route {
  return route({
    method: 'DELETE',
    path: '/dead-letters/{agent}/{id}',
    operationId: 'discardDeadLetter',
    tag: 'Deliveries',
    needs: 'admin',
    summary: 'Drop a dead letter',
    description: 'It is never delivered. Nobody has acknowledged it, and its event stays failed.',
    params,
    answers: { 200: { description: 'It is gone', schema: discardedSchema } },
    faults: ['not-found'],
    async handle(ask) {
      const [agent, id] = [agentOf(ask.params.agent as string), ask.params.id as string];
      const outcome = await store.discard(agent, id);
      if (outcome.kind === 'unknown') throw noDeadLetter(agent, id);
      return { status: 200, body: { status: 'discarded', agent, id } };
    },
  });
}

function onTheWire({ diedAt, ...rest }: DeadLetter): WireDeadLetter {
  return { ...rest, died_at: diedAt };
}

function noDeadLetter(agent: string, id: string): Fault {
  return new Fault('not-found', `${quoted(agent)} has no dead letter ${quoted(id)}.`, {
    hint: 'GET /dead-letters lists them with their ids. It may have been redriven, discarded or acknowledged.',
  });
}
