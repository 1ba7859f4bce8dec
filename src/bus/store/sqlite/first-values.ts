import { Fault } from '../../../base/fault.ts';
import { type Json, parseJson } from '../../../base/json.ts';

/**
 * A time of the first implementation in milliseconds: `YYYY-MM-DD HH:MM:SS` is UTC (SQLite's `datetime('now')`), an ISO
 * time without a zone is the server's local time (Python's `datetime.now()`). Undefined for anything else.
 */
export function firstTime(value: unknown): number | undefined {
  if (typeof value !== 'string') return undefined;
  const utc = /^\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d(\.\d+)?)?$/.test(value);
  const ms = Date.parse(utc ? `${value.replace(' ', 'T')}Z` : value);
  return Number.isNaN(ms) ? undefined : ms;
}

/**
 * JSON of the first implementation, or undefined where it stored what is no JSON (NaN). Numbers that no reader could have
 * read as they are, such as integers of 20 digits, become text.
 */
export function firstJson(value: unknown): Json | undefined {
  const text = String(value);
  try {
    return parseJson(text) as Json;
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    return error.code === 'invalid' ? withNumbersAsText(text) : undefined;
  }
}

function withNumbersAsText(text: string): Json | undefined {
  try {
    const value = JSON.parse(text, (_key, value: unknown, context?: { source?: string }) => {
      if (typeof value === 'string') return value.toWellFormed();
      const survives = typeof value !== 'number' || (Number.isFinite(value) && String(value) === context?.source);
      return survives || Number.isSafeInteger(value) || !/^-?\d{16,}$|e/i.test(context?.source ?? '')
        ? value
        : context?.source;
    });
    return parseJson(JSON.stringify(value)) as Json;
  } catch (error) {
    if (error instanceof Fault || error instanceof RangeError) return undefined;
    throw error;
  }
}
