import { nearest } from '../../base/nearest.ts';
import { days, type Job, jobs, type Rule, type Schedule, type TargetSchedule } from '../schedule.ts';
import type { Target } from '../target.ts';
import type { Located } from './located.ts';

const eventBus = 'event_bus';
type Named = Job | typeof eventBus;

/** What holds where nothing is said. Where only the day or the time is left out, that is taken from here too. */
const usual: Readonly<Record<Named, Rule>> = {
  whole: { every: 'day', at: 3 * 60 },
  databases: { every: 'hours', hours: 1 },
  verify: { every: 'week', day: days.indexOf('saturday'), at: 5 * 60 },
  drill: { every: 'week', day: days.indexOf('sunday'), at: 5 * 60 },
  prune: { every: 'day', at: 4 * 60 },
  [eventBus]: { every: 'hours', hours: 1 },
};
const usualDay = { day: days.indexOf('sunday'), at: 3 * 60 };
const forms = 'must be off, hourly, every N hours, daily 03:00 or weekly sunday 03:00';

type Said = Partial<Record<Named, Rule | 'off'>>;

/** The key `schedule` of the file and of each target. What a target does not say the file says, and else what is usual. */
export function scheduleIn(root: Located, targets: readonly Target[]): Schedule {
  const forAll = saidIn(root.get('schedule'), [...jobs, eventBus]);
  const section = root.get('restore_targets');
  const ofTarget = (target: Target): TargetSchedule => {
    const isControl = target.name === 'control-plane';
    const own = isControl ? section?.get('control-plane') : section?.get('data-plane')?.get(target.name);
    const said = saidIn(own?.get('schedule'), jobs);
    const rules = jobs.flatMap((job): [Job, Rule][] => {
      const rule = said[job] ?? forAll[job] ?? (isUsual(job, target) ? usual[job] : 'off');
      return rule === 'off' ? [] : [[job, rule]];
    });
    return Object.fromEntries(rules);
  };
  const bus = forAll[eventBus] ?? usual[eventBus];
  return {
    targets: Object.fromEntries(targets.map((target) => [target.name, ofTarget(target)])),
    eventBus: bus === 'off' ? undefined : bus,
  };
}

/** Databases that were only found are in each whole backup; and what costs too much to fetch once does each week. */
function isUsual(job: Job, { databases, postgres = [], restic }: Target): boolean {
  if (job === 'databases') return databases.length + postgres.length > 0;
  if (job === 'verify' || job === 'drill') return restic?.active !== true || restic.readBack;
  return true;
}

function saidIn(at: Located | undefined, names: readonly Named[]): Said {
  if (at === undefined) return {};
  if (isOff(at)) return Object.fromEntries(names.map((name) => [name, 'off' as const]));
  if (!at.isMap) {
    at.wrong(`must be off, or have some of ${names.join(', ')} below it`);
    return {};
  }
  at.knownKeys(names);
  return Object.fromEntries(
    names.flatMap((name): [Named, Rule | 'off'][] => {
      const found = at.get(name);
      const rule = found && ruleIn(found, name);
      return rule === undefined ? [] : [[name, rule]];
    }),
  );
}

/** JSON has no word for it, and older YAML takes the word for `false`. */
const isOff = ({ value }: Located) => value === 'off' || value === false;

function ruleIn(at: Located, name: Named): Rule | 'off' | undefined {
  if (isOff(at)) return 'off';
  const text = typeof at.value === 'string' ? at.value.trim().toLowerCase() : '';
  if (text === 'hourly') return { every: 'hours', hours: 1 };
  const [, count] = /^every (\d{1,2}) ?h(?:ours?)?$/.exec(text) ?? [];
  if (count !== undefined) return everyHours(at, Number(count));
  const [, word, day, hours, minutes] =
    /^(daily|weekly)(?: (?:on )?([a-z]+day))?(?: (?:at )?(\d{1,2}):(\d\d))?$/.exec(text) ?? [];
  if (word === undefined || (word === 'daily' && day !== undefined)) return otherwise(at);
  const [hour, minute] = [Number(hours ?? 0), Number(minutes ?? 0)];
  if (hour > 23 || minute > 59) {
    at.wrong('has a time that no day has; times go from 00:00 to 23:59');
    return undefined;
  }
  const before = usual[name];
  const time = hours !== undefined ? hour * 60 + minute : before.every === 'hours' ? usualDay.at : before.at;
  if (word === 'daily') return { every: 'day', at: time };
  const named =
    day === undefined ? (before.every === 'week' ? before.day : usualDay.day) : days.indexOf(day as 'sunday');
  if (named >= 0) return { every: 'week', day: named, at: time };
  const guess = nearest(day ?? '', days);
  at.wrong(`has no day of the week${guess ? `; did you mean ${guess}?` : ''}`);
  return undefined;
}

function everyHours(at: Located, hours: number): Rule | undefined {
  if (hours >= 1 && 24 % hours === 0) return { every: 'hours', hours };
  at.wrong('must be every 1, 2, 3, 4, 6, 8, 12 or 24 hours, so that each day is the same');
  return undefined;
}

function otherwise(at: Located): undefined {
  at.wrong(forms);
  return undefined;
}
