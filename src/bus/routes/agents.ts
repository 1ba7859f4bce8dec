import { z } from 'zod';
import { rfc3339 } from '../../base/clock.ts';
import { callQueueOf } from '../../events/capability.ts';
import { agentSchema, type WireAgent } from '../../events/heartbeat.ts';
import type { Bus } from '../bus.ts';
import { after, agentCursorOf, isAgentAfter } from '../paging.ts';
import { limit } from '../query.ts';
import { type Route, route } from '../route.ts';
import type { KeptHeartbeat, Owed } from '../store/heartbeats.ts';
import { warningsSchema } from './warnings.ts';

const listSchema = z
  .object({
    agents: z.array(agentSchema),
    count: z.int().min(0),
    next: z.string().nullable().meta({ description: 'Give it as after for the following page; null at the end' }),
    warnings: warningsSchema,
  })
  .meta({ id: 'AgentList' });

/** GET /agents: who is there, who is lost, and what waits for each. */
export function listAgents({ store, heartbeats }: Bus): Route {
  return route({
    method: 'GET',
    path: '/agents',
    operationId: 'listAgents',
    tag: 'Agents',
    needs: 'read',
    summary: 'List the agents: alive, lost, stopped or never heard of',
    description: 'Every agent that ever sent a heartbeat or has a subscription, by name.',
    query: z.object({ limit: limit(100), after }),
    answers: { 200: { description: 'The agents', schema: listSchema } },
    async handle({ query }) {
      const kept = heartbeats?.all() ?? (await store.heartbeats());
      const byName = new Map(kept.map((each) => [each.agent, each]));
      const subscribed = (await store.subscriptions({ deleted: false })).map(({ agent_name }) => agent_name);
      const known = new Set([...byName.keys(), ...subscribed]);
      const names = withoutCallQueues(known).filter(isAgentAfter(query.after)).sort();
      const page = names.slice(0, query.limit);
      const owed = await store.owedTo(page);
      const agents = page.map((agent, at) => onTheWire(agent, byName.get(agent), owed[at] as Owed));
      const last = page.at(-1);
      const next = last !== undefined && names.length > page.length ? agentCursorOf(last) : null;
      return { status: 200, body: { agents, count: agents.length, next } };
    },
  });
}

/** The queue that an agent's calls come from is no agent of its own. */
function withoutCallQueues(known: ReadonlySet<string>): string[] {
  const queues = new Set([...known].map(callQueueOf));
  return [...known].filter((name) => !queues.has(name));
}

function onTheWire(agent: string, kept: KeptHeartbeat | undefined, deliveries: Owed): WireAgent {
  return {
    agent,
    state: kept?.state ?? 'never_heard_of',
    last_heartbeat_at: kept ? rfc3339(kept.at) : null,
    every_seconds: kept?.everySeconds ?? null,
    says: kept?.says ?? null,
    deliveries,
  };
}
