import { Fault, type Mistake, reasonOf } from './fault.ts';

export type Json = null | boolean | number | string | Json[] | JsonObject;
export type JsonObject = { [key: string]: Json };

/** Deeper nesting than this is refused: no event needs it, and recursive readers break on it. */
const maxJsonDepth = 64;

const maxMistakes = 10;

/**
 * Parses JSON text such that what is stored is what was sent: numbers that would change (integers that a double cannot
 * hold, 1e400), lone surrogates and deep nesting are refused with a pointer each (RFC 7493 recommends the same).
 * @throws Fault `malformed` when it is no JSON (NaN and Infinity are none), `invalid` when it would not survive.
 */
export function parseJson(text: string): unknown {
  const value = parseText(text);
  if (survives(value, 0)) return value;
  const mistakes = mistakesIn(value, () => lossyIntegers(markLossy(text)));
  if (mistakes.length === 0) return value;
  throw wouldChange(mistakes);
}

/**
 * As `parseJson`, but each element of a list is judged by itself, as if it had been sent alone: in the place of one that
 * would not survive stands the Fault that says why, its pointers beginning with the element's index. What is no list is
 * judged whole. A list of more than `maxJudged` is not judged at all: its caller refuses it for its length.
 * @throws Fault as `parseJson`
 */
export function parseJsonElements(text: string, maxJudged = Number.POSITIVE_INFINITY): unknown {
  const value = parseText(text);
  if (!Array.isArray(value)) return parseJson(text);
  if (value.length > maxJudged) return value;
  let marked: unknown[] | undefined;
  for (let i = 0; i < value.length; i++) {
    if (survives(value[i], 0)) continue;
    const lossy = () => {
      marked ??= markLossy(text) as unknown[];
      return lossyIntegers(marked[i]);
    };
    const mistakes = mistakesIn(value[i], lossy).map(({ pointer, detail }) => ({ pointer: `/${i}${pointer}`, detail }));
    if (mistakes.length > 0) value[i] = wouldChange(mistakes);
  }
  return value;
}

function wouldChange(mistakes: readonly Mistake[]): Fault {
  return new Fault('invalid', `This JSON could not be stored unchanged: ${describe(mistakes)}.`, { mistakes });
}

function parseText(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Fault('malformed', `This is not valid JSON: ${reasonOf(error)}.`, {
      hint: 'Check quotes, commas and brackets. NaN and Infinity are not JSON; send null or a string.',
    });
  }
}

/** Whether all is well at first sight; asked of every body, so it builds no pointers. */
function survives(node: unknown, depth: number): boolean {
  if (typeof node === 'string') return node.isWellFormed();
  if (typeof node === 'number') return Number.isSafeInteger(node) || (Number.isFinite(node) && !Number.isInteger(node));
  if (node === null || typeof node !== 'object') return true;
  if (depth >= maxJsonDepth) return false;
  if (Array.isArray(node)) return node.every((item) => survives(item, depth + 1));
  for (const key in node)
    if (!key.isWellFormed() || !survives((node as Record<string, unknown>)[key], depth + 1)) return false;
  return true;
}

/** What would not survive, with a pointer each. A large integer that a double holds exactly is no mistake. */
function mistakesIn(value: unknown, lossy: () => readonly Mistake[]): Mistake[] {
  const mistakes: Mistake[] = [];
  let suspiciousNumber = false;
  const walk = (node: unknown, pointer: string, depth: number): void => {
    if (mistakes.length >= maxMistakes) return;
    if (typeof node === 'string') {
      if (!node.isWellFormed())
        mistakes.push({ pointer, detail: 'has half of a surrogate pair, which is no character' });
    } else if (typeof node === 'number') {
      if (!Number.isFinite(node)) mistakes.push({ pointer, detail: 'is a number too large for JSON readers' });
      else if (Number.isInteger(node) && !Number.isSafeInteger(node)) suspiciousNumber = true;
    } else if (node !== null && typeof node === 'object') {
      if (depth >= maxJsonDepth) {
        mistakes.push({ pointer, detail: `is nested deeper than ${maxJsonDepth} levels` });
        return;
      }
      if (Array.isArray(node)) for (let i = 0; i < node.length; i++) walk(node[i], `${pointer}/${i}`, depth + 1);
      else
        for (const key of Object.keys(node)) {
          const below = `${pointer}/${escapePointer(key)}`;
          if (!key.isWellFormed()) mistakes.push({ pointer, detail: 'has a key with half of a surrogate pair' });
          walk((node as Record<string, unknown>)[key], below, depth + 1);
        }
    }
  };
  walk(value, '', 0);
  if (suspiciousNumber && mistakes.length === 0) mistakes.push(...lossy());
  return mistakes;
}

/** RFC 6901: `~` and `/` in a key are escaped. */
export function escapePointer(key: string): string {
  return key.replaceAll('~', '~0').replaceAll('/', '~1');
}

/** Mistakes as half a sentence: `/details/n is …; /target must …`. */
export function describe(mistakes: readonly Mistake[]): string {
  return mistakes.map((m) => `${m.pointer === '' ? 'the body' : m.pointer} ${m.detail}`).join('; ');
}

/** Integer literals beyond 2^53 that a double would change, marked. `1e20` and 2^60 survive and are let through. */
function markLossy(text: string): unknown {
  // The reviver sees a literal but not where it stands, so it leaves a mark that the walk below finds.
  return JSON.parse(text, (_key, value: unknown, context?: { source?: string }) => {
    const source = context?.source ?? '';
    if (typeof value !== 'number' || Number.isSafeInteger(value) || !/^-?\d+$/.test(source)) return value;
    // Too large for any double; the walk says so of the element it stands in, which may be another.
    if (!Number.isFinite(value)) return value;
    return String(value) === source || BigInt(source) === BigInt(value) ? value : new Lossy(source);
  });
}

function lossyIntegers(marked: unknown): Mistake[] {
  const found: Mistake[] = [];
  const walk = (node: unknown, pointer: string): void => {
    if (found.length >= maxMistakes || typeof node !== 'object' || node === null) return;
    if (node instanceof Lossy)
      found.push({ pointer, detail: `is ${shortened(node.source)}, beyond 2^53; send it as a string` });
    else for (const [key, below] of Object.entries(node)) walk(below, `${pointer}/${escapePointer(key)}`);
  };
  walk(marked, '');
  return found;
}

class Lossy {
  readonly source: string;
  constructor(source: string) {
    this.source = source;
  }
}

const maxShownDigits = 40;

function shortened(digits: string): string {
  return digits.length <= maxShownDigits ? digits : `${digits.slice(0, maxShownDigits)}…`;
}
