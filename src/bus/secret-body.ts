import { Fault } from '../base/fault.ts';
import { describe, parseJson } from '../base/json.ts';
import type { Parsed } from '../events/parse.ts';
import { textOf } from './body.ts';
import type { BodyShape } from './route.ts';

/** A body with secrets in these members: what is wrong with it is said without a word of them. */
export function secretly<B>(shape: BodyShape<B>, members: readonly string[]): BodyShape<B> {
  return {
    ...shape,
    read(body, headers) {
      const text = textOf(body, headers['content-type']);
      try {
        return parseJson(text);
      } catch (error) {
        throw unreadable(error);
      }
    },
    parse(input, headers): Parsed<B> {
      try {
        return shape.parse(input, headers);
      } catch (error) {
        throw wordless(error, input as Record<string, unknown>, members);
      }
    },
  };
}

/** Why JSON cannot be read is told with a piece of it. */
function unreadable(error: unknown): unknown {
  if (!(error instanceof Fault)) return error;
  const what = error.code === 'malformed' ? 'is not valid JSON' : 'could not be stored unchanged';
  return new Fault(error.code, `The body ${what}. It takes a secret, so nothing of it is shown.`, {
    hint: 'Check quotes, commas and brackets; a secret is a text, also where it looks like a number.',
  });
}

function wordless(error: unknown, input: Record<string, unknown>, members: readonly string[]): unknown {
  if (!(error instanceof Fault) || error.mistakes.length === 0) return error;
  const shown = new Set(members.map((member) => `/${member}`));
  const mistakes = error.mistakes.map(({ pointer, detail }) => {
    const value = shown.has(pointer) ? input[pointer.slice(1)] : undefined;
    const isSaid = value !== undefined && value !== '' && detail.includes(String(value));
    return { pointer, detail: isSaid ? 'is not what it may be' : detail };
  });
  return new Fault(error.code, `The call makes no sense: ${describe(mistakes)}.`, { mistakes, hint: error.hint });
}
