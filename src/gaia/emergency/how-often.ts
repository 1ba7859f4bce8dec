import { Fault } from '../../base/fault.ts';
import { showSpan } from '../amounts.ts';
import type { Operation } from './operation.ts';

/** How many of what may be asked for by phone, and why no more. */
export type HowOften = { what: string; why: string; most: readonly { count: number; withinMs: number }[] };

const hourMs = 3_600_000;

/** A bot that was broken into cannot have this machine do nothing else. */
export const anything: HowOften = { what: 'things', why: '', most: [{ count: 20, withinMs: hourMs }] };

/** What takes no code: whoever has the phone can ask for it, and must not be able to fill the disk or load the machine for ever. */
export const limits: Readonly<Record<'backup' | 'drill', HowOften>> = {
  backup: {
    ...{ what: 'backups', why: ' It takes no code, and each one takes room.' },
    most: [
      { count: 6, withinMs: hourMs },
      { count: 12, withinMs: 24 * hourMs },
    ],
  },
  drill: {
    ...{ what: 'drills', why: ' It takes no code, and each one loads the machine.' },
    most: [
      { count: 4, withinMs: hourMs },
      { count: 8, withinMs: 24 * hourMs },
    ],
  },
};

/** @param asked oldest first @throws Fault `rate-limited` when there were as many as may be */
export function requireSeldom(asked: readonly Operation[], { what, why, most }: HowOften, nowMs: number): void {
  for (const { count, withinMs } of most) {
    // What the clock says is still to come was asked before it was set right.
    const lately = asked.filter(({ createdMs }) => createdMs <= nowMs && nowMs - createdMs < withinMs);
    const [oldest] = lately.slice(-count);
    if (oldest === undefined || lately.length < count) continue;
    const within = withinMs === hourMs ? 'an hour' : showSpan(withinMs);
    throw new Fault('rate-limited', `${lately.length} ${what} were asked for in ${within}; no more for now.${why}`, {
      hint: `The next one counts in ${showSpan(oldest.createdMs + withinMs - nowMs)}. On the server nothing limits it.`,
    });
  }
}
