import { z } from 'zod';
import { Fault } from '../../base/fault.ts';
import { heartbeatSchema, lostAfterSeconds, saysOf } from '../../events/heartbeat.ts';
import type { Bus } from '../bus.ts';
import { bodyOf, type Route, route } from '../route.ts';
import { agentOf } from './agent-param.ts';
import { warningsSchema } from './warnings.ts';

const notedSchema = z
  .object({
    status: z.literal('noted'),
    agent: z.string(),
    state: z.enum(['alive', 'stopped']),
    lost_after_seconds: z
      .int()
      .nullable()
      .meta({ description: 'The silence after which it is lost; null when it said goodbye' }),
    warnings: warningsSchema,
  })
  .meta({ id: 'HeartbeatNoted' });

/** POST /agents/{agent}/heartbeat: this agent is there, and what it does. */
export function heartbeat({ heartbeats, clock }: Bus): Route {
  return route({
    method: 'POST',
    path: '/agents/{agent}/heartbeat',
    operationId: 'heartbeat',
    tag: 'Agents',
    needs: 'ack',
    summary: 'Say that an agent is alive, or that it ends',
    description:
      'No event: the bus remembers the last one. An agent that is silent for three times every_seconds, and at least 15 s, is lost: the bus publishes agent_lost once, and agent_back once when it is heard again. With stopped it says goodbye, and its silence is no loss. Each heartbeat replaces what the one before said.',
    params: { agent: 'The agent’s name; case counts' },
    body: bodyOf(heartbeatSchema, 'The heartbeat', {
      every_seconds: 10,
      version: '1.4.0',
      working_on: null,
      handled: 12,
    }),
    answers: { 200: { description: 'Noted', schema: notedSchema } },
    faults: ['conflict'],
    async handle({ params, body }) {
      if (!heartbeats)
        throw new Fault('unavailable', 'The log is only read here.', { hint: 'Start the bus: leveredge bus' });
      const { every_seconds: everySeconds = null, stopped, ...said } = body;
      const agent = agentOf(params.agent as string);
      const state = stopped ? 'stopped' : 'alive';
      await heartbeats.beat({ agent, state, everySeconds, at: clock(), says: saysOf(said) });
      const lost_after_seconds = stopped || everySeconds === null ? null : lostAfterSeconds(everySeconds);
      return { status: 200, body: { status: 'noted', agent, state, lost_after_seconds } };
    },
  });
}
