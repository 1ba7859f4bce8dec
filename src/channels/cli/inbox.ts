import { Command } from 'commander';
import { Exit } from '../../base/exit.ts';
import { nearest } from '../../base/nearest.ts';
import type { Client } from '../../client/client.ts';
import type { Concluding } from './concluding.ts';
import { eventTable } from './event-table.ts';
import { wholeNumber } from './option-values.ts';

type Options = { unacknowledged?: boolean; limit: number; before?: string };

/** leveredge inbox — what an agent has heard, newest first. */
export function inbox(concludes: Concluding): Command {
  return new Command('inbox')
    .description('Show what an agent has heard, newest first')
    .argument('<agent>', 'the agent, in upper case by custom: AEGIS')
    .option('-u, --unacknowledged', 'only what it has not acknowledged')
    .option('-n, --limit <n>', 'how many at most, up to 1000', wholeNumber, 20)
    .option('--before <bookmark>', 'only older ones than this bookmark')
    .action(
      concludes(async (door, agent: string, { unacknowledged, limit, before }: Options) => {
        const page = await door.client.inbox(agent, { limit, before, unacknowledged_only: unacknowledged });
        const notes = page.events.length === 0 ? await emptyBecause(door.client, agent) : [];
        if (page.next !== null) notes.push(`There are older ones: add --before ${page.next}`);
        return { exit: Exit.ok, table: eventTable(page.events, door), json: page, notes };
      }),
    );
}

/** An empty inbox may be the inbox of a name that nothing was ever delivered to. */
async function emptyBecause(client: Client, agent: string): Promise<string[]> {
  const known = [...new Set((await client.subscriptions()).map(({ agent_name }) => agent_name))];
  if (known.includes(agent)) return [`Nothing in the inbox of ${agent}.`];
  const guess = nearest(agent, known);
  return [
    `Nothing in the inbox of ${agent}, and no subscription names that agent.`,
    guess ? `Did you mean ${guess}?` : 'See who hears what: leveredge subscriptions',
  ];
}
