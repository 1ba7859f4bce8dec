import { z } from 'zod';
import { Fault } from '../../base/fault.ts';
import { name } from '../../events/name.ts';
import type { Principal } from '../../events/principal.ts';
import { isAdmin } from '../../events/scope.ts';
import {
  type NewSubscription,
  newSubscriptionSchema,
  type Subscription,
  subscriptionChangeSchema,
  subscriptionSchema,
} from '../../events/subscription.ts';
import type { Bus } from '../bus.ts';
import { after, isAfter, subscriptionCursorOf } from '../paging.ts';
import { isOwn } from '../permission.ts';
import { flag, limit } from '../query.ts';
import { noSuchSubscription, quoted } from '../refusals.ts';
import { bodyOf, type Route, route } from '../route.ts';
import { warningsSchema } from './warnings.ts';

const listSchema = z
  .object({
    subscriptions: z.array(subscriptionSchema),
    count: z.int().min(0),
    next: z.string().nullable().meta({ description: 'Give it as after for the following page; null at the end' }),
    warnings: warningsSchema,
  })
  .meta({ id: 'SubscriptionList' });
const oneSchema = subscriptionSchema.extend({ warnings: warningsSchema });

/** GET /subscriptions: who hears what. */
export function listSubscriptions({ store }: Bus): Route {
  return route({
    method: 'GET',
    path: '/subscriptions',
    operationId: 'listSubscriptions',
    tag: 'Subscriptions',
    needs: 'read',
    summary: 'List the subscriptions',
    query: z.object({
      agent: name.optional().meta({ description: 'Only those of this agent' }),
      agent_name: name.optional().meta({ description: 'The same, as the field is called' }),
      deleted: flag('Also the deleted ones'),
      limit: limit(1000),
      after,
    }),
    answers: { 200: { description: 'The subscriptions', schema: listSchema } },
    async handle({ query: { agent, agent_name, deleted, limit, after } }) {
      if (agent !== undefined && agent_name !== undefined && agent !== agent_name) throw twoAgents();
      const all = await store.subscriptions({ agent: agent ?? agent_name, deleted });
      const rest = all.filter(isAfter(after));
      const subscriptions = rest.slice(0, limit);
      const last = subscriptions.at(-1);
      const next = last !== undefined && rest.length > limit ? subscriptionCursorOf(last) : null;
      return { status: 200, body: { subscriptions, count: subscriptions.length, next } };
    },
  });
}

function twoAgents(): Fault {
  return new Fault('invalid', 'The query makes no sense: agent and agent_name name two agents.', {
    mistakes: [{ pointer: 'agent_name', detail: 'is another than agent; give one of them' }],
  });
}

/** GET /subscriptions/{id}: one of them, also a deleted one. */
export function getSubscription({ store }: Bus): Route {
  return route({
    method: 'GET',
    path: '/subscriptions/{id}',
    operationId: 'getSubscription',
    tag: 'Subscriptions',
    needs: 'read',
    summary: 'Read a subscription',
    description: 'Also a deleted one; deleted_at tells.',
    params: { id: 'The subscription’s id' },
    answers: { 200: { description: 'The subscription', schema: oneSchema } },
    faults: ['not-found'],
    handle: ({ params }) =>
      answerWith(params.id as string, async (id) =>
        (await store.subscriptions({ deleted: true })).find((subscription) => subscription.id === id),
      ),
  });
}

/** POST /subscriptions: an agent hears a pattern from now on. */
export function addSubscription({ store }: Bus): Route {
  return route({
    method: 'POST',
    path: '/subscriptions',
    operationId: 'addSubscription',
    tag: 'Subscriptions',
    needs: 'ack',
    summary: 'Let an agent hear a pattern',
    description:
      'From now on; what was published before is not delivered afterwards. An agent that announces its own list sets only_if_new: then what exists, or was deleted by the operator, stays as it is. A token with ack:self may do just that, for itself; all else needs admin.',
    body: bodyOf(newSubscriptionSchema, 'The subscription', {
      agent_name: 'AEGIS',
      action_pattern: 'credential_*',
      priority: 1,
    }),
    answers: {
      201: { description: 'Added', schema: oneSchema },
      200: { description: 'It was there, perhaps deleted, and stays as it is (only_if_new)', schema: oneSchema },
    },
    faults: ['conflict'],
    async handle({ body, principal }) {
      requireOwnList(principal, body);
      const added = await store.addSubscription(body, body.only_if_new ? 'agent' : 'operator');
      if (added.kind === 'added')
        return { status: 201, body: added.subscription, location: `/subscriptions/${added.subscription.id}` };
      if (!body.only_if_new) throw exists(added.subscription);
      return { status: 200, body: added.subscription };
    },
  });
}

/** PATCH /subscriptions/{id}: changes only what is named. */
export function changeSubscription({ store }: Bus): Route {
  const changeable = Object.keys(subscriptionChangeSchema.shape);
  return route({
    method: 'PATCH',
    path: '/subscriptions/{id}',
    operationId: 'changeSubscription',
    tag: 'Subscriptions',
    needs: 'admin',
    summary: 'Change a subscription',
    description: 'Only what is named changes. For another pattern delete it and add one.',
    params: { id: 'The subscription’s id' },
    body: bodyOf(subscriptionChangeSchema, 'The change', { enabled: false }),
    answers: { 200: { description: 'The subscription as it is now', schema: oneSchema } },
    faults: ['not-found'],
    async handle({ params, body }) {
      if (Object.keys(body).length === 0)
        throw new Fault('invalid', `The change names nothing that can change: ${changeable.join(', ')}.`, {
          hint: 'For another agent or pattern delete the subscription and add one.',
        });
      return answerWith(params.id as string, (id) => store.changeSubscription(id, body));
    },
  });
}

/** DELETE /subscriptions/{id}: leaves a tombstone, so that no default brings it back. Safe to repeat. */
export function deleteSubscription({ store }: Bus): Route {
  return route({
    method: 'DELETE',
    path: '/subscriptions/{id}',
    operationId: 'deleteSubscription',
    tag: 'Subscriptions',
    needs: 'admin',
    summary: 'Delete a subscription',
    description: 'It stays deleted: neither a restart nor an agent’s own list brings it back. Safe to repeat.',
    params: { id: 'The subscription’s id' },
    answers: { 200: { description: 'The subscription, with the time of its deletion', schema: oneSchema } },
    faults: ['not-found'],
    handle: ({ params }) => answerWith(params.id as string, (id) => store.deleteSubscription(id)),
  });
}

/** What others hear, and what an operator decided about an agent, is not the agent's to change. */
function requireOwnList(principal: Principal, wanted: NewSubscription): void {
  if (principal.kind === 'anonymous' || isAdmin(principal)) return;
  if (isOwn(principal, wanted.agent_name) && wanted.only_if_new) return;
  throw new Fault('forbidden', `The token of ${quoted(principal.name)} may only add to its own list.`, {
    hint: `Give ${quoted(principal.name)} as agent_name and set only_if_new; all else needs a token with the scope admin.`,
    extra: { needs: 'admin' },
  });
}

async function answerWith(id: string, act: (id: string) => Promise<Subscription | undefined>) {
  const subscription = /^[\x21-\x7e]{1,200}$/.test(id) ? await act(id) : undefined;
  if (subscription === undefined) throw noSuchSubscription(id);
  return { status: 200, body: subscription };
}

function exists(subscription: Subscription): Fault {
  const { agent_name: agent, action_pattern: pattern, id } = subscription;
  return new Fault('conflict', `${quoted(agent)} has a subscription to ${quoted(pattern)} already.`, {
    hint: `Change it with PATCH /subscriptions/${id}.`,
    extra: { subscription },
  });
}
