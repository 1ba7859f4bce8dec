import { z } from 'zod';
import { Fault, type Mistake } from '../base/fault.ts';
import { describe } from '../base/json.ts';
import { nearest } from '../base/nearest.ts';
import type { Warning } from '../events/parse.ts';

/** A query string's parameters; one that was given twice has a list. */
export type RawQuery = Readonly<Record<string, string | readonly string[]>>;

const none: RawQuery = Object.freeze(Object.create(null));
const noWarnings: Warning[] = [];
const maxWarnings = 20;
const maxShownName = 60;
const maxListed = 1000;

/**
 * Takes a query string apart. Never throws, because the router calls it: what is no UTF-8 becomes U+FFFD and is then
 * refused or not found like any other wrong value.
 */
export function splitQuery(text: string): RawQuery {
  if (text === '') return none;
  const query: Record<string, string | string[]> = Object.create(null);
  for (const [key, value] of new URLSearchParams(text)) {
    const before = query[key];
    if (before === undefined) query[key] = value;
    else if (typeof before === 'string') query[key] = [before, value];
    else before.push(value);
  }
  return query;
}

/**
 * Turns a query into a route's parameters. An empty value is as good as none, as callers that fill a template send it;
 * unknown names come back as warnings.
 * @throws Fault `invalid` with every mistake.
 */
export function parseQuery<Q extends z.ZodObject>(
  schema: Q,
  raw: RawQuery,
): { value: z.infer<Q>; warnings: Warning[] } {
  const given: Record<string, string> = {};
  const mistakes: Mistake[] = [];
  let warnings = noWarnings;
  for (const key in raw) {
    const value = raw[key];
    if (!Object.hasOwn(schema.shape, key)) warnings = [...warnings, unknown(key, Object.keys(schema.shape))];
    else if (typeof value !== 'string') mistakes.push({ pointer: key, detail: 'is given more than once' });
    else if (value !== '') given[key] = value;
    if (warnings.length >= maxWarnings) break;
  }
  const result = schema.safeParse(given);
  if (result.success && mistakes.length === 0) return { value: result.data, warnings };
  for (const issue of result.error?.issues ?? []) {
    const pointer = String(issue.path[0] ?? '');
    if (mistakes.some((known) => known.pointer === pointer)) continue;
    mistakes.push({ pointer, detail: Object.hasOwn(given, pointer) ? issue.message : 'is missing' });
  }
  throw new Fault('invalid', `The query makes no sense: ${describe(mistakes)}.`, { mistakes });
}

function unknown(key: string, known: string[]): Warning {
  const shown = key.length <= maxShownName ? key : `${key.slice(0, maxShownName)}…`;
  const guess = key.length <= maxShownName ? nearest(key, known) : undefined;
  const detail = 'is no parameter of this call and was ignored';
  return { pointer: shown, detail: guess ? `${detail}; did you mean ${guess}?` : detail };
}

/** A whole number within bounds. */
export function wholeNumber(min: number, max: number) {
  const bounds = `must be ${min} to ${max}`;
  return z
    .string()
    .regex(/^-?\d{1,15}$/, `must be a whole number from ${min} to ${max}`)
    .transform(Number)
    .pipe(z.int().min(min, bounds).max(max, bounds));
}

/** How many entries of a list to answer with. */
export function limit(usual: number) {
  return wholeNumber(1, maxListed).default(usual).meta({ description: 'How many at most' });
}

/** A yes or no that is no when left out. */
export function flag(description: string) {
  return z
    .stringbool({
      truthy: ['true', '1', 'yes', 'on'],
      falsy: ['false', '0', 'no', 'off'],
      error: 'must be true or false',
    })
    .default(false)
    .meta({ description });
}
