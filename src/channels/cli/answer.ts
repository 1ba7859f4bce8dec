import { Command } from 'commander';
import { Exit } from '../../base/exit.ts';
import { Fault } from '../../base/fault.ts';
import { findQuestion } from '../../client/find-event.ts';
import type { Resolution } from '../../events/answer.ts';
import type { Concluding } from './concluding.ts';

type Options = { as?: string; reason?: string };

/** leveredge answer — answers a question. Exit 0 it counts, 6 somebody else was first (and it says who), 5 no such one. */
export function answer(concludes: Concluding): Command {
  return new Command('answer')
    .description('Answer a question')
    .argument('<id>', 'the question, by its id or the beginning of it')
    .argument('<response>', 'the answer, word for word as an option has it')
    .option('--as <name>', 'who answers (default: whose token it is, else your user name)')
    .option('--reason <text>', 'why, for who reads it later')
    .action(
      concludes(async ({ client, user, hasToken }, idOrPrefix: string, response: string, options: Options) => {
        const { id, payload_hash } = await findQuestion(client, idOrPrefix);
        const responder = options.as ?? (hasToken ? undefined : user);
        const receipt = await client
          .respond(id, { response, responder, via: 'cli', payload_hash, reason: options.reason })
          .catch((error) => Promise.reject(error instanceof Fault ? withWinner(error) : error));
        return {
          exit: Exit.ok,
          lines: [`${id} is answered: ${receipt.response}`],
          json: { id, ...receipt },
        };
      }),
    );
}

/** The loser of a race learns who won, with what, when and where. */
export function withWinner(error: Fault): Fault {
  if (error.code !== 'already-resolved') return error;
  const winner = error.extra.resolution as Resolution | undefined;
  if (!winner) return error;
  return new Fault('already-resolved', `This question is decided already: ${describeResolution(winner)}.`, {
    hint: 'What counts is the first answer. To ask again, publish a new question.',
    extra: error.extra,
  });
}

function describeResolution({ state, response, responded_by, responded_via, resolved_at }: Resolution): string {
  if (state === 'cancelled') return `cancelled by ${responded_by ?? 'its asker'} at ${resolved_at}`;
  if (state === 'timed_out')
    return response === null
      ? `timed out at ${resolved_at} without an answer`
      : `timed out at ${resolved_at}, and the fallback ${JSON.stringify(response)} was taken`;
  return `${responded_by} answered ${JSON.stringify(response)} via ${responded_via} at ${resolved_at}`;
}
