import { isMap, isScalar, isSeq, type Node } from 'yaml';
import { nearest } from '../base/nearest.ts';
import type { RetentionRule } from './store/retention.ts';

type Note = (place: string, detail: string) => void;
type PlaceOf = (node: Node | null) => string;

const fields = ['actions', 'max_age_days', 'max_count'];
const maxRules = 100;
const maxDays = 36_500;
const maxEvents = 1e12;
const maxPattern = 200;

/** The rules below `bus.retention`, as far as they are none of the mistakes that are noted. */
export function retentionOf(node: Node | null, place: string, placeOf: PlaceOf, note: Note): RetentionRule[] {
  if (!isSeq(node)) {
    note(place, "bus.retention must be a list of rules, such as - { actions: 'health_*', max_age_days: 7 }");
    return [];
  }
  if (node.items.length > maxRules) note(place, `bus.retention must have at most ${maxRules} rules`);
  return node.items.flatMap((item) => ruleOf(item as Node, placeOf, note));
}

function ruleOf(node: Node, placeOf: PlaceOf, note: Note): RetentionRule[] {
  const place = placeOf(node);
  if (!isMap(node)) {
    note(place, "bus.retention: a rule is a map, such as { actions: 'health_*', max_age_days: 7 }");
    return [];
  }
  const values = new Map<string, unknown>();
  for (const { key, value } of node.items) {
    const name = isScalar(key) ? String(key.value) : '';
    if (fields.includes(name)) values.set(name, isScalar(value) ? value.value : value);
    else note(placeOf(key as Node), unknownField(name));
  }
  const actions = values.get('actions');
  const isPattern = typeof actions === 'string' && actions.length > 0 && actions.length <= maxPattern;
  if (!isPattern) note(place, 'bus.retention: actions must be a pattern, such as "health_*"');
  const maxAgeDays = numberOf(values.get('max_age_days'), 'max_age_days', maxDays, place, note);
  const maxCount = numberOf(values.get('max_count'), 'max_count', maxEvents, place, note);
  if (!values.has('max_age_days') && !values.has('max_count'))
    note(place, 'bus.retention: a rule needs max_age_days or max_count; what no rule matches is kept anyway');
  if (maxCount !== null && !Number.isInteger(maxCount))
    note(place, 'bus.retention: max_count must be a whole number of events');
  return isPattern ? [{ actions, maxAgeDays, maxCount }] : [];
}

function unknownField(name: string): string {
  const guess = nearest(name, fields);
  return `bus.retention: ${name} is no part of a rule${guess ? `; did you mean ${guess}?` : ` (there are ${fields.join(', ')})`}`;
}

function numberOf(value: unknown, name: string, max: number, place: string, note: Note): number | null {
  if (value === undefined || value === null) return null;
  if (typeof value === 'number' && value >= 0 && value <= max) return value;
  note(place, `bus.retention: ${name} must be a number from 0 to ${max}`);
  return null;
}
