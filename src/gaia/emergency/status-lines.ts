import { rfc3339 } from '../../base/clock.ts';
import { leftovers } from '../../recovery/restore/undo.ts';
import type { Holder } from '../../recovery/run/lock.ts';
import { type RunState, statusOf } from '../../recovery/run/status.ts';
import { showSpan } from '../amounts.ts';
import { waysOut } from '../targets.ts';
import type { PhoneDeps } from './phone.ts';
import { titleOf } from './phone-words.ts';

const shownRuns = 5;
const hourMs = 3_600_000;

/** What runs, and how the last restores ended, as short as a phone is narrow. `gaia status` says the same at length. */
export function statusLines({
  callFor,
  operations,
  clock,
}: Pick<PhoneDeps, 'callFor' | 'operations' | 'clock'>): string[] {
  const { place, keepAsideHours } = callFor([], {}).config();
  const { holder, runs } = statusOf(place);
  const shown = operations.current() ?? operations.all().at(-1);
  const last = runs.filter(({ state }) => state === 'ended').slice(-shownRuns);
  const kept = leftovers(place).map(({ run, sinceMs }) => {
    const left = sinceMs + keepAsideHours * hourMs - clock();
    return `${run.request.target.name}: ${left > 0 ? `for ${showSpan(left)} more` : 'until the next gaia prune'}`;
  });
  return [
    ...(shown === undefined ? [] : [titleOf(shown)]),
    runningText(holder, runs),
    ...runs.filter(({ state }) => state === 'interrupted').flatMap(waysOut),
    ...(last.length > 0 ? ['', 'The last ones (UTC):', ...last.reverse().map(ended)] : []),
    ...(kept.length > 0 ? ['', 'From before, for gaia undo:', ...new Set(kept)] : []),
  ];
}

function runningText(holder: Holder | undefined, runs: readonly RunState[]): string {
  const run = runs.find(({ state }) => state === 'running');
  if (run !== undefined) return `The ${run.request.kind} of ${run.request.target.name} runs, at the step ${run.step}.`;
  return holder === undefined ? 'Nothing runs.' : `${holder.verb} runs.`;
}

function ended({ request, outcome }: RunState): string {
  const at = rfc3339(Date.parse(outcome?.at ?? ''))
    .slice(5, 16)
    .replace('T', ' ');
  const is = outcome?.kind === 'committed' ? 'done' : `${outcome?.kind}. ${outcome?.says}`;
  return `${at} ${request.kind} ${request.target.name}: ${is}`;
}
