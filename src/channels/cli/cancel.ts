import { Command } from 'commander';
import { Exit } from '../../base/exit.ts';
import { withWinner } from './answer.ts';
import type { Concluding } from './concluding.ts';
import { findQuestion } from './find-event.ts';

type Options = { as: string; reason?: string };

/** leveredge cancel — takes a question back, which only its asker may. Exit 0 cancelled, 3 not the asker, 6 decided. */
export function cancel(concludes: Concluding): Command {
  return new Command('cancel')
    .description('Take a question back')
    .argument('<id>', 'the question, by its id or the beginning of it')
    .requiredOption('--as <asker>', 'who asked: the source of the question')
    .option('--reason <text>', 'why')
    .action(
      concludes(async ({ client }, idOrPrefix: string, { as, reason }: Options) => {
        const { id } = await findQuestion(client, idOrPrefix);
        const receipt = await client
          .cancel(id, { cancelled_by: as, reason, via: 'cli' })
          .catch((error) => Promise.reject(withWinner(error)));
        return { exit: Exit.ok, lines: [`${id} is cancelled`], json: { id, ...receipt } };
      }),
    );
}
