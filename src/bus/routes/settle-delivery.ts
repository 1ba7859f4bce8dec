import { z } from 'zod';
import { Fault } from '../../base/fault.ts';
import { deathReasons, extendSchema, type LostTo, leaseSchema, nackSchema } from '../../events/delivery.ts';
import type { Bus } from '../bus.ts';
import { quoted } from '../refusals.ts';
import { bodyOf, type Route, route } from '../route.ts';
import type { LeaseLost, UnknownDelivery } from '../store/deliveries.ts';
import { agentOf } from './agent-param.ts';
import { warningsSchema } from './warnings.ts';

const time = z.string().meta({ format: 'date-time' });
const params = { agent: 'The agent’s name; case counts', id: 'The delivery’s id, as the claim gave it' };
const faults = ['not-found', 'lease-lost'] as const;
const which = { agent: z.string(), id: z.string(), warnings: warningsSchema };

const ackedSchema = z
  .object({
    status: z.literal('acknowledged'),
    ...which,
    acknowledged_at: time.meta({ description: 'The first time' }),
  })
  .meta({ id: 'DeliveryAcknowledged' });

/** POST /agents/{agent}/deliveries/{id}:ack: done, under this lease. Safe to repeat. */
export function ackDelivery({ store }: Bus): Route {
  return route({
    method: 'POST',
    path: '/agents/{agent}/deliveries/{id}:ack',
    operationId: 'ackDelivery',
    tag: 'Deliveries',
    needs: 'ack',
    summary: 'Acknowledge a delivery',
    description:
      'Only the current lease counts, and only before it ends; else 409 lease-lost, and somebody else may be at work on it. Safe to repeat with the same lease.',
    params,
    body: bodyOf(leaseSchema, 'The acknowledgement', { lease: '90210' }),
    answers: { 200: { description: 'It is settled', schema: ackedSchema } },
    faults,
    async handle(ask) {
      const [agent, id] = [agentOf(ask.params.agent as string), ask.params.id as string];
      const outcome = await store.ack(agent, id, ask.body.lease);
      if (outcome.kind !== 'acknowledged') throw refused(outcome, agent, id);
      return { status: 200, body: { status: 'acknowledged', agent, id, acknowledged_at: outcome.at } };
    },
  });
}

const nackedSchema = z
  .object({
    status: z.enum(['ready', 'deferred', 'dead']),
    ...which,
    ready_at: time.nullable().meta({ description: 'From when on it is ready again, when it is deferred' }),
    reason: z.enum(deathReasons).nullable().meta({ description: 'Why it is dead, when it is' }),
  })
  .meta({ id: 'Nacked' });

/** POST /agents/{agent}/deliveries/{id}:nack: not done; later, at once, or never again. */
export function nackDelivery({ store }: Bus): Route {
  return route({
    method: 'POST',
    path: '/agents/{agent}/deliveries/{id}:nack',
    operationId: 'nackDelivery',
    tag: 'Deliveries',
    needs: 'ack',
    summary: 'Give a delivery back',
    description:
      'It is ready again after delay_seconds, or after a pause that doubles with each attempt, from a second to five minutes. After too many attempts, or with dead, it becomes a dead letter. A repeat answers 409 lease-lost: it was given back.',
    params,
    body: bodyOf(nackSchema, 'The nack', { lease: '90210', delay_seconds: 30, reason: 'no such host' }),
    answers: { 200: { description: 'What becomes of it', schema: nackedSchema } },
    faults,
    async handle(ask) {
      const [agent, id] = [agentOf(ask.params.agent as string), ask.params.id as string];
      const { lease, delay_seconds, reason, dead } = ask.body;
      const delayMs = delay_seconds == null ? null : Math.round(delay_seconds * 1000);
      const nack = { delayMs, reason: reason ?? null, dead: dead === true };
      const outcome = await store.nack(agent, id, lease, nack);
      if (outcome.kind === 'unknown' || outcome.kind === 'lease-lost') throw refused(outcome, agent, id);
      const ready_at = outcome.kind === 'deferred' ? outcome.until : null;
      const why = outcome.kind === 'dead' ? outcome.reason : null;
      return { status: 200, body: { status: outcome.kind, agent, id, ready_at, reason: why } };
    },
  });
}

const extendedSchema = z
  .object({ status: z.literal('extended'), ...which, leased_until: time })
  .meta({ id: 'Extended' });

/** POST /agents/{agent}/deliveries/{id}:extend: it takes longer. Safe to repeat. */
export function extendDelivery({ store }: Bus): Route {
  return route({
    method: 'POST',
    path: '/agents/{agent}/deliveries/{id}:extend',
    operationId: 'extendDelivery',
    tag: 'Deliveries',
    needs: 'ack',
    summary: 'Keep a delivery for longer',
    description: 'The lease then ends lease_seconds from now. Only the current lease counts, and only before it ends.',
    params,
    body: bodyOf(extendSchema, 'The extension', { lease: '90210', lease_seconds: 60 }),
    answers: { 200: { description: 'It is yours until then', schema: extendedSchema } },
    faults,
    async handle(ask) {
      const [agent, id] = [agentOf(ask.params.agent as string), ask.params.id as string];
      const outcome = await store.extend(agent, id, ask.body.lease, ask.body.lease_seconds * 1000);
      if (outcome.kind !== 'extended') throw refused(outcome, agent, id);
      return { status: 200, body: { status: 'extended', agent, id, leased_until: outcome.leasedUntil } };
    },
  });
}

const nowItIs: Record<LostTo, string> = {
  acknowledged: 'it was acknowledged, but not under this lease',
  leased: 'another lease holds it now',
  expired: 'the time of this lease is over',
  ready: 'it is ready again for anybody to claim',
  deferred: 'it was given back, and is ready again later',
  dead: 'it is a dead letter',
  gone: 'it is owed no more: it expired or was discarded',
};

/** Why this caller may not settle the delivery. */
function refused(outcome: LeaseLost | UnknownDelivery, agent: string, id: string): Fault {
  if (outcome.kind === 'unknown')
    return new Fault('not-found', `${quoted(agent)} has no delivery ${quoted(id)}.`, {
      hint: 'Ids of deliveries come from POST /agents/{agent}/deliveries:claim, and belong to that agent. Retention may have taken its event since.',
    });
  return new Fault('lease-lost', `You do not hold the delivery ${quoted(id)}: ${nowItIs[outcome.to]}.`, {
    hint: 'Nothing was changed. Claim again; where the work was done already, the id of the event tells. Extend leases that are too short.',
    extra: { state: outcome.to },
  });
}
