import { Command } from 'commander';
import { Exit } from '../../base/exit.ts';
import { nearest } from '../../events/parse.ts';
import type { Concluding } from './concluding.ts';
import { findEvent } from './find-event.ts';

/** leveredge ack — an agent has taken note of an event. Safe to repeat. Exit 0 noted, 5 no such event. */
export function ack(concludes: Concluding): Command {
  return new Command('ack')
    .description('Acknowledge an event for an agent')
    .argument('<id>', 'the event, by its id or the beginning of it')
    .argument('<agent>', 'the agent that has taken note')
    .action(
      concludes(async ({ client }, idOrPrefix: string, agent: string) => {
        const { id, subscribed_agents } = await findEvent(client, idOrPrefix);
        const receipt = await client.acknowledge(id, agent);
        return {
          exit: Exit.ok,
          lines: [`${id} is acknowledged by ${agent}`],
          json: { id, ...receipt },
          notes: subscribed_agents.includes(agent) ? [] : [owedNothing(agent, subscribed_agents)],
        };
      }),
    );
}

/** Noted all the same, because the bus takes it; but most likely a name was mistyped. */
function owedNothing(agent: string, hearers: readonly string[]): string {
  const guess = nearest(agent, hearers);
  const heard = hearers.length > 0 ? `it was heard by ${hearers.join(', ')}` : 'nobody heard it';
  return `${agent} was owed nothing by this event: ${heard}.${guess ? ` Did you mean ${guess}?` : ''}`;
}
