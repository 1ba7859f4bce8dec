import { Command } from 'commander';
import { Exit } from '../../base/exit.ts';
import { Fault } from '../../base/fault.ts';
import type { Table } from '../../base/table.ts';
import type { PendingQuestion } from '../../events/event.ts';
import type { Concluding } from './concluding.ts';
import type { Conclusion } from './conclusion.ts';
import { describeQuestion } from './describe-question.ts';
import type { Door } from './door.ts';
import { wholeNumber } from './option-values.ts';
import { shortIds } from './short-id.ts';

type Options = { limit: number; after?: string };

/** leveredge pending — the questions that wait for a person, soonest deadline first. */
export function pending(concludes: Concluding): Command {
  return new Command('pending')
    .description('Show the questions that wait for a person')
    .option('-n, --limit <n>', 'how many at most, up to 1000', wholeNumber, 100)
    .option('--after <place>', 'go on after this place')
    .action(
      concludes(async (door, { limit, after }: Options) => {
        const page = await door.client.pending({ limit, after });
        const notes = page.count === 0 ? ['No question is open.'] : [];
        if (page.next) notes.push(`There are more: add --after ${page.next}`);
        const onTerminal = door.terminal.is && !door.json;
        if (onTerminal) await noteShown(door, page.pending);
        const shown: Pick<Conclusion, 'lines' | 'table'> = onTerminal
          ? { lines: describe(page.pending, door) }
          : { table: rows(page.pending) };
        return { exit: Exit.ok, ...shown, json: page, notes };
      }),
    );
}

/** For a pipe: id, deadline, who asks, question, options as JSON. */
function rows(questions: readonly PendingQuestion[]): Table {
  return {
    columns: ['ID', 'DEADLINE', 'SOURCE', 'QUESTION', 'OPTIONS'].map((head) => ({ head })),
    rows: questions.map((q) => [
      q.id,
      q.timeout_at ?? 'never',
      q.source_agent,
      q.human_question ?? q.action,
      q.human_options ? JSON.stringify(q.human_options) : '',
    ]),
  };
}

/** For a person: a question is a sentence, so it gets lines of its own instead of a cell. */
function describe(questions: readonly PendingQuestion[], { terminal, clock }: Door): string[] {
  const short = shortIds(questions.map(({ id }) => id));
  return questions.flatMap((question, i) => [
    ...(i > 0 ? [''] : []),
    ...describeQuestion(question, short.get(question.id) ?? question.id, terminal.columns, clock()),
  ]);
}

/** A person has seen them now. That is only a note: a failure must not hide the questions. */
async function noteShown({ client }: Door, questions: readonly PendingQuestion[]): Promise<void> {
  for (const { id, human_notified } of questions)
    if (!human_notified)
      try {
        await client.shown(id, 'cli');
      } catch (error) {
        if (!(error instanceof Fault)) throw error;
      }
}
