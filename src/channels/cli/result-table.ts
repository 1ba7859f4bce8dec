import type { Json, JsonObject } from '../../base/json.ts';
import type { Column } from '../../base/table.ts';
import type { Capability } from '../../events/capability.ts';
import type { Conclusion } from './conclusion.ts';
import type { Door } from './door.ts';
import { shortIds } from './short-id.ts';
import { showBytes, showTime } from './show-time.ts';

type Showing = Pick<Door, 'terminal' | 'clock'>;

/** Deeper than this nothing would be left to read. */
const maxSteps = 6;

const isList = (value: Json | undefined): value is JsonObject[] =>
  Array.isArray(value) && value.every((each) => typeof each === 'object' && each !== null);

/** A result for a person or a pipe: a line for each member, then the list in it, if it has one, as rows. */
export function showResult(
  door: Showing,
  capability: Capability,
  result: JsonObject,
): Pick<Conclusion, 'lines' | 'table'> {
  const members = membersOf(door, result);
  const { table } = resultTable(door, capability, result);
  if (!door.terminal.is)
    return { table: { columns: table?.columns ?? [], rows: [...members, ...(table?.rows ?? [])] } };
  const heads = members.map(([key]) => `${key.replaceAll('_', ' ')}:`);
  const widest = Math.max(0, ...heads.map(({ length }) => length));
  const lines = members.map(([, text], at) => `${(heads[at] as string).padEnd(widest + 1)}${text}`);
  return { lines, ...(table === undefined ? {} : { table }) };
}

/** What a result says beside its list, each with its name. */
function membersOf(door: Showing, result: JsonObject): [key: string, text: string][] {
  const own = Object.entries(result).filter(([, value]) => !(isList(value) && (value as Json[]).length > 0));
  return own
    .filter(([, value]) => !(Array.isArray(value) && value.length === 0))
    .map(([key, value]) => [key, Array.isArray(value) ? value.join(', ') : shown(door, key, value)]);
}

/** The list in a result, if it has one, as rows. What is a cause of another stands before it, by a step each. */
function resultTable(door: Showing, { columns }: Capability, result: JsonObject): Pick<Conclusion, 'table'> {
  const list = Object.values(result).find((value) => isList(value) && value.length > 0) as JsonObject[] | undefined;
  if (list === undefined) return {};
  const keys = columns ?? Object.keys(list[0] as JsonObject);
  const short = shortIds(list.flatMap(({ id }) => (typeof id === 'string' ? [id] : [])));
  const cell = (row: JsonObject, key: string): string => {
    const value = row[key] ?? null;
    if (key === 'id' && door.terminal.is) return short.get(String(value)) ?? String(value);
    const step =
      key === 'action' && typeof row.depth === 'number' && door.terminal.is
        ? '  '.repeat(Math.min(row.depth, maxSteps))
        : '';
    return step + (Array.isArray(value) ? value.join(' | ') : shown(door, key, value).split('\n')[0]);
  };
  const whole = ['id', 'name', 'timestamp', 'created_at', 'status', 'state', 'bytes'];
  const head = (key: string): Column => ({
    head: headOf(key),
    ...(whole.includes(key) ? {} : { least: Math.min(8, headOf(key).length + 2) }),
  });
  return { table: { columns: keys.map(head), rows: list.map((row) => keys.map((key) => cell(row, key))) } };
}

const heads: Readonly<Record<string, string>> = {
  timestamp: 'UTC',
  source_agent: 'SOURCE',
  created_at: 'TAKEN',
  why_made: 'WHY',
};
const headOf = (key: string) => heads[key] ?? key.replace(/_at$/, '').replaceAll('_', ' ').toUpperCase();

/** For a person on a terminal; as it is in a pipe. */
function shown({ terminal, clock }: Showing, key: string, value: Json): string {
  if (value === null) return terminal.is ? '–' : '';
  if (typeof value === 'object') return JSON.stringify(value);
  if (!terminal.is) return String(value);
  if (typeof value === 'string' && /^\d{4}-\d\d-\d\dT[\d:.]+Z$/.test(value)) return showTime(value, clock());
  if (typeof value === 'number' && /(^|_)bytes$/.test(key)) return showBytes(value);
  return String(value);
}
