import { createHash } from 'node:crypto';
import { rfc3339 } from '../../base/clock.ts';
import type { Fault } from '../../base/fault.ts';
import type { JsonObject } from '../../base/json.ts';
import { ruleText } from '../../recovery/schedule.ts';
import type { SaidByItself } from '../agent.ts';
import type { Failing } from './notes.ts';
import type { Missing, Planned } from './plan.ts';

/** That a scheduled one was made; `of` is its name. */
export function completed(
  { target, what }: Pick<Planned, 'target' | 'what'>,
  of: string,
  details: JsonObject,
): SaidByItself {
  return { of, action: 'backup_completed', target, details: { ...details, why_made: 'scheduled', contents: what } };
}

const maxSays = 4000;

const failures = {
  ...{ whole: 'backup_failed', databases: 'backup_failed', copy: 'backup_failed', verify: 'backup_failed' },
  ...{ drill: 'drill_failed', prune: 'prune_failed' },
} as const;
const kinds = {
  whole: 'backup',
  databases: 'backup',
  copy: 'backup',
  verify: 'verify',
  drill: 'drill',
  prune: 'prune',
} as const;

/** That something failed which is tried again. Said of the first failure in a row, and of one with another reason. */
export function failed({ target, what }: Planned, { of, code, says }: Failing, againMs: number): SaidByItself {
  const details = { kind: kinds[what], why_made: 'scheduled', contents: what, code, says, tries_again: true };
  return { of: `${of}:${code}`, action: failures[what], target, details: { ...details, again_at: rfc3339(againMs) } };
}

/** That a mistake in the configuration keeps everything from being done. Once a day for the same. */
export function unscheduled({ code, message, hint }: Fault, nowMs: number): SaidByItself {
  const says = hint === undefined ? message : `${message} ${hint}`;
  const digest = createHash('sha256').update(says).digest('hex').slice(0, 16);
  return {
    ...{ of: `configuration:${digest}:${rfc3339(nowMs).slice(0, 10)}`, action: 'backup_failed', target: null },
    details: {
      kind: 'schedule',
      why_made: 'scheduled',
      code,
      says: says.slice(0, maxSays).toWellFormed(),
      tries_again: true,
    },
  };
}

/** That there should be a newer one. Said once of the newest that there is. */
export function isMissing(
  { target, what, rule, note: { failing } }: Planned,
  missing: Missing,
  nowMs: number,
): SaidByItself {
  const { key, newest, newestMs, dueMs } = missing;
  const noun =
    what === 'copy'
      ? 'copy of the database of the bus'
      : `backup of ${what === 'whole' ? target : `the databases of ${target}`}`;
  const age = newestMs === undefined ? undefined : nowMs - newestMs;
  const there =
    newest === undefined || age === undefined
      ? `There is no sound ${noun}`
      : `The newest sound ${noun} is ${spanText(age)} old (${newest})`;
  const why = failing === undefined ? '' : ` It fails: ${failing.says}`;
  return {
    of: `missing:${target}:${what}:${key}`,
    action: 'backup_missing',
    target,
    details: {
      says: `${there}, and one was due at ${rfc3339(dueMs)} (${ruleText(rule)}).${why}`,
      ...{ contents: what, backup: newest ?? null, taken_at: newestMs === undefined ? null : rfc3339(newestMs) },
      ...{
        age_seconds: age === undefined ? null : Math.round(age / 1000),
        due_at: rfc3339(dueMs),
        rule: ruleText(rule),
      },
    },
  };
}

/** `50 minutes`, `5 hours`, `3 days` */
function spanText(ms: number): string {
  const minutes = Math.round(ms / 60_000);
  if (minutes < 120) return `${minutes} minutes`;
  const hours = Math.round(minutes / 60);
  return hours < 72 ? `${hours} hours` : `${Math.round(hours / 24)} days`;
}
