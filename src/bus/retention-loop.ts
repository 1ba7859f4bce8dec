import { reasonOf } from '../base/fault.ts';
import type { Log } from '../base/log.ts';
import type { Purged, RetentionPlace, RetentionRule, RetentionScan, RuleCount } from './store/retention.ts';
import type { Store } from './store/store.ts';

const everyMs = 600_000;
/** Between two transactions, so that publishing has the writer to itself most of the time. */
const pauseMs = 20;
/** Steps of one run: 50 million events looked at. What is left is for the next one. */
const maxSteps = 50_000;

/** What the rules would take now, and what they would if nothing kept it. */
export type RetentionPlan = (RetentionRule & RuleCount)[];

/** What one run has purged. */
export type RetentionRun = Purged;

export type Retention = {
  readonly rules: readonly RetentionRule[];
  /** Counts what a run would purge now; changes nothing. Whoever asks meanwhile is told the same. */
  plan(): Promise<RetentionPlan>;
  /** Purges what the rules no longer keep. While it runs, whoever asks is told of the same run. */
  run(): Promise<RetentionRun>;
  /** What the run that is under way has purged so far. */
  soFar(): RetentionRun;
  /** Ends the loop after the step that is under way. Safe to repeat. */
  stop(): Promise<void>;
};

type Retained = Pick<Store, 'scanRetention' | 'purge'>;

/** Purges at once and then every ten minutes; without rules never. An error is logged, and the next run tries again. */
export function startRetention(store: Retained, rules: readonly RetentionRule[], log: Log): Retention {
  let stopped = false;
  let running: Promise<RetentionRun> | undefined;
  let planning: Promise<RetentionPlan> | undefined;
  let timer: NodeJS.Timeout | undefined;

  let current: RetentionRun = nothing();

  /** `rest`: between two steps. */
  async function each(step: (scan: RetentionScan) => Promise<unknown>, rest: () => Promise<unknown>): Promise<void> {
    let place: RetentionPlace | undefined;
    for (let steps = 1; ; steps++) {
      const scan = await store.scanRetention(rules, place);
      await step(scan);
      if (scan.next === null || stopped || steps >= maxSteps) return;
      place = scan.next;
      await rest();
    }
  }

  async function purgeAll(): Promise<RetentionRun> {
    current = nothing();
    let rest = breath;
    const step = async ({ due }: RetentionScan) => {
      rest = due.length > 0 ? pause : breath;
      if (due.length === 0) return;
      const { purged, by_action, dropped_deliveries } = await store.purge(due);
      current = {
        purged: current.purged + purged,
        by_action: sumOf(current.by_action, by_action),
        dropped_deliveries: sumOf(current.dropped_deliveries, dropped_deliveries),
      };
    };
    if (rules.length > 0) await each(step, () => rest());
    if (current.purged > 0) log.info('events were purged', { events: current.purged });
    return current;
  }

  async function count(): Promise<RetentionPlan> {
    let counts: Readonly<Record<string, number>>[] = rules.map(() => ({}));
    const step = async (scan: RetentionScan) => {
      counts = scan.counts.map((each, i) => sumOf(counts[i] ?? {}, each));
    };
    if (rules.length > 0) await each(step, breath);
    return rules.map((rule, i) => ({ ...rule, ...(counts[i] as RuleCount) }));
  }

  const run = () => {
    running ??= purgeAll().finally(() => {
      running = undefined;
    });
    return running;
  };
  const again = () => {
    if (stopped || rules.length === 0) return;
    run()
      .catch((error) => log.error('retention could not purge; trying again later', { reason: reasonOf(error) }))
      .finally(() => {
        if (stopped) return;
        timer = setTimeout(again, everyMs);
        timer.unref();
      });
  };
  again();

  return {
    rules,
    run,
    soFar: () => current,
    plan() {
      planning ??= count().finally(() => {
        planning = undefined;
      });
      return planning;
    },
    async stop() {
      stopped = true;
      clearTimeout(timer);
      await Promise.allSettled([running, planning]);
    },
  };
}

const nothing = (): RetentionRun => ({ purged: 0, by_action: {}, dropped_deliveries: {} });
const breath = () => new Promise((go) => setImmediate(go));
const pause = () => new Promise((go) => setTimeout(go, pauseMs));

function sumOf(a: Readonly<Record<string, number>>, b: Readonly<Record<string, number>>): Record<string, number> {
  const sum = { ...a };
  for (const [name, n] of Object.entries(b)) sum[name] = (sum[name] ?? 0) + n;
  return sum;
}
