import { rfc3339 } from '../../base/clock.ts';
import type { JsonObject } from '../../base/json.ts';
import { type Job, jobs, type Rule, type Schedule } from '../../recovery/schedule.ts';
import type { Copy } from './event-bus-copies.ts';
import { type Note, type Notes, noteKey, type What } from './notes.ts';
import { type OffsetAt, periodMs, slotAfter, slotAt } from './slots.ts';

/** What the plan has to know of a backup that is there. */
export type Found = {
  name: string;
  target: string;
  atMs: number;
  isSound: boolean;
  isWhole: boolean;
  /** What it was made for, of one that is not damaged: of a scheduled one the cause that the plan gave it. */
  cause: string | undefined;
  verifiedMs: number | undefined;
  drilledMs: number | undefined;
  /** What the bus hears of it. */
  details: JsonObject;
};

export type Here = {
  schedule: Schedule;
  backups: readonly Found[];
  /** Targets whose backups cannot be opened here, so that none can be tried out. */
  sealed: ReadonlySet<string>;
  /** Copies of the bus' own database; undefined where it is not here. */
  copies: readonly Copy[] | undefined;
  notes: Notes;
};

/** That there should be a newer one than there is. `key` is the same as long as that one is the newest. */
export type Missing = { key: string; newest: string | undefined; newestMs: number | undefined; dueMs: number };

export type Planned = {
  target: string;
  what: What;
  rule: Rule;
  /** Names what is due: the same for whoever asks, so that it is done once. */
  cause: string;
  lastMs: number | undefined;
  isDue: boolean;
  /** When it is begun; of what is due perhaps later than now, since it has failed just before. */
  nextMs: number;
  missing: Missing | undefined;
  /** The newest that was made by the schedule, which the bus is to have heard of; `of` is its name. */
  untold: { of: string; details: JsonObject } | undefined;
  /** Its failures are gone once something was made since. */
  note: { [K in keyof Note]: Note[K] | undefined };
};

export const busTarget = 'event-bus';
const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
/** What is further ahead than this was made under a clock that was wrong. */
const aheadMs = hourMs;
const firstPauseMs = 2 * minuteMs;
const maxDoublings = 20;
/** A cause has 200 characters at most. */
const maxTarget = 120;
/** What was made longer ago is no news. */
const tellableMs = 7 * 24 * hourMs;

/**
 * What is due now and when everything else is, from what there is. Pure: nothing is remembered of what was planned before. Of
 * times that went by while the machine was off only the last one counts, so it is made up for once.
 */
export function planOf(here: Here, nowMs: number, offsetAt: OffsetAt): Planned[] {
  const when = { nowMs, offsetAt };
  const planned = Object.entries(here.schedule.targets).flatMap(([target, rules]) => {
    const own = here.backups.filter((each) => each.target === target).sort((a, b) => b.atMs - a.atMs);
    return jobs.flatMap((what) => {
      const rule = rules[what];
      if (rule === undefined) return [];
      const note = here.notes[noteKey(target, what)] ?? {};
      const facts = factsOf(what, own, note, { slotMs: slotAt(rule, nowMs, offsetAt), nowMs });
      const isPossible = what !== 'drill' || !here.sealed.has(target);
      return [plannedOf({ target, what, rule, note, ...facts, isWanted: facts.isWanted && isPossible }, when)];
    });
  });
  return [...planned.map((each) => withoutPrune(each, planned, when)), ...copyOf(here, when)];
}

/** While no backup can be made, none is thrown away. */
function withoutPrune(each: Planned, all: readonly Planned[], { nowMs, offsetAt }: When): Planned {
  const isFailing = all.some(({ target, what, note }) => target === each.target && what === 'whole' && note.failing);
  if (each.what !== 'prune' || !isFailing) return each;
  return { ...each, isDue: false, nextMs: slotAfter(each.rule, nowMs, offsetAt) };
}

/** Names a thing to do and its time; visible ASCII, as the cause of a backup must be. */
function causeOf(target: string, what: What, slotMs: number): string {
  return `${causesOf(target, what)}${rfc3339(slotMs)}`;
}

/** How all of its causes begin. */
function causesOf(target: string, what: What): string {
  return `schedule:${target.slice(0, maxTarget)}:${what}:`;
}

/** How long is waited after so many failures in a row: twice as long each time, and no longer than the rule can bear. */
export function pauseAfter(count: number, rule: Rule): number {
  const longest = Math.min(Math.max(periodMs(rule) / 8, hourMs), 24 * hourMs);
  return Math.min(firstPauseMs * 2 ** Math.min(count - 1, maxDoublings), longest);
}

/** How much later than it was due a backup may be before somebody is told. */
export function graceOf(rule: Rule): number {
  return Math.min(Math.max(periodMs(rule) / 4, hourMs), 24 * hourMs);
}

/** `newest`: of backups, of which some should be there always. */
type Facts = {
  lastMs: number | undefined;
  isWanted: boolean;
  newest?: { name: string; atMs: number } | undefined;
  untold?: Planned['untold'];
};
type Thing = Facts & { target: string; what: What; rule: Rule; note: Note };
type When = { nowMs: number; offsetAt: OffsetAt };

/** `own`: newest first. */
function factsOf(
  what: Job,
  own: readonly Found[],
  note: Note,
  { slotMs, nowMs }: { slotMs: number; nowMs: number },
): Facts {
  const sound = own.filter(({ isSound, atMs }) => isSound && atMs <= nowMs + aheadMs);
  const whole = sound.filter(({ isWhole }) => isWhole);
  const doneMs = note.doneMs !== undefined && note.doneMs <= nowMs + aheadMs ? note.doneMs : undefined;
  if (what === 'whole' || what === 'databases') {
    // The databases are in a whole one too.
    const [newest] = what === 'whole' ? whole : sound;
    const scheduled = own.filter(({ target, cause }) => cause?.startsWith(causesOf(target, what)));
    // One that is not sound, or under a wrong clock, was made for this time, and another would hardly be better.
    const isTried = scheduled.some(({ target, cause }) => cause === causeOf(target, what, slotMs));
    return {
      ...{ lastMs: newest?.atMs, newest, isWanted: !isTried && !isSince(newest?.atMs, slotMs) },
      untold: untoldOf(scheduled, nowMs),
    };
  }
  if (what === 'prune') {
    // Of what is younger than its time nothing goes yet.
    const isNew = sound.some(({ atMs }) => (doneMs === undefined ? atMs <= slotMs : atMs > doneMs));
    return { lastMs: doneMs, isWanted: isNew && !isSince(doneMs, slotMs) };
  }
  const proofs = whole.map(({ verifiedMs, drilledMs }) => (what === 'verify' ? verifiedMs : drilledMs));
  const times = [...proofs, doneMs].filter((ms) => ms !== undefined && ms <= nowMs + aheadMs) as number[];
  const lastMs = times.length === 0 ? undefined : Math.max(...times);
  // What was not there at that time has the next one.
  const isThere = whole.some(({ atMs }) => atMs <= slotMs);
  return { lastMs, isWanted: isThere && !isSince(lastMs, slotMs) };
}

const isSince = (ms: number | undefined, slotMs: number) => ms !== undefined && ms >= slotMs;

/** Of control-plane one cause may have two: an archive, and then what lies in a repository. */
function untoldOf([newest, ...others]: readonly Found[], nowMs: number): Planned['untold'] {
  if (newest?.cause === undefined || nowMs - newest.atMs > tellableMs) return undefined;
  const also = others.filter(({ cause }) => cause === newest.cause).map(({ name }) => name);
  const more = also.length > 0 ? { also_made: also } : {};
  return { of: newest.name, details: { ...newest.details, ...more, cause: newest.cause } };
}

function plannedOf({ lastMs, isWanted, newest, untold, note, ...thing }: Thing, when: When): Planned {
  const { nowMs, offsetAt } = when;
  const { target, what, rule } = thing;
  const failing = failingOf(note, lastMs);
  // Failures of the future are those of a clock that was set back since.
  const waitsMs =
    failing === undefined || failing.atMs > nowMs ? nowMs : failing.atMs + pauseAfter(failing.count, rule);
  const nextMs = isWanted ? Math.max(nowMs, waitsMs) : slotAfter(rule, nowMs, offsetAt);
  const isBackup = what === 'whole' || what === 'databases' || what === 'copy';
  return {
    ...thing,
    cause: causeOf(target, what, slotAt(rule, nowMs, offsetAt)),
    ...{ lastMs, isDue: isWanted && nextMs <= nowMs, nextMs, untold },
    missing: isBackup ? missingOf(newest, rule, note, when) : undefined,
    note: { ...note, failing },
  };
}

/** What somebody else has made since is no failure any more. */
function failingOf({ failing }: Note, lastMs: number | undefined): Note['failing'] {
  return failing !== undefined && lastMs !== undefined && lastMs > failing.atMs ? undefined : failing;
}

function missingOf(
  newest: Facts['newest'],
  rule: Rule,
  { firstSeenMs }: Note,
  { nowMs, offsetAt }: When,
): Missing | undefined {
  const dueMs = newest === undefined ? firstSeenMs : slotAfter(rule, newest.atMs, offsetAt);
  if (dueMs === undefined || nowMs <= dueMs + graceOf(rule)) return undefined;
  const key = newest === undefined ? `none since ${rfc3339(dueMs)}` : newest.name;
  return { key, newest: newest?.name, newestMs: newest?.atMs, dueMs };
}

function copyOf({ schedule: { eventBus: rule }, copies, notes }: Here, when: When): Planned[] {
  if (rule === undefined || copies === undefined) return [];
  const { nowMs, offsetAt } = when;
  const all = copies.filter(({ atMs }) => atMs <= nowMs + aheadMs).sort((a, b) => b.atMs - a.atMs);
  const [newest] = all;
  const made = all.find(({ isScheduled, atMs }) => isScheduled && nowMs - atMs <= tellableMs);
  const isWanted = !isSince(newest?.atMs, slotAt(rule, nowMs, offsetAt));
  const note = notes[noteKey(busTarget, 'copy')] ?? {};
  const untold = made && { of: made.name, details: { backup: made.name } };
  return [
    plannedOf({ target: busTarget, what: 'copy', rule, note, lastMs: newest?.atMs, newest, isWanted, untold }, when),
  ];
}
