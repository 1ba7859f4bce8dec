import { Command } from 'commander';
import { Exit } from '../../base/exit.ts';
import type { NackReceipt } from '../../client/deliveries.ts';
import type { Concluding } from './concluding.ts';
import { seconds } from './option-values.ts';

type Options = { delay?: number; reason?: string; dead?: boolean };

/** leveredge nack — gives a claimed delivery back. Exit 0 given back, 5 no such delivery, 6 the lease is lost. */
export function nack(concludes: Concluding): Command {
  return new Command('nack')
    .description('Give a claimed delivery back')
    .argument('<agent>', 'the agent that claimed it')
    .argument('<id>', 'the delivery, as claim named it')
    .argument('<lease>', 'the lease, as claim named it')
    .option('--delay <seconds>', 'when to try again (default: later with each try)', seconds)
    .option('--reason <text>', 'why, for whoever reads the dead letter')
    .option('--dead', 'do not try it again')
    .action(
      concludes(async ({ client }, agent: string, id: string, lease: string, { delay, reason, dead }: Options) => {
        const receipt = await client.nackDelivery({ agent, id, lease }, { delay_seconds: delay, reason, dead });
        return { exit: Exit.ok, lines: [`${id} of ${agent} ${whatBecomesOf(receipt)}`], json: receipt };
      }),
    );
}

function whatBecomesOf({ status, ready_at }: NackReceipt): string {
  if (status === 'deferred') return `is ready again at ${ready_at}`;
  return status === 'dead' ? 'is a dead letter' : 'is ready again';
}
