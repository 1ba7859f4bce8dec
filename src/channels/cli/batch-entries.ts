import { Fault } from '../../base/fault.ts';
import { parseJson, parseJsonElements } from '../../base/json.ts';

/** Characters in one line. An event has at most 256 KiB, so a longer line is none. */
const maxLineLength = 1024 * 1024;
/** Characters of a file that is one JSON list, which is read whole. Lines may be of any number. */
const maxListLength = 64 * 1024 * 1024;

/** One event of a file: where it stands, how long it is, and its value or why it has none. */
export type Entry = { place: string; length: number } & ({ value: unknown } | { refused: Fault });

/**
 * The events of a text: JSON lines (blank ones are passed over) or one JSON list.
 * @throws Fault `usage`, `malformed` for a list that is none
 */
export async function* entriesIn(chunks: AsyncIterable<string>): AsyncGenerator<Entry> {
  let rest = '';
  let number = 0;
  let isList: boolean | undefined;
  for await (const chunk of chunks) {
    rest += chunk;
    if (isList === undefined && rest.trimStart() !== '') isList = rest.trimStart().startsWith('[');
    if (isList) requireFit(rest.length <= maxListLength, 'The list is longer than 64 MiB.');
    else {
      const lines = rest.split('\n');
      rest = lines.pop() as string;
      for (const line of lines) yield* lineEntry(line, ++number);
      requireFit(rest.length <= maxLineLength, `Line ${number + 1} is longer than 1 MiB.`);
    }
  }
  if (isList) yield* listEntries(rest);
  else yield* lineEntry(rest, number + 1);
}

function requireFit(fits: boolean, sentence: string): void {
  if (fits) return;
  throw new Fault('usage', sentence, { hint: 'Give one event a line; each may have 256 KiB.' });
}

function* lineEntry(text: string, number: number): Generator<Entry> {
  if (text.trim() === '') return;
  const entry = { place: `line ${number}`, length: text.length };
  try {
    yield { ...entry, value: parseJson(text) };
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    yield { ...entry, refused: error };
  }
}

function* listEntries(text: string): Generator<Entry> {
  const list = parseJsonElements(text) as unknown[];
  for (const [i, value] of list.entries()) {
    const place = `event ${i + 1}`;
    if (value instanceof Fault) yield { place, length: 0, refused: value };
    else yield { place, length: JSON.stringify(value).length, value };
  }
}
