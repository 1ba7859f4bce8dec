import type { JsonObject } from '../../base/json.ts';
import type { Client } from '../../client/client.ts';
import { type Agent, done } from '../agent.ts';
import { lineOf } from './event-line.ts';
import { routeOf } from './route.ts';
import { traceOf } from './trace.ts';

/** What ATLAS asks the bus. */
export type AtlasBus = Pick<Client, 'health' | 'events' | 'event' | 'pending' | 'agents' | 'capabilities'>;

const longestMs = 60_000;
/** Among so many events the latest failures are looked for. */
const lookedThrough = 200;
const maxFailures = 10;

/** ATLAS knows how the whole is doing: what happened, what waits for a person, and what followed from what. */
export function atlas(bus: AtlasBus): Agent {
  return {
    name: 'ATLAS',
    port: 8007,
    hears: {},
    longestMs,
    react: async () => done(),
    offers: {
      'atlas.status': { run: () => statusOf(bus) },
      'atlas.agents': { run: () => agentsOf(bus) },
      'atlas.pending': { run: ({ limit }) => pendingOf(bus, limit as number) },
      'atlas.events': { run: (args) => eventsOf(bus, args) },
      'atlas.route': { run: async ({ sentence }) => routeOf(sentence as string) },
      'atlas.trace': { run: ({ event }, { signal }) => traceOf(bus, event as string, signal) },
    },
  };
}

async function statusOf(bus: AtlasBus): Promise<JsonObject> {
  const [health, { events }] = await Promise.all([bus.health(), bus.events({ limit: lookedThrough })]);
  const { status, version, uptime_seconds = 0, head = 0 } = health;
  const { open_questions = 0, open_deliveries = 0, dead_letters = 0 } = health;
  const failures = events.filter(({ action }) => action.endsWith('_failed')).slice(0, maxFailures);
  return {
    ...{ status, version, uptime_seconds, events: head, open_questions, open_deliveries, dead_letters },
    failures: failures.map(lineOf),
  };
}

async function agentsOf(bus: AtlasBus): Promise<JsonObject> {
  const [agents, { capabilities }] = await Promise.all([bus.agents(), bus.capabilities()]);
  return {
    agents: agents.map(({ agent, state, last_heartbeat_at, deliveries: { ready, dead } }) => ({
      ...{ agent, state, last_heartbeat_at, waiting: ready, dead_letters: dead },
      offers: capabilities.filter((each) => each.agent === agent).map(({ name }) => name),
    })),
  };
}

async function pendingOf(bus: AtlasBus, limit: number): Promise<JsonObject> {
  const { pending } = await bus.pending({ limit });
  return {
    pending: pending.map((each) => ({
      id: each.id,
      asked_by: each.source_agent,
      question: each.human_question ?? '',
      options: each.human_options ?? [],
      timeout_at: each.timeout_at,
      fallback: each.human_fallback,
      is_approval: each.payload_hash !== null,
    })),
  };
}

async function eventsOf(bus: AtlasBus, { limit, action, source }: JsonObject): Promise<JsonObject> {
  const { events } = await bus.events({
    limit: limit as number,
    action: action as string | undefined,
    source_agent: source as string | undefined,
  });
  return { events: events.map(lineOf) };
}
