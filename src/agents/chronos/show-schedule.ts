import { rfc3339 } from '../../base/clock.ts';
import type { JsonObject } from '../../base/json.ts';
import type { RecoveryConfig } from '../../recovery/config/config.ts';
import { ruleText } from '../../recovery/schedule.ts';
import type { Planned } from './plan.ts';

/** What is planned, for people: what is due and when, what was last, and what is wrong with it. */
export function shownSchedule(
  planned: readonly Planned[],
  { schedule }: Pick<RecoveryConfig, 'schedule'>,
  { target, clocks }: { target: string | undefined; clocks: string },
): JsonObject {
  const isAsked = (name: string) => target === undefined || name === target;
  const off = Object.entries(schedule.targets).filter(
    ([name, rules]) => isAsked(name) && Object.keys(rules).length === 0,
  );
  const own = planned.filter((each) => isAsked(each.target));
  const time = (ms: number | undefined) => (ms === undefined ? null : rfc3339(ms));
  return {
    clocks,
    problems: own.flatMap(({ target: of, what, note }) =>
      note.failing ? [`${of} ${what}: ${note.failing.says}`] : [],
    ),
    schedule: [
      ...own.map((each) => ({
        ...{ target: each.target, what: each.what, rule: ruleText(each.rule) },
        ...{ last_at: time(each.lastMs), next_at: time(each.nextMs), state: stateOf(each) },
        problem: each.note.failing?.says ?? null,
      })),
      ...off.map(([name]) => ({
        ...{ target: name, what: 'all', rule: 'off', last_at: null, next_at: null, state: 'off', problem: null },
      })),
    ],
  };
}

function stateOf({ missing, note, isDue }: Planned): string {
  if (missing !== undefined) return 'MISSING';
  if (note.failing !== undefined) return 'FAILING';
  return isDue ? 'due' : 'ok';
}
