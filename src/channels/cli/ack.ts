import { Command } from 'commander';
import { Exit } from '../../base/exit.ts';
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
        const { id } = await findEvent(client, idOrPrefix);
        const receipt = await client.acknowledge(id, agent);
        return { exit: Exit.ok, lines: [`${id} is acknowledged by ${agent}`], json: { id, ...receipt } };
      }),
    );
}
