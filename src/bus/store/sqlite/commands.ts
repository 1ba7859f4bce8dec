import type { Mistake } from '../../../base/fault.ts';
import type { Answer } from '../../../events/answer.ts';
import type { Draft } from '../../../events/draft.ts';
import type { NewSubscription, SubscriptionChange } from '../../../events/subscription.ts';
import type { Token } from '../../../events/token.ts';
import type { CallSecretsCommand, SealedSecret } from '../call-secrets.ts';
import type { Nack } from '../deliveries.ts';
import type { Heartbeat, LastHeard } from '../heartbeats.ts';
import type { Checkpoint } from '../signed-checkpoint.ts';
import type { AuditKey, Once, Restored } from '../store.ts';

/** Characters of details for which an event counts as one more: so 1,000 events have at most some 8 million. */
const charactersEach = 8192;

/** How many usual events a command may store, so that a transaction, and what waits for one, can be bounded. */
export function weightOf(command: Command): number {
  if (command.op === 'publish' || command.op === 'publish-with-secrets') return weightOfDraft(command.draft);
  if (command.op !== 'publish-batch') return 1;
  let weight = 0;
  for (const draft of command.drafts) weight += draft === null ? 1 : weightOfDraft(draft);
  return weight;
}

function weightOfDraft({ details }: WrittenDraft): number {
  return details === null ? 1 : 1 + Math.floor(details.length / charactersEach);
}

/** A draft on its way to the writer: details are already JSON text, since that is what is stored and cheap to hand over. */
export type WrittenDraft = Omit<Draft, 'details'> & { details: string | null };

/** What became of a batch; `outcomes` as batch-text.ts writes them. */
export type WrittenBatch = { kind: 'published'; outcomes: string; replayed: boolean } | { kind: 'key-taken' };

/** What the writer is asked to do. Plain data, because it may cross to another thread. */
export type Command =
  | { op: 'publish'; draft: WrittenDraft }
  | { op: 'publish-with-secrets'; draft: WrittenDraft; secrets: readonly SealedSecret[] }
  | CallSecretsCommand
  | { op: 'publish-batch'; drafts: readonly (WrittenDraft | null)[]; once: Once | null }
  | { op: 'acknowledge'; id: string; agent: string }
  | { op: 'answer'; id: string; answer: Answer }
  | { op: 'cancel'; id: string; by: string; via: string; reason: string | null; anybodys: boolean }
  | { op: 'note-shown'; id: string; via: string }
  | { op: 'claim'; agent: string; max: number; leaseMs: number; lease: number }
  | { op: 'ack'; agent: string; delivery: DeliveryKey; lease: number }
  | { op: 'nack'; agent: string; delivery: DeliveryKey; lease: number; nack: Nack }
  | { op: 'extend'; agent: string; delivery: DeliveryKey; lease: number; leaseMs: number }
  | { op: 'release'; agent: string; lease: number }
  | { op: 'redrive'; agent: string; delivery: DeliveryKey }
  | { op: 'redrive-some'; agent: string | undefined; diedBy: number | undefined }
  | { op: 'discard'; agent: string; delivery: DeliveryKey }
  | { op: 'sweep' }
  | { op: 'add-subscription'; subscription: NewSubscription; origin: 'operator' | 'agent' }
  | { op: 'change-subscription'; id: string; change: SubscriptionChange }
  | { op: 'delete-subscription'; id: string }
  | { op: 'note-token-used'; id: string; at: number }
  | { op: 'note-heartbeat'; heartbeat: Heartbeat }
  | { op: 'note-agent-lost'; last: LastHeard }
  | { op: 'add-owners-token'; token: Token; hash: string }
  | { op: 'add-checkpoint'; checkpoint: Checkpoint }
  | { op: 'note-audit-key'; key: AuditKey }
  | { op: 'begin-life'; restored: Restored }
  | { op: 'purge'; seqs: readonly number[] };

/** Which of an agent's deliveries. */
export type DeliveryKey = { seq: number; priority: number };

/** A Fault as plain data. */
export type FaultData = {
  code: string;
  message: string;
  hint: string | undefined;
  mistakes: readonly Mistake[];
};

export type Outcome = { value: unknown } | { fault: FaultData };

/** What one transaction did, as in the store's Commit, and what is open after it. */
export type Committed = {
  head: number;
  resolved: string[];
  dueAt: number | null;
  readyFor: string[];
  endedLeases: string[];
  openQuestions: number;
  openDeliveries: number;
  deadLetters: number;
};

export type BatchResult = { outcomes: Outcome[]; committed: Committed | undefined };
