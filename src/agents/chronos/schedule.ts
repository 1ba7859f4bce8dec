import { Fault } from '../../base/fault.ts';
import { isThere } from '../../base/files.ts';
import type { JsonObject } from '../../base/json.ts';
import type { Log } from '../../base/log.ts';
import type { RecoveryConfig } from '../../recovery/config/config.ts';
import type { Say } from '../agent.ts';
import { type DoEffects, doPlanned, longestFor } from './do-planned.ts';
import { copiesIn } from './event-bus-copies.ts';
import { foundIn, sealedAmong } from './found.ts';
import { makeNoteBook, type NoteBook, noteKey } from './notes.ts';
import { type Planned, pauseAfter, planOf } from './plan.ts';
import { completed, failed, isMissing, unscheduled } from './schedule-events.ts';
import type { OffsetAt } from './slots.ts';

/** What the schedule touches. */
export type ScheduleEffects = DoEffects & {
  /** Read anew each time. @throws Fault */
  config(): RecoveryConfig;
  /** The bus' own database; there may be none on this machine. */
  busDatabase: string;
  /** Where copies of it go. */
  copies: string;
  /** Where the notes lie; beside GAIA's journal where nobody says. */
  notesIn?: string | undefined;
  /** Sends what GAIA has left for the bus. Never throws. */
  deliver(config: RecoveryConfig, signal: AbortSignal): Promise<void>;
  now(): number;
  offsetAt: OffsetAt;
  /** Nothing is begun before: whoever starts a machine has other things to do first. */
  beginsAtMs: number;
  log: Log;
};

/** Where the beginning is further away the clock was put back since, as after the start of a machine: it begins at once. */
const longestToBeginMs = 10 * 60_000;
/** How often it is looked what is due, where nothing is due earlier. */
const lookMs = 60_000;
/** After something was done: longer than others, who wait for the lock, sleep between two looks. */
const breatheMs = 5000;
/** While others work on the backups. */
const laterMs = 10_000;
/** After that what is due and was not tried is no more taken for what may come in time. */
const longBusyMs = 60 * 60_000;
/** So many wait for a bus that is away; then the oldest gives way. */
const maxUnsaid = 100;

export type ByTheSchedule = {
  /** Does one thing that is due, if anything is. Answers when to look again. @throws the reason of the signal */
  round(say: Say, signal: AbortSignal): Promise<number>;
  /** What is planned now, and how the clocks are set: `UTC+01:00`. @throws Fault for a configuration that is missing or wrong */
  plan(): { planned: Planned[]; config: RecoveryConfig; clocks: string };
};

type Made = Pick<Planned, 'target' | 'what'> & { of: string; details: JsonObject };
type State = {
  effects: ScheduleEffects;
  book: NoteBook;
  /** What this process has made and the bus has not heard of: more is known of it than the catalog has. */
  made: Made[];
  complaint: string | undefined;
  /** Since when something is due all the time. */
  busySinceMs: number | undefined;
};

/**
 * Backs up, verifies, drills and prunes by the schedule of GAIA's configuration. What is due comes from what is there, so that a
 * restart changes nothing; what the bus has not heard of is said in the next round, since the bus may be away.
 */
export function byTheSchedule(effects: ScheduleEffects): ByTheSchedule {
  const state: State = {
    effects,
    book: makeNoteBook(effects.notesIn),
    made: [],
    complaint: undefined,
    busySinceMs: undefined,
  };
  return {
    round: (say, signal) => round(state, say, signal),
    plan() {
      const config = effects.config();
      return { config, planned: planned(state, config), clocks: clocksText(effects.offsetAt(effects.now())) };
    },
  };
}

function clocksText(offsetMs: number): string {
  const minutes = Math.abs(offsetMs) / 60_000;
  const two = (n: number) => String(Math.floor(n)).padStart(2, '0');
  return offsetMs === 0 ? 'UTC' : `UTC${offsetMs < 0 ? '-' : '+'}${two(minutes / 60)}:${two(minutes % 60)}`;
}

function planned({ effects, book }: State, config: RecoveryConfig): Planned[] {
  const { busDatabase, copies, now, offsetAt } = effects;
  const here = {
    schedule: config.schedule,
    backups: foundIn(config),
    sealed: sealedAmong(config),
    copies: isThere(busDatabase) ? copiesIn(copies) : undefined,
    notes: book.read(config.place),
  };
  return planOf(here, now(), offsetAt);
}

async function round(state: State, say: Say, signal: AbortSignal): Promise<number> {
  const { now, beginsAtMs, precedence, deliver } = state.effects;
  const config = await configOrNone(state, say);
  if (config === undefined) return lookMs;
  await deliver(config, signal);
  const before = planned(state, config);
  await tellAll(state, config, before, say);
  const toBeginMs = beginsAtMs - now();
  if (toBeginMs > 0 && toBeginMs <= longestToBeginMs) return Math.min(toBeginMs, lookMs);
  const [due] = before.filter(({ isDue }) => isDue).sort(byUrgency);
  if (due === undefined) {
    state.busySinceMs = undefined;
    // What is due and was not tried may still come in time; what failed, or is not due, may not.
    await tellMissing(state, config, before, say);
    return Math.min(lookMs, ...before.map(({ nextMs }) => nextMs - now()));
  }
  state.busySinceMs ??= now();
  const isLongBusy = () => now() - (state.busySinceMs ?? 0) > longBusyMs;
  if (precedence.isWanted()) {
    if (isLongBusy()) await tellMissing(state, config, before, say);
    return laterMs;
  }
  const isDone = await act(state, due, config, { signal, withinMs: longestFor(due, before, now()) });
  const after = planned(state, config);
  await tellAll(state, config, after, say);
  if (!isDone || isLongBusy()) await tellMissing(state, config, after, say);
  return isDone ? breatheMs : laterMs;
}

const order: readonly Planned['what'][] = ['whole', 'databases', 'copy', 'prune', 'verify', 'drill'];

/** Backups before what is done with them. */
function byUrgency(a: Planned, b: Planned): number {
  return order.indexOf(a.what) - order.indexOf(b.what);
}

/** Where nobody has written a configuration there is nothing to do; a mistake in one is told once. */
async function configOrNone(state: State, say: Say): Promise<RecoveryConfig | undefined> {
  try {
    const config = state.effects.config();
    state.complaint = undefined;
    return config;
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    const { code, message: because, hint } = error;
    if (code === 'not-found' || state.complaint === because) return undefined;
    state.effects.log.warn('nothing is done by the schedule', { because, hint });
    if (await say(unscheduled(error, state.effects.now()))) state.complaint = because;
    return undefined;
  }
}

/** False when others must be waited for. */
async function act(
  state: State,
  due: Planned,
  { place }: RecoveryConfig,
  { signal, withinMs }: { signal: AbortSignal; withinMs: number },
): Promise<boolean> {
  const { effects, book, made } = state;
  const { log, now } = effects;
  const { target, what, cause, note, rule } = due;
  const about = { target, what, cause };
  const done = await doPlanned(due, effects, signal, withinMs);
  if (done.kind === 'later') return false;
  if (done.kind === 'done') {
    log.info('done by the schedule', about);
    book.write(place, target, what, { doneMs: now(), failing: undefined });
    if (done.told !== undefined) made.push({ target, what, ...done.told });
    if (made.length > maxUnsaid) made.shift();
    return true;
  }
  const { code, says } = done;
  const before = note.failing;
  const failing = {
    ...{ count: (before?.count ?? 0) + 1, atMs: now(), of: before?.of ?? cause, code, says },
    isTold: before?.code === code && before.isTold,
  };
  book.write(place, target, what, { failing });
  const againInSeconds = pauseAfter(failing.count, rule) / 1000;
  log.warn('failed by the schedule, and is tried again', { ...about, because: says, again_in_seconds: againInSeconds });
  return true;
}

async function tellAll(state: State, { place }: RecoveryConfig, all: readonly Planned[], say: Say): Promise<void> {
  const { made, book } = state;
  for (let [first] = made; first !== undefined; [first] = made) {
    if (!(await say(completed(first, first.of, first.details)))) return;
    book.write(place, first.target, first.what, { told: first.of });
    made.shift();
  }
  for (const each of all) {
    const { target, what, rule, untold, note } = each;
    // Made for this agent before it was killed, or by a GAIA that went on without it.
    // Names have the time in them, so that an older one is no news when the newest was found damaged.
    const isNew = untold !== undefined && untold.of > (book.read(place)[noteKey(target, what)]?.told ?? '');
    if (isNew && (await say(completed(each, untold.of, untold.details))))
      book.write(place, target, what, { told: untold.of });
    const { failing } = note;
    if (failing === undefined || failing.isTold) continue;
    if (await say(failed(each, failing, failing.atMs + pauseAfter(failing.count, rule))))
      book.write(place, target, what, { failing: { ...failing, isTold: true } });
  }
}

async function tellMissing(
  { book, effects }: State,
  { place }: RecoveryConfig,
  all: readonly Planned[],
  say: Say,
): Promise<void> {
  const nowMs = effects.now();
  for (const each of all) {
    const { target, what, missing, note, lastMs } = each;
    if (missing !== undefined && missing.key !== note.missing && (await say(isMissing(each, missing, nowMs))))
      book.write(place, target, what, { missing: missing.key });
    const isBackup = what === 'whole' || what === 'databases' || what === 'copy';
    const isFirst = isBackup && lastMs === undefined && note.firstSeenMs === undefined;
    if (isFirst) book.write(place, target, what, { firstSeenMs: nowMs });
    if (lastMs !== undefined && note.firstSeenMs !== undefined)
      book.write(place, target, what, { firstSeenMs: undefined });
  }
}
