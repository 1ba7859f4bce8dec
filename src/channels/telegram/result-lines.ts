import type { Json, JsonObject } from '../../base/json.ts';
import type { Capability } from '../../events/capability.ts';
import { html, type Markup, short } from './markup.ts';

const maxRows = 20;
const maxCell = 120;

/** What a capability gave, for a phone: plain members first, then a list with a line for each of its rows. */
export function resultLines({ name, columns }: Pick<Capability, 'name' | 'columns'>, result: JsonObject): Markup[] {
  const lines: Markup[] = [html`<b>${name}</b>`];
  const lists: [string, JsonObject[]][] = [];
  for (const [key, value] of Object.entries(result)) {
    if (value === null) continue;
    if (isRows(value)) lists.push([key, value]);
    else lines.push(html`${words(key)}: ${cell(key, value)}`);
  }
  for (const [key, rows] of lists) {
    if (rows.length === 0) lines.push(html`<i>${words(key)}: none</i>`);
    for (const row of rows.slice(0, maxRows)) lines.push(rowLine(row, columns));
    if (rows.length > maxRows) lines.push(html`<i>… and ${rows.length - maxRows} more</i>`);
  }
  return lines;
}

const isRows = (value: Json): value is JsonObject[] =>
  Array.isArray(value) && value.every((each) => typeof each === 'object' && each !== null && !Array.isArray(each));

const words = (key: string) => key.replaceAll('_', ' ');

function rowLine(row: JsonObject, columns: readonly string[] | undefined): Markup {
  const keys = (columns ?? Object.keys(row)).filter(
    (key) => row[key] !== undefined && row[key] !== null && row[key] !== '',
  );
  // The id is long, and copied with a tap; what happened is read.
  keys.sort((a, b) => Number(a === 'id') - Number(b === 'id'));
  const cells = keys.map((key) => cell(key, row[key] as Json)).filter(({ html: text }) => text !== '');
  return { html: `• ${cells.map((each) => each.html).join(' · ')}` };
}

const time = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d/;

function cell(key: string, value: Json): Markup {
  if (typeof value === 'string' && time.test(value)) return html`${value.slice(0, 10)} ${value.slice(11, 16)}`;
  if (/^(id|event|backup|plan|run|matter)$/.test(key)) return html`<code>${short(String(value), maxCell)}</code>`;
  if (typeof value === 'number' && /bytes$/.test(key)) return html`${bytes(value)}`;
  if (Array.isArray(value)) return html`${short(value.map(String).join(', '), maxCell)}`;
  if (typeof value === 'object' && value !== null) return html`${short(JSON.stringify(value), maxCell)}`;
  return html`${short(String(value).replaceAll('\n', ' '), maxCell)}`;
}

function bytes(count: number): string {
  const steps = ['B', 'kB', 'MB', 'GB', 'TB'];
  let at = 0;
  let left = count;
  while (left >= 1000 && at < steps.length - 1) {
    left /= 1000;
    at += 1;
  }
  return `${left < 10 && at > 0 ? left.toFixed(1) : Math.round(left)} ${steps[at]}`;
}
