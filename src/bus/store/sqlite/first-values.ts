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

/** JSON of the first implementation, or undefined where it stored what is no JSON. */
export function firstJson(value: unknown): Json | undefined {
  try {
    return parseJson(String(value)) as Json;
  } catch (error) {
    if (error instanceof Fault) return undefined;
    throw error;
  }
}
