import { Command } from 'commander';
import { Exit } from '../../base/exit.ts';
import { Fault } from '../../base/fault.ts';
import { nearest } from '../../base/nearest.ts';
import type { Client } from '../../client/client.ts';
import type { Held } from '../../client/deliveries.ts';
import { findEvent } from '../../client/find-event.ts';
import type { Concluding } from './concluding.ts';
import type { Conclusion } from './conclusion.ts';

/**
 * leveredge ack — an agent has taken note of an event, whoever holds its delivery; with --lease only while this lease
 * holds. Safe to repeat. Exit 0 noted, 5 no such event or delivery, 6 the lease is lost.
 */
export function ack(concludes: Concluding): Command {
  return new Command('ack')
    .description('Acknowledge an event for an agent')
    .argument('<id>', 'the event, by its id or the beginning of it; with --lease the delivery, as claim named it')
    .argument('<agent>', 'the agent that has taken note')
    .option('--lease <lease>', 'the lease, as claim named it: refused when somebody else has it by now')
    .action(
      concludes(async ({ client }, idOrPrefix: string, agent: string, { lease }: { lease?: string }) => {
        if (lease !== undefined) return underLease(client, { agent, id: idOrPrefix, lease });
        const event = await findEvent(client, idOrPrefix).catch(unlessUnreadable);
        const id = event?.id ?? idOrPrefix;
        const receipt = await client.acknowledge(id, agent);
        return {
          exit: Exit.ok,
          lines: [`${id} is acknowledged by ${agent}`],
          json: { id, ...receipt },
          notes: event && !event.subscribed_agents.includes(agent) ? [owedNothing(agent, event.subscribed_agents)] : [],
        };
      }),
    );
}

async function underLease(client: Client, held: Held): Promise<Conclusion> {
  const receipt = await client.ackDelivery(held);
  return { exit: Exit.ok, lines: [`${held.id} is acknowledged by ${held.agent}`], json: receipt };
}

/** An agent's own token may acknowledge without reading events; then the id must be whole. */
function unlessUnreadable(error: unknown): undefined {
  if (!(error instanceof Fault) || error.code !== 'forbidden') throw error;
}

/** Noted all the same, because the bus takes it; but most likely a name was mistyped. */
function owedNothing(agent: string, hearers: readonly string[]): string {
  const guess = nearest(agent, hearers);
  const heard = hearers.length > 0 ? `it was heard by ${hearers.join(', ')}` : 'nobody heard it';
  return `${agent} was owed nothing by this event: ${heard}.${guess ? ` Did you mean ${guess}?` : ''}`;
}
