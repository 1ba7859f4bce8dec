import { Command } from 'commander';
import { Exit } from '../../base/exit.ts';
import { Fault } from '../../base/fault.ts';
import { printable } from '../../base/log.ts';
import type { PendingQuestion } from '../../events/event.ts';
import type { Concluding } from './concluding.ts';
import type { Conclusion } from './conclusion.ts';
import { wrap } from './display-width.ts';
import type { Door } from './door.ts';
import { linesOf } from './line-breaks.ts';
import { wholeNumber } from './option-values.ts';
import { shortIds } from './short-id.ts';
import { showDeadline } from './show-time.ts';
import type { Table } from './table.ts';

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
  return questions.flatMap((q, i) => {
    const about = q.target ? ` about ${q.target}` : '';
    const options = q.human_options?.map((option) => JSON.stringify(option)).join(' | ');
    const free = q.free_text || !options ? 'any text' : '';
    const fallback = q.human_fallback === null ? 'no fallback' : `then ${JSON.stringify(q.human_fallback)}`;
    const due = q.timeout_at === null ? 'never times out' : `due ${showDeadline(q.timeout_at, clock())}, ${fallback}`;
    const by = q.answerers ? ` by ${q.answerers.join(', ')}` : '';
    const below = (text: string) => wrap(printable(text), terminal.columns - 2).map((line) => `  ${line}`);
    return [
      ...(i > 0 ? [''] : []),
      `${short.get(q.id)}  ${q.source_agent} asks${about}`,
      ...asked(q.human_question ?? '(no question text)', terminal.columns),
      ...below(`Answer: ${[options, free].filter(Boolean).join(' | ')}${by}`),
      ...below(`(${q.action}, ${due})`),
    ];
  });
}

/** The question with its own line breaks. All lines after the first stand deeper, so that none passes for one of ours. */
function asked(question: string, columns: number): string[] {
  return linesOf(question)
    .flatMap((line) => wrap(printable(line), columns - 4))
    .map((line, i) => `${i === 0 ? '  ' : '    '}${line}`);
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
