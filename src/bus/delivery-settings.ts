import { isMap, isScalar, type Node } from 'yaml';
import { nearest } from '../base/nearest.ts';
import type { DeliveryRules } from './store/deliveries.ts';

/** What each setting below `bus.deliveries` sets, and within which bounds. */
const known: Readonly<Record<string, { rule: keyof DeliveryRules; min: number; max: number; zero?: string }>> = {
  max_attempts: { rule: 'maxAttempts', min: 1, max: 100 },
  expire_days: { rule: 'expireDays', min: 0, max: 36_500, zero: ', or 0 for never' },
};
const names = Object.keys(known);

type Note = (place: string, detail: string) => void;

/** Reads `bus.deliveries`. What is left out stays as usual. Mistakes are noted, each at its place. */
export function deliveryRulesIn(
  section: Node | null,
  place: string,
  placeOf: (node: Node | null) => string,
  note: Note,
): Partial<DeliveryRules> {
  if (!isMap(section)) {
    note(place, `bus.deliveries must have settings below it (${names.join(', ')})`);
    return {};
  }
  const rules: Partial<DeliveryRules> = {};
  for (const pair of section.items) {
    const key = isScalar(pair.key) ? String(pair.key.value) : '';
    const at = placeOf(pair.key as Node);
    const value = isScalar(pair.value) ? pair.value.value : pair.value;
    const setting = Object.hasOwn(known, key) ? known[key] : undefined;
    if (setting === undefined) {
      const guess = nearest(key, names);
      const way = guess ? `; did you mean ${guess}?` : ` (there are ${names.join(', ')})`;
      note(at, `bus.deliveries.${key} is no setting${way}`);
    } else if (value !== null) {
      const { rule, min, max, zero = '' } = setting;
      if (Number.isInteger(value) && (value as number) >= min && (value as number) <= max)
        rules[rule] = value as number;
      else note(at, `bus.deliveries.${key}: give a whole number from ${Math.max(1, min)} to ${max}${zero}`);
    }
  }
  return rules;
}
