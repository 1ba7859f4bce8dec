import type { ProgressStep } from '../../recovery/progress.ts';
import { showBytes, showSpan } from '../amounts.ts';

/** A rate of less time than this says nothing. */
const firstRateMs = 3_000;

/** What is done now, and how long it still takes, in a line for a phone. */
export type HowFar = { say(line: string): void; step(step: ProgressStep): void; line(): string };

export function howFar(target: string, clock: () => number): HowFar {
  let phase = '';
  let doing = 'begins';
  let beganMs = clock();
  let last: ProgressStep | undefined;
  return {
    say(line) {
      // `Staging beside what is there …`; other remarks are for the end.
      if (line.endsWith(' …')) doing = line.slice(0, -2);
      if (line.endsWith(' …')) last = undefined;
    },
    step(step) {
      if (step.phase !== phase) beganMs = clock();
      phase = step.phase;
      last = step;
    },
    line: () => `${target}: ${doing}${last === undefined ? '' : amounts(last, clock() - beganMs)}`,
  };
}

function amounts({ phase, doneBytes, totalBytes, says }: ProgressStep, ms: number): string {
  if (says !== undefined) return ` (${says})`;
  if (totalBytes === undefined || totalBytes < doneBytes || totalBytes === 0)
    return ` (${phase}, ${showBytes(doneBytes)})`;
  const share = `${Math.floor((doneBytes / totalBytes) * 100)} % of ${showBytes(totalBytes)}`;
  const isKnown = ms >= firstRateMs && doneBytes > 0;
  const left = isKnown ? `, ${showSpan(((totalBytes - doneBytes) / doneBytes) * ms)} left` : '';
  return ` (${phase}, ${share}${left})`;
}
