import type { z } from 'zod';
import { Fault, type Mistake } from '../base/fault.ts';
import { describe, escapePointer } from '../base/json.ts';
import { nearest } from '../base/nearest.ts';
import { type Draft, draftSchema, questionFields, rungSchema } from './draft.ts';
import { isPlainDraft } from './plain-draft.ts';

/** What was wrong but not wrong enough to refuse; sent back so that a typing mistake is seen. */
export type Warning = { pointer: string; detail: string };
export type Parsed<T> = { value: T; warnings: Warning[] };

const maxWarnings = 20;
const maxShownName = 60;

/** Where a pointer into the shape lies in what was sent, when that is not the same. */
export type Place = (pointer: string) => string;

const asSent: Place = (pointer) => pointer;

/**
 * Turns unknown input into a shape, with every mistake reported at once.
 * @throws Fault `invalid` with a pointer for each mistake.
 */
export function parseAs<T extends z.ZodObject>(
  schema: T,
  input: unknown,
  what = 'The body',
  place: Place = asSent,
): Parsed<z.infer<T>> {
  if (typeof input !== 'object' || input === null || Array.isArray(input))
    throw new Fault('invalid', `${what} must be a JSON object.`, {
      mistakes: [{ pointer: place(''), detail: 'must be a JSON object' }],
    });
  const result = schema.safeParse(input);
  if (!result.success) {
    const mistakes = result.error.issues.map((issue) => {
      const { pointer, detail } = mistakeOf(issue, input);
      return { pointer: place(pointer), detail };
    });
    throw new Fault('invalid', `${what} makes no sense: ${describe(mistakes)}.`, { mistakes });
  }
  return { value: result.data as z.infer<T>, warnings: placed(unknownFields(schema, input), place) };
}

function placed(warnings: Warning[], place: Place): Warning[] {
  if (place === asSent) return warnings;
  return warnings.map(({ pointer, detail }) => ({ pointer: place(pointer), detail }));
}

/**
 * Parses a publish.
 * @throws Fault `invalid`
 */
export function parseDraft(input: unknown, place: Place = asSent): Parsed<Draft> {
  if (isPlainDraft(input)) return { value: input, warnings: [] };
  const parsed = parseAs(draftSchema, input, 'The event', place);
  const { value, warnings } = parsed;
  const odd: Warning[] = [];
  if (value.requires_human) odd.push(...oddities(value));
  else
    for (const field of questionFields)
      if (value[field] != null)
        odd.push({ pointer: `/${field}`, detail: 'asks nobody, because requires_human is not true' });
  if (value.escalation?.length) odd.push(...unknownInRungs(input));
  warnings.push(...placed(odd, place));
  return parsed;
}

/** What a question may be, and hardly can have been meant. */
function oddities({ human_question, human_options, human_fallback, free_text, answerers, ...draft }: Draft): Warning[] {
  const warnings: Warning[] = [];
  const warn = (field: string, detail: string) => warnings.push({ pointer: `/${field}`, detail });
  const options = human_options ?? [];
  if (!human_question) warn('human_question', 'is missing, so a person is asked without being told what');
  if (new Set(options).size < options.length) warn('human_options', 'names an option twice');
  if (options.length > 0 && human_fallback != null && !free_text && !options.includes(human_fallback))
    warn('human_fallback', 'is none of human_options, so whoever waits can get an answer that no person could give');
  const asker = draft.source_agent.trim().toLowerCase();
  if (answerers?.every((name) => name.trim().toLowerCase() === asker) && !draft.escalation?.length)
    warn('answerers', 'names only the asker, who may not answer; nobody can');
  return warnings;
}

function unknownInRungs(input: unknown): Warning[] {
  const { escalation } = input as { escalation: readonly object[] };
  return escalation
    .flatMap((rung, index) =>
      unknownFields(rungSchema, rung).map(({ pointer, detail }) => ({
        pointer: `/escalation/${index}${pointer}`,
        detail,
      })),
    )
    .slice(0, maxWarnings);
}

function mistakeOf(issue: z.core.$ZodIssue, input: unknown): Mistake {
  const pointer = issue.path.map((part) => `/${escapePointer(String(part))}`).join('');
  const found = issue.path.reduce<unknown>((node, part) => (node as Record<PropertyKey, unknown>)?.[part], input);
  return { pointer, detail: found === undefined ? 'is missing' : issue.message };
}

function unknownFields(schema: z.ZodObject, input: object): Warning[] {
  const warnings: Warning[] = [];
  const { shape } = schema;
  for (const key of Object.keys(input)) {
    if (Object.hasOwn(shape, key)) continue;
    if (warnings.length >= maxWarnings) break;
    const guess = key.length <= maxShownName ? nearest(key, Object.keys(shape)) : undefined;
    const shown = key.length <= maxShownName ? key : `${key.slice(0, maxShownName)}…`;
    const detail = guess
      ? `is no field that the bus knows and was ignored; did you mean ${guess}?`
      : 'is no field that the bus knows and was ignored';
    warnings.push({ pointer: `/${escapePointer(shown)}`, detail });
  }
  return warnings;
}
