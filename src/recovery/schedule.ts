/** Minutes since midnight, by the clock on the wall where the machine stands. */
type MinuteOfDay = number;

/**
 * When something is due: every so many hours, counted from midnight UTC, so that no change of the clocks moves it; or at a
 * time of the day as the machine's own clock shows it, each day or on one day of the week (0 is Sunday).
 */
export type Rule =
  | { every: 'hours'; hours: number }
  | { every: 'day'; at: MinuteOfDay }
  | { every: 'week'; day: number; at: MinuteOfDay };

/** What is done by itself for a target. */
export const jobs = ['whole', 'databases', 'verify', 'drill', 'prune'] as const;
export type Job = (typeof jobs)[number];

/** Jobs that are not in it are not done. */
export type TargetSchedule = Readonly<Partial<Record<Job, Rule>>>;

/** By the target's name; `eventBus`: the bus' own database. */
export type Schedule = { targets: Readonly<Record<string, TargetSchedule>>; eventBus: Rule | undefined };

/** The days as they are written, from Sunday. */
export const days = ['sunday', 'monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday'] as const;

/** As the configuration says it, in short: `hourly`, `every 6 h`, `daily 03:00`, `sun 05:00`. */
export function ruleText(rule: Rule): string {
  if (rule.every === 'hours') return rule.hours === 1 ? 'hourly' : `every ${rule.hours} h`;
  const two = (n: number) => String(n).padStart(2, '0');
  const at = `${two(Math.floor(rule.at / 60))}:${two(rule.at % 60)}`;
  return rule.every === 'day' ? `daily ${at}` : `${days[rule.day]?.slice(0, 3)} ${at}`;
}
