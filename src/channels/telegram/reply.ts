import type { Journal, Key } from './journal.ts';
import type { Markup } from './markup.ts';

/** What is said back: written down by the caller, together with what it answers. */
export type Reply = {
  lines: Markup[];
  /** More lines, of what is done in the same writing. */
  doing?: () => Markup[];
  keys?: Key[];
  also?: (journal: Journal) => void;
};
