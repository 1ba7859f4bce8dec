import { Fault } from '../../base/fault.ts';

/** A UUIDv7 up to its milliseconds. Shorter prefixes are rarely unique, because these ids begin with the time. */
const leastShown = 13;

/** How each id is shown in a table: the shortest beginning that no other of them has. */
export function shortIds(ids: readonly string[]): Map<string, string> {
  const sorted = [...new Set(ids)].sort();
  const shown = new Map<string, string>();
  sorted.forEach((id, i) => {
    const common = Math.max(commonLength(id, sorted[i - 1]), commonLength(id, sorted[i + 1]));
    shown.set(id, id.slice(0, Math.max(leastShown, common + 1)));
  });
  return shown;
}

function commonLength(id: string, other: string | undefined): number {
  let length = 0;
  while (other !== undefined && length < id.length && id[length] === other[length]) length++;
  return length;
}

const maxListed = 5;

/**
 * The one id that begins like this; an exact match wins over longer ones.
 * @throws Fault `not-found` or, when several begin so, `usage`.
 */
export function pickByPrefix(prefix: string, ids: readonly string[], what: string, seeAlso: string): string {
  if (ids.includes(prefix)) return prefix;
  const fitting = [...new Set(ids.filter((id) => prefix !== '' && id.startsWith(prefix)))];
  if (fitting.length === 1) return fitting[0] as string;
  if (fitting.length === 0) throw new Fault('not-found', `No ${what} has the id ${prefix}.`, { hint: seeAlso });
  const listed = fitting.slice(0, maxListed).join(', ');
  const more = fitting.length > maxListed ? `, and ${fitting.length - maxListed} more` : '';
  throw new Fault('usage', `${prefix} is the beginning of ${fitting.length} ids: ${listed}${more}.`, {
    hint: 'Give more of the id.',
  });
}
