import { z } from 'zod';
import type { Bus } from '../bus.ts';
import type { CallSecrets } from '../call-secrets.ts';
import { bodyOf, type Route, route } from '../route.ts';
import { secretly } from '../secret-body.ts';
import { resultKeptMs } from '../secrets.ts';
import { warningsSchema } from './warnings.ts';

const value = z.string().meta({ format: 'password' });
const values = z.record(z.string(), value);

const openedSchema = z
  .object({
    arguments: values.meta({ description: 'For the agent of the capability, until the call is over' }),
    result: values.meta({ description: `For whoever called, ${resultKeptMs / 60_000} minutes long` }),
    warnings: warningsSchema,
  })
  .meta({ id: 'CallSecrets', description: 'What the events of a call have placeholders for' });

const givenSchema = z
  .object({ result: z.record(z.string(), z.string('must be a string')) })
  .meta({ id: 'ResultSecrets', description: 'The secrets of a result, by the member that each stands in' });

const params = { id: 'The id of the call' };

/** GET and POST /calls/{id}/secrets. */
export function callSecretRoutes({ callSecrets }: Bus): Route[] {
  return callSecrets === undefined ? [] : [read(callSecrets), keep(callSecrets)];
}

function read(secrets: CallSecrets): Route {
  return route({
    method: 'GET',
    path: '/calls/{id}/secrets',
    operationId: 'getCallSecrets',
    tag: 'Capabilities',
    needs: 'read',
    summary: 'Read what is secret of a call',
    description:
      'Always with a token: the agent of the capability reads the secret arguments until the call is over, whoever called the secret members of the result for some minutes. Nobody else reads either, also no admin.',
    params,
    answers: { 200: { description: 'The values', schema: openedSchema } },
    faults: ['not-found', 'conflict'],
    handle: async ({ params: { id }, principal }) => ({
      status: 200,
      body: await secrets.read(id as string, principal),
    }),
  });
}

function keep(secrets: CallSecrets): Route {
  return route({
    method: 'POST',
    path: '/calls/{id}/secrets',
    operationId: 'keepCallSecrets',
    tag: 'Capabilities',
    needs: 'ack',
    summary: 'Hand over what is secret of a result',
    description:
      'By the agent whose capability it is, before it says what came of the call: what it says has the placeholders of the answer in place of the values. Safe to repeat.',
    params,
    body: secretly(bodyOf(givenSchema, 'The result', { result: { value: 'correct horse battery staple' } }), []),
    answers: {
      200: {
        description: 'The placeholders',
        schema: z.object({ result: z.record(z.string(), z.string()), warnings: warningsSchema }),
      },
    },
    faults: ['not-found', 'conflict', 'invalid'],
    handle: async ({ params: { id }, body, principal }) => ({
      status: 200,
      body: { result: await secrets.keepResult(id as string, body.result, principal) },
    }),
  });
}
