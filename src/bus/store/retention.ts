import { busActions, busAgent } from '../../events/event.ts';
import { compilePattern } from '../../events/pattern.ts';

/** How long events are kept whose action matches, and how many; the first rule that matches an action counts. */
export type RetentionRule = { actions: string; maxAgeDays: number | null; maxCount: number | null };

/** Events in one step, of a scan as of a purge, which is one transaction: others wait for it, some milliseconds. */
export const maxPurged = 250;

/** Where a scan of the log goes on; plain data, handed back as it is. */
export type RetentionPlace = {
  after: number;
  /** For each rule: how many more events it takes because there are too many. */
  excess: readonly number[];
  /** For each rule: before this time it takes by age, and from this seq on no event is old enough. */
  cutoffs: readonly { at: number; seq: number }[];
};

/** What a rule would take of a part of the log, and why it leaves what it otherwise would take. */
export type RuleCount = { due: number; open_questions: number; owed_at_priority_1: number };

export type RetentionScan = {
  /** In ascending order. */
  due: number[];
  /** For each rule. */
  counts: RuleCount[];
  /** Null at the end of the log. */
  next: RetentionPlace | null;
};

export type Purged = {
  purged: number;
  by_action: Readonly<Record<string, number>>;
  /** Deliveries that went with their events, by agent. */
  dropped_deliveries: Readonly<Record<string, number>>;
};

const dayMs = 86_400_000;

/** Until when an event must have been published to be too old for this rule now. */
export function cutoffOf({ maxAgeDays }: RetentionRule, now: number): number {
  return maxAgeDays === null ? Number.NEGATIVE_INFINITY : now - maxAgeDays * dayMs;
}

/** Which rule counts for an action, by its place in the list; -1 for none. Remembers nothing. */
export function ruleFinder(rules: readonly RetentionRule[]): (source: string, action: string) => number {
  const matchers = rules.map((rule) => compilePattern(rule.actions));
  return (source, action) => (isKept(source, action) ? -1 : matchers.findIndex((matches) => matches(action)));
}

/** What `audit verify` needs is never purged. */
const kept: readonly string[] = [busActions.eventsPurged, busActions.auditKeyChanged, busActions.busRestored];

/** Whether an event is kept whatever the rules say. */
export function isKept(source: string, action: string): boolean {
  return source === busAgent && kept.includes(action);
}

/** An event that is delivered later is not purged before. */
export function isYetToCome(deliverAt: number | null, now: number): boolean {
  return deliverAt !== null && deliverAt > now;
}
