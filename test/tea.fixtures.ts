import { z } from 'zod';
import type { Capability } from '../src/events/capability.ts';

const cup = z.strictObject({ target: z.string('must be a string').min(1), cups: z.int().min(1).max(9).default(1) });
const made = z.object({ cups: z.number(), for: z.string() });
const example = { target: 'dev' };

/** What an agent TEA offers: one capability of each risk. */
export const teaCapabilities: readonly Capability[] = [
  { name: 'tea.look', summary: 'Look into the pot', risk: 'read', input: cup, output: made, example },
  { name: 'tea.brew', summary: 'Brew tea', risk: 'write', input: cup, output: made, example },
  {
    name: 'tea.spill',
    summary: 'Spill the tea',
    risk: 'destructive',
    input: cup,
    output: made,
    example,
    question: ({ target, cups }) => `Spill ${cups} of ${target}?`,
  },
];

/** What an agent ADA has, for tests of who may do what in its name. */
export const adaCapabilities: readonly Capability[] = teaCapabilities.map((each) => ({
  ...each,
  name: each.name.replace('tea.', 'ada.'),
}));
