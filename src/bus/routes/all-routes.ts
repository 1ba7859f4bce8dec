import type { Bus } from '../bus.ts';
import { makeKeysInUse } from '../idempotency.ts';
import type { Route } from '../route.ts';
import { acknowledge } from './acknowledge.ts';
import { listAgents } from './agents.ts';
import { callSecretRoutes } from './call-secrets.ts';
import { cancel } from './cancel.ts';
import { capabilityRoutes } from './capabilities.ts';
import { listCheckpoints, makeCheckpoint } from './checkpoints.ts';
import { claim } from './claim.ts';
import { discardDeadLetter, listDeadLetters, redriveAll, redriveOne } from './dead-letters.ts';
import { documentation } from './documentation.ts';
import { explain } from './explain.ts';
import { getEvent } from './get-event.ts';
import { health } from './health.ts';
import { heartbeat } from './heartbeat.ts';
import { inbox } from './inbox.ts';
import { listEvents } from './list-events.ts';
import { metrics } from './metrics.ts';
import { pending } from './pending.ts';
import { publish } from './publish.ts';
import { publishBatch } from './publish-batch.ts';
import { respond } from './respond.ts';
import { planRetention, runRetention } from './retention.ts';
import { ackDelivery, extendDelivery, nackDelivery } from './settle-delivery.ts';
import { shown } from './shown.ts';
import { streamDeliveries } from './stream-deliveries.ts';
import { streamEvents } from './stream-events.ts';
import {
  addSubscription,
  changeSubscription,
  deleteSubscription,
  getSubscription,
  listSubscriptions,
} from './subscriptions.ts';

/** Every call the bus answers, in the order of its description. */
export function allRoutes(bus: Bus): Route[] {
  const keys = makeKeysInUse();
  const calls = [
    publish(bus, keys),
    listEvents(bus),
    publishBatch(bus, keys),
    streamEvents(bus),
    getEvent(bus),
    pending(bus),
    respond(bus),
    cancel(bus),
    shown(bus),
    listAgents(bus),
    heartbeat(bus),
    inbox(bus),
    streamDeliveries(bus),
    acknowledge(bus),
    claim(bus),
    ackDelivery(bus),
    nackDelivery(bus),
    extendDelivery(bus),
    listDeadLetters(bus),
    redriveOne(bus),
    redriveAll(bus),
    discardDeadLetter(bus),
    listSubscriptions(bus),
    addSubscription(bus),
    getSubscription(bus),
    changeSubscription(bus),
    deleteSubscription(bus),
    explain(bus),
    ...capabilityRoutes(bus),
    ...callSecretRoutes(bus),
    makeCheckpoint(bus),
    listCheckpoints(bus),
    planRetention(bus),
    runRetention(bus),
    health(bus),
    metrics(bus),
  ];
  return [...calls, ...documentation(calls, bus)];
}
