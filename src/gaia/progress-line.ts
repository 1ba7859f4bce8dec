import type { Progress, ProgressStep } from '../recovery/progress.ts';
import { showBytes, showCount, showSpan } from './amounts.ts';
import type { Around } from './command.ts';

const onTerminalMs = 200;
const elsewhereMs = 10_000;
/** A rate of less time than this says nothing. */
const firstRateMs = 500;

/**
 * Shows how far something is: on a terminal one line that is drawn again and again, elsewhere a line now and then, as JSON
 * one object a line, all on stderr.
 */
export function progressLine(
  around: Pick<Around, 'sketch' | 'say' | 'terminal' | 'clock'>,
  look: { json: boolean; quiet: boolean },
): Progress {
  const everyMs = around.terminal.err && !look.json ? onTerminalMs : elsewhereMs;
  let phase = '';
  let beganMs = 0;
  let shownMs = 0;
  return (step) => {
    if (look.quiet) return;
    const now = around.clock();
    if (step.phase !== phase) {
      phase = step.phase;
      beganMs = now;
      // Short phases on a pipe need no line.
      shownMs = around.terminal.err && !look.json ? 0 : now;
    }
    if (now - shownMs < everyMs) return;
    shownMs = now;
    const rate = rateOf(step, now - beganMs);
    if (look.json) around.say(JSON.stringify({ kind: 'progress', ...jsonOf(step), bytes_per_second: rate ?? null }));
    else if (around.terminal.err) around.sketch(describe(step, rate));
    else around.say(describe(step, rate));
  };
}

function rateOf({ doneBytes }: ProgressStep, ms: number): number | undefined {
  return ms < firstRateMs ? undefined : Math.round((doneBytes / ms) * 1000);
}

/** `write  1.2 GiB of 4.0 GiB, 310 MiB/s, 9 s left` */
function describe({ phase, doneBytes, totalBytes, doneFiles, says }: ProgressStep, rate: number | undefined): string {
  if (says !== undefined) return `${phase}: ${says}`;
  const total = totalBytes === undefined || totalBytes < doneBytes ? '' : ` of ${showBytes(totalBytes)}`;
  const speed = rate === undefined ? '' : `, ${showBytes(rate)}/s`;
  const isLeft = rate !== undefined && rate > 0 && totalBytes !== undefined && totalBytes >= doneBytes;
  const left = isLeft ? `, ${showSpan((((totalBytes as number) - doneBytes) / (rate as number)) * 1000)} left` : '';
  return `${phase}: ${showBytes(doneBytes)}${total}, ${showCount(doneFiles, 'file')}${speed}${left}`;
}

function jsonOf({ phase, doneBytes, totalBytes, doneFiles }: ProgressStep) {
  return { phase, done_bytes: doneBytes, total_bytes: totalBytes ?? null, done_files: doneFiles };
}
