import { Command } from 'commander';
import { Exit } from '../../base/exit.ts';
import type { Table } from '../../base/table.ts';
import { maxCountedDeliveries, type WireAgent } from '../../events/heartbeat.ts';
import type { Concluding } from './concluding.ts';
import type { Door } from './door.ts';
import { showDuration, showTime } from './show-time.ts';

/** leveredge agents — which agents are there, which are lost, and what waits for each. */
export function agents(concludes: Concluding): Command {
  return new Command('agents')
    .description('Show which agents are alive, lost or stopped')
    .addHelpText(
      'after',
      '\nWAITING is what is ready for it; it grows where nobody claims, or too slowly.\nLost is who was silent for three heartbeats, and for 15 seconds at least.',
    )
    .action(
      concludes(async (door) => {
        const found = await door.client.agents();
        return {
          exit: Exit.ok,
          table: tableOf(found, door),
          json: { agents: found, count: found.length },
          notes: found.length === 0 ? ['No agent was ever heard of, and none has a subscription.'] : [],
        };
      }),
    );
}

function tableOf(found: readonly WireAgent[], { terminal, clock }: Door): Table {
  return {
    columns: [
      { head: 'AGENT', least: 8 },
      { head: 'STATE' },
      { head: 'LAST SEEN' },
      { head: 'WAITING', align: 'right' },
      { head: 'WORKING ON', least: 8 },
    ],
    rows: found.map(({ agent, state, last_heartbeat_at: seen, deliveries: { ready }, says }) => [
      agent,
      state.replaceAll('_', ' '),
      seen === null || !terminal.is ? (seen ?? '') : showSeen(seen, clock()),
      `${ready}${ready >= maxCountedDeliveries ? '+' : ''}`,
      // What it worked on before it ended is not being worked on.
      state === 'stopped' ? '' : (says?.working_on ?? ''),
    ]),
  };
}

/** `4 s ago` for a moment, else the time. */
function showSeen(seen: string, nowMs: number): string {
  const ago = nowMs - Date.parse(seen);
  return ago >= 0 && ago < 3_600_000 ? `${showDuration(ago)} ago` : showTime(seen, nowMs);
}
