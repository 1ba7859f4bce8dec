import { Command } from 'commander';
import { Exit } from '../../base/exit.ts';
import { shellWord } from '../../base/shell-word.ts';
import type { Table } from '../../base/table.ts';
import type { WireDelivery } from '../../events/delivery.ts';
import { command } from './as-typed.ts';
import type { Concluding } from './concluding.ts';
import type { Door } from './door.ts';
import { wholeNumber, wholeOrNone } from './option-values.ts';
import { showTime } from './show-time.ts';

type Options = { max: number; lease?: number; wait: number };

/**
 * leveredge claim — leases what is ready for an agent. `ack --lease` then settles it, `nack` gives it back,
 * and else it is ready again when the lease ends. Exit 0, also when nothing is ready.
 */
export function claim(concludes: Concluding): Command {
  return new Command('claim')
    .description('Take what is ready for an agent, under a lease')
    .argument('<agent>', 'the agent, in upper case by custom: AEGIS')
    .option('-n, --max <n>', 'how many at most, up to 100', wholeNumber, 1)
    .option('--lease <seconds>', 'how long they are yours, up to 3600 (default: 60)', wholeNumber)
    .option('-w, --wait <seconds>', 'how long to wait when nothing is ready, up to 50', wholeOrNone, 0)
    .action(
      concludes(async (door, agent: string, { max, lease, wait }: Options) => {
        const asked = { max, lease_seconds: lease, wait_seconds: wait };
        const claimed = await door.client.claim(agent, asked, door.signal);
        const notes =
          claimed.count === 0 ? [`Nothing is ready for ${agent}.`] : nextSteps(claimed.deliveries, agent, door);
        return { exit: Exit.ok, table: tableOf(claimed.deliveries, door), json: claimed, notes };
      }),
    );
}

/** What settles a delivery, to be pasted where there is only one. */
function nextSteps(deliveries: readonly WireDelivery[], agent: string, door: Door): string[] {
  const [only, another] = deliveries;
  const { id, lease } = only && !another ? only : placeholders;
  const name = shellWord(agent);
  return [
    `Done: ${command(door, `ack ${id} ${name} --lease ${lease}`)}`,
    `Not done: ${command(door, `nack ${name} ${id} ${lease}`)}`,
  ];
}

const placeholders = { id: 'ID', lease: 'LEASE' };

function tableOf(deliveries: readonly WireDelivery[], { terminal, clock }: Door): Table {
  return {
    columns: [
      { head: 'ID' },
      { head: 'LEASE' },
      { head: 'UNTIL' },
      { head: 'TRY', align: 'right' },
      { head: 'EVENT' },
      { head: 'ACTION', least: 12 },
      { head: 'TARGET', least: 6 },
    ],
    rows: deliveries.map(({ id, lease, leased_until, attempt, event }) => [
      id,
      lease,
      terminal.is ? showTime(leased_until, clock()) : leased_until,
      String(attempt),
      event.id,
      event.action,
      event.target ?? '',
    ]),
  };
}
