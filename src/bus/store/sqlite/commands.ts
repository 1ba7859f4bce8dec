import type { Mistake } from '../../../base/fault.ts';
import type { Answer } from '../../../events/answer.ts';
import type { Draft } from '../../../events/draft.ts';
import type { NewSubscription, SubscriptionChange } from '../../../events/subscription.ts';

/** A draft on its way to the writer: details are already JSON text, since that is what is stored and cheap to hand over. */
export type WrittenDraft = Omit<Draft, 'details'> & { details: string | null };

/** What the writer is asked to do. Plain data, because it may cross to another thread. */
export type Command =
  | { op: 'publish'; draft: WrittenDraft }
  | { op: 'acknowledge'; id: string; agent: string }
  | { op: 'answer'; id: string; answer: Answer }
  | { op: 'cancel'; id: string; by: string; via: string; reason: string | null }
  | { op: 'note-shown'; id: string; via: string }
  | { op: 'sweep' }
  | { op: 'add-subscription'; subscription: NewSubscription; origin: 'operator' | 'agent' }
  | { op: 'change-subscription'; id: string; change: SubscriptionChange }
  | { op: 'delete-subscription'; id: string };

/** A Fault as plain data. */
export type FaultData = {
  code: string;
  message: string;
  hint: string | undefined;
  mistakes: readonly Mistake[];
};

export type Outcome = { value: unknown } | { fault: FaultData };

/** What one transaction did. `resolved`: ids of the questions it ended. `dueAt`: the earliest deadline or rung it made. */
export type Committed = {
  head: number;
  resolved: string[];
  dueAt: number | null;
  openQuestions: number;
  openDeliveries: number;
};

export type BatchResult = { outcomes: Outcome[]; committed: Committed | undefined };
