import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { Rule, TargetSchedule } from '../../recovery/schedule.ts';
import type { Notes } from './notes.ts';
import { type Found, graceOf, type Here, type Planned, pauseAfter, planOf } from './plan.ts';
import { slotAt } from './slots.ts';

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
const utc = () => 0;
const start = Date.parse('2026-06-03T10:20:00Z');
const hourly: Rule = { every: 'hours', hours: 1 };
const daily: Rule = { every: 'day', at: 180 };
const weekly: Rule = { every: 'week', day: 0, at: 300 };

function found(atMs: number, more: Partial<Found> = {}): Found {
  const usual = { target: 'dev', isSound: true, isWhole: true, cause: undefined, details: {} };
  return { name: `dev-${atMs}`, atMs, verifiedMs: undefined, drilledMs: undefined, ...usual, ...more };
}

type World = Partial<Omit<Here, 'schedule'>> & { rules?: TargetSchedule; bus?: Rule };

function plan({ rules = {}, bus, ...more }: World, nowMs = start, offsetAt: (ms: number) => number = utc) {
  const schedule = { targets: { dev: rules }, eventBus: bus };
  const usual = { backups: [], sealed: new Set<string>(), copies: undefined, notes: {} };
  return planOf({ ...usual, ...more, schedule }, nowMs, offsetAt);
}

const due = (world: World, nowMs = start) =>
  plan(world, nowMs)
    .filter(({ isDue }) => isDue)
    .map(({ what }) => what);
const only = (all: Planned[]) => all[0] ?? assert.fail('nothing is planned');

describe('What is due', () => {
  it('is a first backup at once, and another when its time has come', () => {
    assert.deepEqual(due({ rules: { whole: daily } }), ['whole']);
    const made = { rules: { whole: daily }, backups: [found(start)] };
    assert.deepEqual(due(made), []);
    const next = Date.parse('2026-06-04T03:00:00Z');
    assert.equal(only(plan(made)).nextMs, next);
    assert.deepEqual([due(made, next - 1), due(made, next)], [[], ['whole']]);
  });

  it('is no backup that somebody else has made since, nor databases that lie in a whole one', () => {
    const rules = { whole: daily, databases: hourly };
    assert.deepEqual(due({ rules }), ['whole', 'databases']);
    assert.deepEqual(due({ rules, backups: [found(start - 60_000)] }), []);
    assert.deepEqual(due({ rules, backups: [found(start - hourMs)] }), ['databases']);
    assert.deepEqual(due({ rules, backups: [found(start, { isWhole: false })] }), ['whole']);
  });

  it('is not the same again where one was made that is not sound, but where it was found damaged', () => {
    const { cause } = only(plan({ rules: { whole: daily } }));
    const world = (more: Partial<Found>) => ({
      rules: { whole: daily },
      backups: [found(start, { isSound: false, ...more })],
    });
    assert.deepEqual(due(world({ cause })), []);
    assert.deepEqual(due(world({ cause: undefined })), ['whole']);
    assert.deepEqual(due(world({ cause }), start + dayMs), ['whole']);
  });

  it('is a verification and a drill of what was there at the time, once', () => {
    const rules = { verify: weekly, drill: weekly };
    const sunday = Date.parse('2026-06-07T05:00:00Z');
    const backups = [found(start)];
    assert.deepEqual(
      [due({ rules }, sunday), due({ rules, backups }), due({ rules, backups }, sunday - 1)],
      [[], [], []],
    );
    assert.deepEqual(due({ rules, backups }, sunday + dayMs), ['verify', 'drill']);
    assert.deepEqual(due({ rules, backups: [found(sunday + 1)] }, sunday + dayMs), []);
    const proven = [found(start, { verifiedMs: sunday, drilledMs: sunday })];
    assert.deepEqual(due({ rules, backups: proven }, sunday + 6 * dayMs), []);
    assert.deepEqual(due({ rules, backups: proven }, sunday + 7 * dayMs), ['verify', 'drill']);
    assert.deepEqual(due({ rules, backups, sealed: new Set(['dev']) }, sunday), ['verify']);
    const notes = { 'dev drill': { doneMs: sunday + 9 } };
    assert.deepEqual(due({ rules, backups, notes }, sunday + dayMs), ['verify']);
  });

  it('is pruning after there is something new, and never while backups fail', () => {
    const rules = { whole: daily, prune: { every: 'day', at: 240 } as const };
    const backups = [found(start)];
    const four = Date.parse('2026-06-04T04:00:00Z');
    const notes: Notes = { 'dev prune': { doneMs: start + 1 } };
    assert.deepEqual([due({ rules }), due({ rules, backups })], [['whole'], []]);
    assert.deepEqual(due({ rules, backups: [found(start - dayMs), ...backups] }), ['prune']);
    assert.deepEqual(due({ rules, backups, notes }, four), ['whole']);
    assert.deepEqual(due({ rules, backups: [found(four)], notes }, four), ['prune']);
    const failing = { count: 1, atMs: four, of: 'x', code: 'x', says: 'x', isTold: true };
    assert.deepEqual(due({ rules, backups, notes: { 'dev whole': { failing } } }, four), []);
    assert.deepEqual(
      due({ rules, backups: [...backups, found(four + 1)], notes: { 'dev whole': { failing } } }, four + 1),
      ['prune'],
    );
  });

  it('is a copy of the bus’ own database, where there is one', () => {
    assert.deepEqual(due({ bus: hourly }), []);
    assert.deepEqual(due({ bus: hourly, copies: [] }), ['copy']);
    const copy = { name: 'c', atMs: start, isScheduled: false };
    assert.deepEqual(
      [due({ bus: hourly, copies: [copy] }), due({ bus: hourly, copies: [copy] }, start + hourMs)],
      [[], ['copy']],
    );
  });

  it('does not take what a wrong clock has made for what is there', () => {
    const ahead = [found(start + 400 * dayMs)];
    assert.deepEqual(due({ rules: { whole: daily }, backups: ahead }), ['whole']);
    assert.deepEqual(due({ rules: { whole: daily }, backups: [...ahead, found(start)] }), []);
    const notes = {
      'dev whole': { failing: { count: 30, atMs: start + dayMs, of: '', code: '', says: '', isTold: true } },
    };
    assert.deepEqual(due({ rules: { whole: daily }, notes }), ['whole']);
  });
});

describe('After a failure', () => {
  const failing = (count: number, atMs = start) => ({ count, atMs, of: 'x', code: 'x', says: 'x', isTold: true });
  it('is waited, twice as long each time, and no longer than the rule bears', () => {
    const waits = (rule: Rule) => [1, 2, 3, 6, 9, 99].map((count) => pauseAfter(count, rule) / 60_000);
    assert.deepEqual(waits(hourly), [2, 4, 8, 60, 60, 60]);
    assert.deepEqual(waits(daily), [2, 4, 8, 64, 180, 180]);
    const world = { rules: { whole: daily }, notes: { 'dev whole': { failing: failing(3) } } };
    assert.equal(only(plan(world)).nextMs, start + 8 * 60_000);
    assert.deepEqual([due(world, start + 8 * 60_000 - 1), due(world, start + 8 * 60_000)], [[], ['whole']]);
  });

  it('is none any more when somebody else has made one', () => {
    const world = {
      rules: { whole: daily },
      backups: [found(start + 1)],
      notes: { 'dev whole': { failing: failing(3) } },
    };
    assert.equal(only(plan(world, start + 2)).note.failing, undefined);
  });
});

describe('What is missing', () => {
  const missing = (world: World, nowMs: number) => only(plan(world, nowMs)).missing;

  it('is said when it is later than it was due and a grace, with what was due', () => {
    const world = { rules: { whole: daily }, backups: [found(start)] };
    const dueMs = Date.parse('2026-06-04T03:00:00Z');
    assert.equal(missing(world, dueMs + graceOf(daily)), undefined);
    assert.deepEqual(missing(world, dueMs + graceOf(daily) + 1), {
      key: `dev-${start}`,
      newest: `dev-${start}`,
      newestMs: start,
      dueMs,
    });
    assert.equal(missing({ ...world, backups: [found(start), found(dueMs + dayMs)] }, dueMs + dayMs), undefined);
  });

  it('is also what there never was, from when it was looked for first', () => {
    const rules = { whole: daily };
    assert.equal(missing({ rules }, start + 99 * dayMs), undefined);
    const notes = { 'dev whole': { firstSeenMs: start } };
    assert.equal(missing({ rules, notes }, start + graceOf(daily)), undefined);
    assert.match(missing({ rules, notes }, start + graceOf(daily) + 1)?.key ?? '', /^none since 2026-06-03T10:20/);
  });

  it('has the same key until there is another newest', () => {
    const at = (backups: Found[], hours: number) =>
      missing({ rules: { whole: daily }, backups }, start + hours * hourMs)?.key;
    assert.equal(at([found(start)], 48), at([found(start)], 480));
    assert.notEqual(at([found(start)], 480), at([found(start), found(start + dayMs)], 480));
  });
});

/** A machine that is on and off, whose clock is moved, and which does at once whatever is due. */
type Event = { kind: 'on' | 'off'; minutes: number } | { kind: 'clock'; minutes: number };

function live(rules: TargetSchedule, events: readonly Event[], offsetAt: (ms: number) => number) {
  const backups: Found[] = [];
  const made: { cause: string; atMs: number }[] = [];
  const looks: number[] = [];
  let nowMs = start;
  for (const { kind, minutes } of events) {
    if (kind !== 'on') nowMs += minutes * 60_000;
    else
      for (let n = 0; n < minutes; n += 7) {
        nowMs += 7 * 60_000;
        looks.push(nowMs);
        for (let [next] = planNow(); next !== undefined; [next] = planNow()) {
          backups.push(found(nowMs, { isWhole: next.what === 'whole', cause: next.cause }));
          made.push({ cause: next.cause, atMs: nowMs });
          assert.ok(made.length < 10_000, 'it does not end');
        }
      }
  }
  function planNow() {
    return plan({ rules, backups }, nowMs, offsetAt).filter(({ isDue }) => isDue);
  }
  return { made, looks };
}

describe('A machine that does what is due', () => {
  const minutes = (max: number) => fc.integer({ min: 1, max });
  const onOff = fc.oneof(
    fc.record({ kind: fc.constant('on' as const), minutes: minutes(3000) }),
    fc.record({ kind: fc.constant('off' as const), minutes: minutes(20_000) }),
  );
  const clock = fc.record({ kind: fc.constant('clock' as const), minutes: fc.integer({ min: -5000, max: 5000 }) });
  const ruleOf = fc.constantFrom<Rule>(hourly, daily, weekly, { every: 'hours', hours: 6 }, { every: 'day', at: 150 });
  /** Clocks on the wall that change an hour now and then. */
  const offsets = fc
    .integer({ min: 1, max: 60 })
    .map((days) => (ms: number) => (Math.floor(ms / dayMs / days) % 2) * hourMs);

  it('makes one for each time, and after it was off one for all that went by', () => {
    fc.assert(
      fc.property(ruleOf, fc.array(onOff, { maxLength: 8 }), offsets, (rule, events, offsetAt) => {
        const { made, looks } = live({ whole: rule }, events, offsetAt);
        const slots = [...new Set(looks.map((ms) => slotAt(rule, ms, offsetAt)))];
        assert.deepEqual(
          made.map(({ atMs }) => slotAt(rule, atMs, offsetAt)),
          slots,
        );
        // As soon as it was looked.
        for (const { atMs } of made)
          assert.equal(
            atMs,
            looks.find((ms) => ms >= atMs),
          );
      }),
    );
  });

  it('makes none twice, whatever its clock does', () => {
    const events = fc.array(fc.oneof(onOff, clock), { maxLength: 10 });
    fc.assert(
      fc.property(ruleOf, events, offsets, (rule, happens, offsetAt) => {
        const { made } = live({ whole: daily, databases: rule }, happens, offsetAt);
        assert.equal(new Set(made.map(({ cause }) => cause)).size, made.length);
        for (const { cause } of made) assert.match(cause, /^[\x21-\x7e]{1,200}$/);
      }),
    );
  });
});
