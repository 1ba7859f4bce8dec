import { Fault } from './fault.ts';

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
