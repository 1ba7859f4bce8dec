import type { Rule } from '../../recovery/schedule.ts';

/** How far the clocks on the wall are ahead of UTC at a time; in milliseconds. */
export type OffsetAt = (atMs: number) => number;

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const dayMs = 24 * hourMs;

/** The latest time at or before this one at which the rule says that something is due. */
export function slotAt(rule: Rule, nowMs: number, offsetAt: OffsetAt): number {
  if (rule.every === 'hours') return Math.floor(nowMs / (rule.hours * hourMs)) * rule.hours * hourMs;
  return slotsAround(rule, nowMs, offsetAt).findLast((at) => at <= nowMs) as number;
}

/** The first time after this one. */
export function slotAfter(rule: Rule, afterMs: number, offsetAt: OffsetAt): number {
  if (rule.every === 'hours') return slotAt(rule, afterMs, offsetAt) + rule.hours * hourMs;
  return slotsAround(rule, afterMs, offsetAt).find((at) => at > afterMs) as number;
}

/** How long it is from one to the next, but for changes of the clocks. */
export function periodMs(rule: Rule): number {
  if (rule.every === 'hours') return rule.hours * hourMs;
  return rule.every === 'day' ? dayMs : 7 * dayMs;
}

/** Enough of them that one lies before and one after, whatever the clocks do. */
function slotsAround(rule: Exclude<Rule, { every: 'hours' }>, aroundMs: number, offsetAt: OffsetAt): number[] {
  const today = Math.floor((aroundMs + offsetAt(aroundMs)) / dayMs);
  const step = rule.every === 'day' ? 1 : 7;
  // The epoch was a Thursday.
  const nearest = rule.every === 'day' ? today : today - ((((today + 4 - rule.day) % 7) + 7) % 7);
  return [-2, -1, 0, 1, 2].map((n) => timeOf((nearest + n * step) * dayMs + rule.at * minuteMs, offsetAt));
}

/**
 * When the clocks on the wall show this (as if it were UTC). Where they show it twice it is the first time; where they leap over
 * it, as much later as they leap.
 */
function timeOf(wallMs: number, offsetAt: OffsetAt): number {
  const [before, after] = [offsetAt(wallMs - dayMs), offsetAt(wallMs + dayMs)];
  const first = wallMs - before;
  if (offsetAt(first) === before) return first;
  const second = wallMs - after;
  return offsetAt(second) === after ? second : first;
}
