import assert from 'node:assert/strict';
import { z } from 'zod';
import { isFaultCode } from '../../base/exit.ts';
import { Fault } from '../../base/fault.ts';
import type { JsonObject } from '../../base/json.ts';
import { type Asker, type Call, type Capability, callStates, ownerOf, risks } from '../../events/capability.ts';
import { name as nameSchema } from '../../events/name.ts';
import type { Principal } from '../../events/principal.ts';
import { mayCall } from '../../events/scope.ts';
import { secretMembers } from '../../events/secret.ts';
import type { Bus } from '../bus.ts';
import { requireToken } from '../call-secrets.ts';
import { keyHeader } from '../idempotency.ts';
import { type OwnCall, ownCallsOf, ownWorkOf } from '../own-calls.ts';
import { requireMayCall, requireOwn } from '../permission.ts';
import { wholeNumber } from '../query.ts';
import { bodyOf, type Route, route } from '../route.ts';
import { secretly } from '../secret-body.ts';
import { warningsSchema } from './warnings.ts';

/** Under the minute after which many proxies give up. */
const maxWaitSeconds = 50;
const usualWaitSeconds = 10;

const time = z.string().meta({ format: 'date-time' });
const object = z.custom<JsonObject>().meta({ type: 'object' });

const callSchema = z
  .object({
    id: z.string().meta({ description: 'The event that is the call' }),
    capability: z.string(),
    status: z.enum(callStates).meta({
      description:
        'running also while its agent has not taken it; pending_approval until a person decides; refused after a no, or when nobody answered',
    }),
    arguments: object,
    asked_by: z.object({ kind: z.string(), name: z.string().nullable() }),
    via: z.string(),
    asked_at: time,
    approval: z
      .object({
        id: z.string().meta({ description: 'The question; answer it with POST /events/{id}/respond' }),
        question: z.string(),
        payload_hash: z.string(),
        timeout_at: time.nullable(),
        response: z.string().nullable(),
        responded_by: z.string().nullable(),
        responded_via: z.string().nullable(),
      })
      .nullable(),
    result: object.nullable(),
    error: z.object({ code: z.string(), message: z.string(), hint: z.string().optional() }).nullable(),
    took_ms: z.number().nullable(),
    warnings: warningsSchema,
  })
  .meta({ id: 'Call', description: 'A call of a capability and what came of it' });

const listedSchema = z.object({
  capabilities: z.array(
    z.object({
      name: z.string(),
      agent: z.string(),
      summary: z.string(),
      risk: z.enum(risks),
      input: object.meta({ description: 'JSON Schema of the arguments' }),
      output: object.meta({ description: 'JSON Schema of the result' }),
    }),
  ),
  warnings: warningsSchema,
});

/** GET /capabilities, POST /capabilities/{name} for each, GET /calls/{id} and POST /calls/{id}:ask. */
export function capabilityRoutes(bus: Bus): Route[] {
  const own = ownCallsOf(bus.store, bus);
  const work = ownWorkOf(bus.store);
  const ofCalls = bus.calls.capabilities.map((each) => callRoute(bus, each, own[each.name], work));
  return [listCapabilities(bus), ...ofCalls, getCall(bus), ask(bus)];
}

function listCapabilities({ calls }: Bus): Route {
  return route({
    method: 'GET',
    path: '/capabilities',
    operationId: 'listCapabilities',
    tag: 'Capabilities',
    needs: 'read',
    summary: 'What the agents can do for this caller',
    description: 'Only what the token may call. Each is a call of its own, POST /capabilities/{name}.',
    answers: { 200: { description: 'Those that may be called', schema: listedSchema } },
    handle: ({ principal }) => ({
      status: 200,
      body: {
        capabilities: calls.capabilities.filter((each) => mayCall(principal, each)).map(listed),
      },
    }),
  });
}

function listed({ name, summary, risk, input, output }: Capability) {
  const [takes, gives] = [input, output].map((schema) => z.toJSONSchema(schema, { io: 'input' }));
  return { name, agent: ownerOf(name), summary, risk, input: takes, output: gives };
}

const wait = (usual: number) =>
  wholeNumber(0, maxWaitSeconds).default(usual).meta({ description: 'Seconds to wait for its end' });

function callRoute(
  { calls }: Bus,
  capability: Capability,
  own: OwnCall | undefined,
  work: ReturnType<typeof ownWorkOf>,
): Route {
  const { name, summary, risk, input, output, example } = capability;
  const isDestructive = risk === 'destructive';
  assert.equal(own !== undefined, capability.doneBy === 'bus', `who does ${name}`);
  const taken = secretMembers(input);
  const hasSecrets = taken.length > 0 || secretMembers(output).length > 0;
  const how = isDestructive
    ? 'Destructive: its agent prepares it, a person is asked, and it is done once after a yes. Answered with 202 and pending_approval as soon as the question is there.'
    : 'Answered with 200 and the result, or with 202 when it takes longer than wait.';
  const kept = hasSecrets
    ? ' What is secret of it stands in no event and no answer but that of GET /calls/{id}/secrets; it always needs a token.'
    : '';
  return route({
    method: 'POST',
    path: `/capabilities/${name}`,
    operationId: name.replace('.', '_'),
    tag: 'Capabilities',
    needs: 'read',
    summary,
    description: `${how} The call is an event with who asked, and so is what came of it; GET /calls/{id} reads both.${kept} What its agent refuses is answered as a problem.`,
    headers: { [keyHeaderShown]: callKeyHelp },
    query: z.object({
      wait: wait(usualWaitSeconds),
      via: nameSchema.default('http').meta({ description: 'The channel that it comes through' }),
      cause: z.string().optional().meta({ description: 'Id of the event that the call follows from' }),
    }),
    body: {
      ...(hasSecrets ? secretly(bodyOf(input, 'The call', example), taken) : bodyOf(input, 'The call', example)),
      isOptional: true,
    },
    answers: {
      200: { description: 'Done', schema: callSchema },
      202: { description: 'Waits for a person, or still goes on', schema: callSchema },
    },
    faults: ['not-found', 'conflict', 'queue-full', 'unavailable'],
    async handle({ body, query, headers, principal, gone }) {
      requireMayCall(principal, capability);
      if (hasSecrets) requireToken(principal);
      const key = headers[keyHeader];
      const from = {
        askedBy: askerOf(principal),
        via: query.via,
        cause: query.cause,
        key: typeof key === 'string' ? key : undefined,
      };
      const prepared = await own?.prepare(body as JsonObject, principal);
      const args = prepared?.args ?? (body as JsonObject);
      const id = await calls.begin(capability, args, { ...from, cause: from.cause ?? prepared?.about });
      if (own !== undefined) await work(capability, id, () => own.run(args, query.via, principal)).catch(withCall(id));
      // It is begun, so whoever called must be told which it is.
      const waitMs = calls.isFull ? 0 : query.wait * 1000;
      const call = await calls.after(['running'], id, waitMs, gone());
      if (call.error !== null) throw faultOf(call);
      return { status: call.status === 'done' ? 200 : 202, body: call, location: `/calls/${encodeURIComponent(id)}` };
    },
  });
}

const keyHeaderShown = 'Idempotency-Key';
const callKeyHelp =
  'A name of your own for this call. Asking for just the same with it is the same call, for as long as the bus keeps it; another call with it is refused.';

function getCall({ calls }: Bus): Route {
  return route({
    method: 'GET',
    path: '/calls/{id}',
    operationId: 'getCall',
    tag: 'Capabilities',
    needs: 'read',
    summary: 'Read a call, or wait for its end',
    params: { id: 'The id of the call' },
    query: z.object({ wait: wait(0) }),
    answers: { 200: { description: 'The call', schema: callSchema } },
    faults: ['not-found', 'queue-full'],
    handle: async ({ params, query, gone }) => ({
      status: 200,
      body: await calls.after(['running', 'pending_approval'], params.id as string, query.wait * 1000, gone()),
    }),
  });
}

const preparedSchema = z
  .object({
    arguments: object.meta({ description: 'What exactly would be done; the approval is bound to it' }),
    says: z.array(z.string()).meta({ description: 'Sentences for the person who decides' }),
  })
  .meta({ id: 'Prepared' });

function ask({ calls }: Bus): Route {
  return route({
    method: 'POST',
    path: '/calls/{id}:ask',
    operationId: 'askForCall',
    tag: 'Capabilities',
    needs: 'ack',
    summary: 'Ask a person whether a destructive call may be done',
    description: 'By the agent whose capability it is, when it has prepared the call. The bus asks, and only once.',
    params: { id: 'The id of the call' },
    body: bodyOf(preparedSchema, 'What was prepared', {
      arguments: { target: 'dev', backup: 'dev-2026-11-29-031500.tar.zst' },
      says: ['Replaces 2 files of 355 B with those of 3 hours ago.'],
    }),
    answers: { 200: { description: 'The call, with its question', schema: callSchema } },
    faults: ['not-found', 'asks-nothing', 'invalid', 'conflict'],
    async handle({ params, body, principal }) {
      const id = params.id as string;
      const { capability } = await calls.call(id);
      requireOwn(principal, ownerOf(capability));
      return { status: 200, body: await calls.ask(id, body.arguments, body.says) };
    },
  });
}

function askerOf(principal: Principal): Asker {
  if (principal.kind === 'anonymous') return { kind: 'anonymous', name: null };
  return { kind: principal.kind, name: principal.name };
}

function withCall(id: string) {
  return (error: unknown): never => {
    if (!(error instanceof Fault)) throw error;
    const { code, message, hint, mistakes, extra, cause } = error;
    throw new Fault(code, message, { hint, mistakes, cause, extra: { call: id, ...extra } });
  };
}

/** What the agent refused, as if the bus had. */
function faultOf({ id, error }: Call): Fault {
  const { code, message, hint } = error as NonNullable<Call['error']>;
  return new Fault(isFaultCode(code) ? code : 'internal', message, { hint, extra: { call: id } });
}
