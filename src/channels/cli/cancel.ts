import { Command } from 'commander';
import { Exit } from '../../base/exit.ts';
import { Fault } from '../../base/fault.ts';
import { shellWord } from '../../base/shell-word.ts';
import { findQuestion } from '../../client/find-event.ts';
import { withWinner } from './answer.ts';
import type { Concluding } from './concluding.ts';

type Options = { as?: string; reason?: string };

/** leveredge cancel — takes a question back, which only its asker may. Exit 0 cancelled, 3 not the asker, 6 decided. */
export function cancel(concludes: Concluding): Command {
  return new Command('cancel')
    .description('Take a question back')
    .argument('<id>', 'the question, by its id or the beginning of it')
    .option('--as <asker>', 'who asked: the source of the question (default: whose token it is, else your user name)')
    .option('--reason <text>', 'why')
    .action(
      concludes(async ({ client, user, hasToken }, idOrPrefix: string, { as, reason }: Options) => {
        const { id, source_agent: asker, requires_human } = await findQuestion(client, idOrPrefix);
        if (as === undefined && !hasToken && user !== asker && requires_human) throw notYours(id, asker);
        const receipt = await client
          .cancel(id, { cancelled_by: as ?? (hasToken ? undefined : user), reason, via: 'cli' })
          .catch((error) => Promise.reject(withWinner(error)));
        return { exit: Exit.ok, lines: [`${id} is cancelled`], json: { id, ...receipt } };
      }),
    );
}

function notYours(id: string, asker: string): Fault {
  return new Fault('usage', `${asker} asked this, and only who asked takes a question back.`, {
    hint: `As ${asker}: leveredge cancel ${shellWord(id)} --as ${shellWord(asker)}`,
  });
}
