import { z } from 'zod';

/** Characters in the name of an agent, a person or an action. */
const maxNameLength = 200;
/** Characters in a target, a question, an answer and other free text of the envelope. */
const maxTextLength = 4000;

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are just what is looked for
const control = /[\u0000-\u001f\u007f-\u009f]/;

/** Whether `name` below takes this, without saying why not. */
export function isName(value: unknown): value is string {
  return (
    typeof value === 'string' &&
    value.length > 0 &&
    value.length <= maxNameLength &&
    !control.test(value) &&
    value.isWellFormed()
  );
}

/** Whether `text` below takes this, without saying why not. */
export function isText(value: unknown): value is string {
  return typeof value === 'string' && value.length <= maxTextLength && !value.includes('\0');
}

/** A name: 1–200 characters without control characters. Case counts, and no character has a special meaning. */
export const name = z
  .string('must be a string')
  .min(1, 'must not be empty')
  .max(maxNameLength, `must have at most ${maxNameLength} characters`)
  .refine((text) => !control.test(text), 'must not contain control characters')
  .refine((text) => text.isWellFormed(), 'has half of a surrogate pair, which is no character');

/** Free text of the envelope. NUL is refused, because readers of the database file would see the text cut there. */
export const text = z
  .string('must be a string')
  .max(maxTextLength, `must have at most ${maxTextLength} characters`)
  .refine((value) => !value.includes('\0'), 'must not contain NUL');
